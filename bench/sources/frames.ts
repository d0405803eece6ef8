import { SPEAKERS } from '../../test/adapters/source/exchanges.ts'

/** The exchanges that others have readers for, with the names of these. */
export const READ_BY_OTHERS = [
  { name: 'binance', tardis: 'binance' },
  { name: 'okx', tardis: 'okex' },
  { name: 'bybit', tardis: 'bybit-spot' },
  { name: 'bitstamp', tardis: 'bitstamp' },
] as const

const MARKETS = 100
const FIRST_TS = 1_793_000_000_000_000
const SPACING = 1_000

/** The markets of an exchange that the frames are of. */
export const marketsOf = (exchange: string) =>
  Array.from({ length: MARKETS }, (_, i) => ({ exchange, symbol: `C${i}-USDT` }))

/** Frames as the exchange sends them, a trade in each, of all markets in turn. */
export function framesOf(exchange: string, count: number): Buffer[] {
  const speaker = SPEAKERS.find(({ kind }) => kind.name === exchange)
  if (speaker === undefined) throw new Error(`no frames of ${exchange}`)
  const markets = marketsOf(exchange)
  return Array.from({ length: count }, (_, i) => {
    const { symbol } = markets[i % MARKETS] as { symbol: string }
    const trade = {
      ...{
        exchange,
        symbol,
        id: String(684_000_000 + Math.floor(i / MARKETS)),
        side: i % 3 === 0 ? ('sell' as const) : ('buy' as const),
      },
      ...{ price: 119_300 + (i % 977) / 100, size: (1 + (i % 89)) / 1_000, ts: FIRST_TS + i * SPACING },
    }
    return Buffer.from(JSON.stringify(speaker.frame(trade)))
  })
}
