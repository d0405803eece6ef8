/** The wire's names of the lengths of candles. */
const UNITS = ['m', 'H', 'D'] as const
export type Unit = (typeof UNITS)[number]

export const UNIT_SECONDS: Readonly<Record<Unit, number>> = { m: 60, H: 3_600, D: 86_400 }

/** How many closed candles of a unit are kept; what is older is synthetic again. */
const KEPT: Readonly<Record<Unit, number>> = { m: 2_880, H: 744, D: 2_000 }

export interface Candle {
  /** Start in seconds since the epoch. */
  readonly start: number
  open: number
  high: number
  low: number
  close: number
  /** In the base. */
  volume: number
  /** In the quote. */
  volumeTo: number
  trades: number
  /** Microseconds since the epoch of the first and the last trade. */
  firstTs: number
  lastTs: number
}

/** The candles of one market, from its emitted trades alone. Trades come in the order of their times. */
export class CandleSeries {
  readonly #closed: Readonly<Record<Unit, Map<number, Candle>>> = { m: new Map(), H: new Map(), D: new Map() }
  #minute: Candle | undefined
  #minuteEnd = 0

  /** `ts` in microseconds; `size` in the base, `total` in the quote. */
  add(ts: number, price: number, size: number, total: number): void {
    const minute = this.#minute
    if (minute === undefined || ts >= this.#minuteEnd) {
      this.#open(ts, price, size, total)
      return
    }
    if (price > minute.high) minute.high = price
    else if (price < minute.low) minute.low = price
    minute.close = price
    minute.volume += size
    minute.volumeTo += total
    minute.trades++
    minute.lastTs = ts
  }

  /** The candle that starts at `start` (seconds), closed or still forming; undefined where nothing was traded in it. */
  at(unit: Unit, start: number): Candle | undefined {
    const closed = this.#closed[unit].get(start)
    const minute = this.#minute
    if (minute === undefined || periodStart(unit, minute.start) !== start) return closed
    return closed === undefined ? { ...minute, start } : merged(closed, minute)
  }

  /** Start (seconds) of the first candle kept; undefined before the first trade. */
  oldest(unit: Unit): number | undefined {
    const [first] = this.#closed[unit].keys()
    return first ?? (this.#minute && periodStart(unit, this.#minute.start))
  }

  #open(ts: number, price: number, size: number, total: number): void {
    if (this.#minute !== undefined) this.#close(this.#minute)
    const start = Math.floor(ts / 60_000_000) * 60
    this.#minuteEnd = (start + 60) * 1_000_000
    this.#minute = {
      start,
      open: price,
      high: price,
      low: price,
      close: price,
      volume: size,
      volumeTo: total,
      trades: 1,
      firstTs: ts,
      lastTs: ts,
    }
  }

  #close(minute: Candle): void {
    for (const unit of UNITS) {
      const kept = this.#closed[unit]
      const start = periodStart(unit, minute.start)
      const before = kept.get(start)
      kept.set(start, before === undefined ? { ...minute, start } : merged(before, minute))
      if (kept.size > KEPT[unit]) {
        const [oldest] = kept.keys()
        if (oldest !== undefined) kept.delete(oldest)
      }
    }
  }
}

/** Start of the period that a time lies in, both in seconds. */
export function periodStart(unit: Unit, seconds: number): number {
  return seconds - (seconds % UNIT_SECONDS[unit])
}

/** Two candles, the first earlier, as one that has the start of the first. */
export function merged(first: Candle, second: Candle): Candle {
  return {
    start: first.start,
    open: first.open,
    high: Math.max(first.high, second.high),
    low: Math.min(first.low, second.low),
    close: second.close,
    volume: first.volume + second.volume,
    volumeTo: first.volumeTo + second.volumeTo,
    trades: first.trades + second.trades,
    firstTs: first.firstTs,
    lastTs: second.lastTs,
  }
}
