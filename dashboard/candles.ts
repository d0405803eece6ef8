import type { Trade } from '../src/client/index.ts'

/** A candle as the chart takes it: the beginning of its period in seconds. */
export interface Bar {
  readonly time: number
  readonly open: number
  readonly high: number
  readonly low: number
  readonly close: number
  readonly volume: number
}

/** Intervals of the API in seconds. */
export const INTERVALS = { '1m': 60, '5m': 300, '15m': 900, '1h': 3_600, '4h': 14_400, '1d': 86_400 } as const
export type IntervalName = keyof typeof INTERVALS

/** The bar that a trade makes of the last one: it changes it, or begins the next. Undefined for a trade of a former period. */
export function barAfter(
  last: Bar | undefined,
  { ts, price, size }: Trade,
  seconds: number,
): Bar | undefined {
  const time = Math.floor(ts / 1_000_000 / seconds) * seconds
  if (last === undefined || time > last.time)
    return { time, open: price, high: price, low: price, close: price, volume: size }
  if (time < last.time) return undefined
  const { open, high, low, volume } = last
  return {
    time,
    open,
    high: Math.max(high, price),
    low: Math.min(low, price),
    close: price,
    volume: volume + size,
  }
}
