import { canonicalSymbol } from '../../../domain/market-names.ts'
import { TapelineError } from '../../../errors.ts'
import type { Instrument } from '../../../ports/source.ts'
import type { CcxtExchange, CcxtMarket } from './library.ts'

/** How ccxt says that a precision is a number of decimals. */
const DECIMAL_PLACES = 2

/** What an exchange trades, as ccxt has it. Raises SOURCE_UNAVAILABLE. */
export async function instrumentsOf(exchange: string, from: CcxtExchange): Promise<readonly Instrument[]> {
  try {
    await from.loadMarkets()
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error)
    throw new TapelineError('SOURCE_UNAVAILABLE', `instruments: ${words.slice(0, 500)}`, { cause: error })
  } finally {
    await from.close().catch(() => undefined)
  }
  return Object.values(from.markets ?? {}).flatMap((market) => {
    const symbol = canonicalSymbol(market.symbol.replace('/', '-'))
    return symbol === undefined ? [] : [toInstrument(exchange, symbol, market, from.precisionMode)]
  })
}

function toInstrument(
  exchange: string,
  symbol: string,
  { id, base, quote, active, precision }: CcxtMarket,
  mode: number,
): Instrument {
  const steps = { tick: stepOf(precision?.price, mode), lot: stepOf(precision?.amount, mode) }
  return { ...{ exchange, symbol, name: id, base, quote }, ...steps, isTrading: active !== false }
}

function stepOf(precision: unknown, mode: number): string | null {
  if (typeof precision !== 'number' || !(precision >= 0)) return null
  if (mode !== DECIMAL_PLACES) return decimalText(precision)
  return precision <= 20 ? (10 ** -precision).toFixed(precision) : null
}

/** Without an exponent. */
function decimalText(step: number): string {
  const [digits = '', exponent] = String(step).split('e-')
  if (exponent === undefined) return digits
  return step.toFixed(Math.min(100, Number(exponent) + (digits.split('.')[1]?.length ?? 0)))
}
