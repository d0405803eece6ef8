import type { Market } from '../../../ports/source.ts'

/** A market as all parts know it, however whoever asks for it has spelled it. */
export function canonicalMarket({ exchange, symbol }: Market): Market {
  return { exchange: exchange.toLowerCase(), symbol: symbol.toUpperCase() }
}
