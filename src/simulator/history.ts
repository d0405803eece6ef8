import { type Candle, merged, periodStart, UNIT_SECONDS, type Unit } from './candles.ts'
import type { WalkClock } from './clock.ts'
import type { Instrument } from './instrument.ts'
import { hashText, mix32 } from './random.ts'

/** How often the curve is looked at for the high and the low of a synthetic candle. */
const SAMPLES = 8

/**
 * The candle of an instrument at `start` (seconds): what was traded since it began, before that a synthetic one from the same
 * price curve, always the same for the same seed. A period without a trade has the close before it and no volume;
 * `closeBefore` saves the search for that.
 */
export function historyCandle(
  instrument: Instrument,
  clock: WalkClock,
  unit: Unit,
  start: number,
  closeBefore?: number,
): Candle {
  const traded = instrument.candles.at(unit, start)
  if (traded) return traded
  const seconds = UNIT_SECONDS[unit]
  const { since } = instrument
  const oldest = instrument.candles.oldest(unit)
  const before = since === undefined || (start + seconds) * 1_000_000 <= since
  if (before || oldest === undefined || start < oldest) return synthetic(instrument, clock, unit, start)
  return empty(start, closeBefore ?? lastClose(instrument, unit, start, oldest))
}

/** `count` candles that end with the one that `to` (seconds) lies in, oldest first; each of `aggregate` periods. */
export function historyCandles(
  instrument: Instrument,
  clock: WalkClock,
  request: { readonly unit: Unit; readonly to: number; readonly count: number; readonly aggregate: number },
): Candle[] {
  const { unit, to, count, aggregate } = request
  const step = UNIT_SECONDS[unit] * aggregate
  const last = to - (to % step)
  const now = periodStart(unit, Math.floor(clock.wall / 1_000_000))
  let close: number | undefined
  return Array.from({ length: count }, (_, i) => {
    const start = last - (count - 1 - i) * step
    let whole = historyCandle(instrument, clock, unit, start, close)
    for (let part = 1; part < aggregate; part++) {
      const at = start + part * UNIT_SECONDS[unit]
      if (at <= now) whole = merged(whole, historyCandle(instrument, clock, unit, at, whole.close))
    }
    close = whole.close
    return whole
  })
}

function synthetic(instrument: Instrument, clock: WalkClock, unit: Unit, start: number): Candle {
  const seconds = UNIT_SECONDS[unit]
  const from = Math.round(clock.virtualAt(start * 1_000_000) / 1000)
  const prices = Array.from({ length: SAMPLES + 1 }, (_, i) =>
    instrument.curve(from + (i * seconds) / SAMPLES),
  )
  const noise = mix32(hashText(`${instrument.market} ${instrument.base}`) ^ Math.floor(from / seconds))
  const volume = ((instrument.dailyVolume * seconds) / 86_400) * (1 + noise / 2 ** 32)
  const open = prices[0] ?? 0
  const close = prices[SAMPLES] ?? open
  return {
    start,
    open,
    high: Math.max(...prices),
    low: Math.min(...prices),
    close,
    volume,
    volumeTo: (volume * (open + close)) / 2,
    trades: 0,
    firstTs: start * 1_000_000,
    lastTs: (start + seconds) * 1_000_000 - 1,
  }
}

/** A candle of a period in which nothing was traded. */
export function empty(start: number, price: number): Candle {
  return {
    start,
    open: price,
    high: price,
    low: price,
    close: price,
    volume: 0,
    volumeTo: 0,
    trades: 0,
    firstTs: start * 1_000_000,
    lastTs: start * 1_000_000,
  }
}

function lastClose(instrument: Instrument, unit: Unit, start: number, oldest: number): number {
  for (let at = start - UNIT_SECONDS[unit]; at >= oldest; at -= UNIT_SECONDS[unit]) {
    const candle = instrument.candles.at(unit, at)
    if (candle) return candle.close
  }
  return instrument.last?.trade.price ?? 0
}
