import { z } from 'zod'
import type { Candle, Interval } from '../../../domain/events.ts'
import type { Market } from '../../../ports/source.ts'
import { micros } from './trades.ts'

const INTERVAL_OF: Readonly<Record<'m' | 'H' | 'D', Interval>> = { m: '1m', H: '1h', D: '1d' }

const pricesSchema = z.object({
  OPEN: z.number().optional(),
  HIGH: z.number().optional(),
  LOW: z.number().optional(),
  CLOSE: z.number().optional(),
  VOLUMEFROM: z.number().nonnegative().optional(),
  TOTALTRADES: z.number().int().nonnegative().optional(),
})

/** A frame of TYPE 24. */
export const candleFrameSchema = pricesSchema.extend({
  MARKET: z.string(),
  FROMSYMBOL: z.string(),
  TOSYMBOL: z.string(),
  TS: z.number().int(),
  UNIT: z.enum(['m', 'H', 'D']),
})

/** A row of histominute. */
export const historyRowSchema = z.object({
  time: z.number().int(),
  open: z.number(),
  high: z.number(),
  low: z.number(),
  close: z.number(),
  volumefrom: z.number().nonnegative(),
})

type Prices = z.infer<typeof pricesSchema>

interface Forming {
  readonly ts: number
  readonly prices: Prices
}

/**
 * The candles of one market. A candle is forming until one with a later start comes for the same interval: then it is said
 * once more, closed. Frames may name only some fields, so they are merged with what the same candle said before.
 */
export class CandleState {
  readonly #forming = new Map<Interval, Forming>()
  /** Start of the last candle said to be closed, in microseconds. */
  readonly #closedTs = new Map<Interval, number>()

  /** Forgets what is forming: after a hole its last state is not known, so nobody may call it closed. */
  forget(): void {
    this.#forming.clear()
  }

  /** Start of the last closed 1-minute candle, in microseconds; undefined before the first. */
  get lastMinute(): number | undefined {
    return this.#closedTs.get('1m')
  }

  /** The candles that a frame tells of; undefined where its time is none. */
  update(market: Market, frame: z.infer<typeof candleFrameSchema>): readonly Candle[] | undefined {
    const ts = micros(frame.TS)
    if (ts === undefined) return undefined
    const interval = INTERVAL_OF[frame.UNIT]
    const forming = this.#forming.get(interval)
    if (forming && ts < forming.ts) return candlesOf(market, interval, { ts, prices: frame }, true)
    const next = { ts, prices: forming?.ts === ts ? merged(forming.prices, frame) : frame }
    this.#forming.set(interval, next)
    const before = forming && forming.ts < ts ? this.#close(market, interval, forming) : []
    return [...before, ...candlesOf(market, interval, next, false)]
  }

  /** The closed 1-minute candles of a history (oldest first) that were not said yet. Its last row may still be forming. */
  history(market: Market, rows: readonly z.infer<typeof historyRowSchema>[]): readonly Candle[] {
    return rows.slice(0, -1).flatMap((row) => {
      const ts = micros(row.time)
      if (ts === undefined || row.open === 0 || ts <= (this.lastMinute ?? 0)) return []
      const { open: OPEN, high: HIGH, low: LOW, close: CLOSE, volumefrom: VOLUMEFROM } = row
      return this.#close(market, '1m', { ts, prices: { OPEN, HIGH, LOW, CLOSE, VOLUMEFROM } })
    })
  }

  #close(market: Market, interval: Interval, forming: Forming): readonly Candle[] {
    if (forming.ts <= (this.#closedTs.get(interval) ?? -1)) return []
    this.#closedTs.set(interval, forming.ts)
    return candlesOf(market, interval, forming, true)
  }
}

function merged(before: Prices, update: Prices): Prices {
  const known = Object.entries(update).filter(([, value]) => value !== undefined)
  return { ...before, ...Object.fromEntries(known) }
}

/** One candle, or none while a field is still missing. */
function candlesOf(market: Market, interval: Interval, forming: Forming, closed: boolean): Candle[] {
  const { OPEN, HIGH, LOW, CLOSE, VOLUMEFROM, TOTALTRADES } = forming.prices
  if (OPEN === undefined || HIGH === undefined || LOW === undefined || CLOSE === undefined) return []
  if (VOLUMEFROM === undefined) return []
  return [
    {
      exchange: market.exchange,
      symbol: market.symbol,
      interval,
      open: OPEN,
      high: HIGH,
      low: LOW,
      close: CLOSE,
      volume: VOLUMEFROM,
      ...(TOTALTRADES !== undefined && { trades: TOTALTRADES }),
      ts: forming.ts,
      closed,
      origin: 'source',
    },
  ]
}
