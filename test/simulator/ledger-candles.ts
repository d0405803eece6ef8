import type { Candle } from '../../src/domain/events.ts'
import type { LedgerLine } from './client.ts'

/** A minute in microseconds. */
export const MINUTE_US = 60_000_000

/** What was traded in a minute. */
export type Minute = Pick<Candle, 'open' | 'high' | 'low' | 'close' | 'volume' | 'trades'>

/** The candles of trades, by their starts; volumes have the digits of sizes. */
export function candlesOf(trades: readonly LedgerLine[]): Map<number, Minute> {
  const found = new Map<number, Minute>()
  for (const [start, each] of Map.groupBy(trades, ({ ts }) => ts - (ts % MINUTE_US))) {
    const prices = each.map(({ price }) => price)
    const volume = Number(each.reduce((sum, { size }) => sum + size, 0).toFixed(8))
    const [high, low] = [Math.max(...prices), Math.min(...prices)]
    const [open = 0, close = 0] = [prices[0], prices.at(-1)]
    found.set(start, { open, high, low, close, volume, trades: each.length })
  }
  return found
}
