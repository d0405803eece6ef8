import { z } from 'zod'
import type { Candle, Interval } from '../../../domain/events.ts'
import type { Market } from '../../../ports/source.ts'
import { MINUTE_US } from '../feed/candle-history.ts'
import { isPlausible } from '../feed/event-time.ts'
import type { Outlet } from '../feed/feed-protocol.ts'
import { readAmount, readCount, readPrice } from '../feed/values.ts'
import { micros } from './trades.ts'

const INTERVAL_OF: Readonly<Record<'m' | 'H' | 'D', Interval>> = { m: '1m', H: '1h', D: '1d' }

/** How many candles of an interval are remembered, for parts that come late. */
const KEPT = 16

/** A frame of TYPE 24. Its prices are read one by one. */
export const candleFrameSchema = z.looseObject({
  MARKET: z.string(),
  FROMSYMBOL: z.string(),
  TOSYMBOL: z.string(),
  TS: z.number().int(),
  UNIT: z.enum(['m', 'H', 'D']),
})

/** A row of histominute. Its prices are read one by one: a row that cannot be read costs no other. */
export const historyRowSchema = z.record(z.string(), z.unknown()).catch({})

interface Prices {
  readonly open?: number
  readonly high?: number
  readonly low?: number
  readonly close?: number
  readonly volume?: number
  readonly trades?: number
}

interface Known {
  readonly prices: Prices
  /** Whether a later one came: then it is said as closed, also when a part of it comes late. */
  readonly closed: boolean
}

/**
 * The candles of one market. A candle is forming until one with a later start comes for the same interval: then it is said
 * once more, closed. Frames may name only some fields, so they are merged with what the same candle said before, also when it is
 * closed already. A price of 0 says that there is none.
 */
export class CandleState {
  readonly #market: Market
  /** By the start, in microseconds, in the order in which they came. */
  readonly #known = new Map<Interval, Map<number, Known>>()
  #lastMinute: number | undefined

  constructor(market: Market) {
    this.#market = market
  }

  /** Forgets what is forming: after a hole its last state is not known, so nobody may call it closed. */
  forget(): void {
    for (const candles of this.#known.values()) {
      for (const [ts, { closed }] of candles) if (!closed) candles.delete(ts)
    }
  }

  /** Start of the last closed 1-minute candle, in microseconds; undefined before the first. */
  get lastMinute(): number | undefined {
    return this.#lastMinute
  }

  /** The candles that a frame tells of; undefined where its time cannot be. */
  update(
    frame: z.infer<typeof candleFrameSchema>,
    recvTs: number,
    maxSkewMs: number,
  ): readonly Candle[] | undefined {
    const ts = startOf(frame.TS, recvTs, maxSkewMs)
    if (ts === undefined) return undefined
    const interval = INTERVAL_OF[frame.UNIT]
    const candles = this.#of(interval)
    const latest = Math.max(...candles.keys())
    const before = candles.get(ts)
    const known = { prices: { ...before?.prices, ...pricesOf(frame, LIVE) }, closed: ts < latest }
    const closing = ts > latest ? this.#close(interval) : []
    candles.set(ts, known)
    this.#note(interval, ts, known)
    if (candles.size > KEPT) candles.delete(Math.min(...candles.keys()))
    return [...closing, ...this.#candles(interval, ts, known)]
  }

  /**
   * The closed 1-minute candles of a history (oldest first) that were not said yet: those that had ended when it arrived, without
   * its last row, which may still be forming.
   */
  history(
    rows: readonly z.infer<typeof historyRowSchema>[],
    { tally, maxSkewMs, now }: Pick<Outlet, 'tally' | 'maxSkewMs' | 'now'>,
  ): readonly Candle[] {
    const said = this.#lastMinute ?? 0
    const recvTs = now()
    return rows.slice(0, -1).flatMap((row) => {
      const ts = startOf(row['time'], recvTs, maxSkewMs)
      if (ts === undefined) tally.leftOut(Buffer.from(JSON.stringify(row)), 'mistimed')
      if (ts === undefined || ts + MINUTE_US > recvTs || ts <= said) return []
      const known = { prices: pricesOf(row, HISTORY), closed: true }
      this.#note('1m', ts, known)
      return this.#candles('1m', ts, known)
    })
  }

  #of(interval: Interval): Map<number, Known> {
    const found = this.#known.get(interval) ?? new Map<number, Known>()
    this.#known.set(interval, found)
    return found
  }

  /** Closes what is forming. */
  #close(interval: Interval): readonly Candle[] {
    const candles = this.#of(interval)
    return [...candles]
      .filter(([, { closed }]) => !closed)
      .flatMap(([ts, { prices }]) => {
        const known = { prices, closed: true }
        candles.set(ts, known)
        this.#note(interval, ts, known)
        return this.#candles(interval, ts, known)
      })
  }

  #note(interval: Interval, ts: number, { closed, prices }: Known): void {
    if (interval === '1m' && closed && isWhole(prices)) this.#lastMinute = Math.max(this.#lastMinute ?? 0, ts)
  }

  /** The candle, or none while a field is missing. */
  #candles(interval: Interval, ts: number, { prices, closed }: Known): readonly Candle[] {
    if (!isWhole(prices)) return []
    const { exchange, symbol } = this.#market
    return [{ exchange, symbol, interval, ...prices, ts, closed, origin: 'source' }]
  }
}

type Whole = Required<Omit<Prices, 'trades'>> & Pick<Prices, 'trades'>

function isWhole(prices: Prices): prices is Whole {
  const { open, high, low, close, volume } = prices
  return [open, high, low, close, volume].every((field) => field !== undefined)
}

type FieldReader = readonly [field: keyof Prices, name: string, read: (value: unknown) => number | undefined]

/** What the fields are called in frames, and in the rows of a history. */
const LIVE: readonly FieldReader[] = [
  ['open', 'OPEN', readPrice],
  ['high', 'HIGH', readPrice],
  ['low', 'LOW', readPrice],
  ['close', 'CLOSE', readPrice],
  ['volume', 'VOLUMEFROM', readAmount],
  ['trades', 'TOTALTRADES', readCount],
]
const HISTORY: readonly FieldReader[] = [
  ['open', 'open', readPrice],
  ['high', 'high', readPrice],
  ['low', 'low', readPrice],
  ['close', 'close', readPrice],
  ['volume', 'volumefrom', readAmount],
]

/** The fields that can be read; one that is odd costs nothing but itself. */
function pricesOf(row: Readonly<Record<string, unknown>>, fields: readonly FieldReader[]): Prices {
  const prices: { -readonly [K in keyof Prices]: Prices[K] } = {}
  for (const [field, name, read] of fields) {
    const value = read(row[name])
    if (value !== undefined) prices[field] = value
  }
  return prices
}

/** The start of a candle in microseconds; undefined where it cannot be, or is no whole minute. */
function startOf(seconds: unknown, recvTs: number, maxSkewMs: number): number | undefined {
  const ts = micros(seconds)
  if (ts === undefined || ts % MINUTE_US !== 0) return undefined
  return isPlausible(ts, recvTs, maxSkewMs) ? ts : undefined
}
