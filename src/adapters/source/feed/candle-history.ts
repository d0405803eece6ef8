import type { Candle } from '../../../domain/events.ts'
import type { HistoryPage, Market } from '../../../ports/source.ts'
import { isPlausible, MAX_SKEW_MS } from './event-time.ts'
import type { AskRest, LeftOut, TimeRange } from './past.ts'
import type { Fault } from './tally.ts'
import { readAmount, readCount, readPrice } from './values.ts'

/** A minute in microseconds. */
export const MINUTE_US = 60_000_000

/** A candle is taken so long after its end, in microseconds: before, clocks that differ and trades that come late may still change it. */
const SETTLED_US = MINUTE_US

/** A past candle as an answer has it: what its fields hold is checked by who reads it. */
interface HistoryCandle extends Readonly<Record<'open' | 'high' | 'low' | 'close' | 'volume', unknown>> {
  /** Left out where the service does not count them. */
  readonly trades?: unknown
  /** Start, in microseconds. */
  readonly ts: number | undefined
}

/** How far back a service has candles of a minute, how many an answer has, and how its rows are read. */
export interface CandleRows {
  /** One answer has so many minutes. */
  readonly minutes: number
  /** The service has so many of the last minutes; left out where it has all. */
  readonly reach?: number
  /** Only its answers tell how far back it has them: what lies before the first candle may be missing. */
  readonly beginsAtFirst?: true
  /** Undefined where the row says that there is no candle. */
  read(row: unknown): HistoryCandle | undefined
}

/** How one exchange gives the closed candles of a minute, by the times of their starts. */
export interface CandleWire extends CandleRows {
  /** Asks for the minutes that begin in a range (whole minutes, ends included, at most `minutes` of them). Gives the rows in any order. */
  ask(symbol: string, range: TimeRange, ask: AskRest): Promise<readonly unknown[]>
}

interface CandleParts {
  /** Asks for the minutes of a range, as `CandleWire` does. */
  readonly ask: (range: TimeRange) => Promise<readonly unknown[]>
  /** Microseconds since the epoch. */
  readonly now: () => number
  readonly leftOut: LeftOut
}

/** The candles of a minute that begin in a range, the oldest first. */
export async function* readCandles(
  wire: CandleRows,
  market: Market,
  range: TimeRange,
  { ask, now, leftOut }: CandleParts,
): AsyncGenerator<HistoryPage> {
  const asOf = now()
  const settled = asOf - MINUTE_US - SETTLED_US
  const last = minuteOf(Math.min(range.to, settled))
  const earliest = wire.reach === undefined ? 0 : minuteOf(asOf) - (wire.reach - 1) * MINUTE_US
  let since = Math.max(range.from, earliest)
  let hasBegun = wire.beginsAtFirst === undefined
  let start = minuteOf(since + MINUTE_US - 1)
  if (start > last) yield { events: [], since }
  for (; start <= last; start += wire.minutes * MINUTE_US) {
    const window = { from: start, to: Math.min(last, start + (wire.minutes - 1) * MINUTE_US) }
    const rows = await ask(window)
    const candles = rows.flatMap((row) => {
      const read = wire.read(row)
      if (read === undefined) return []
      const candle = candleOf(market, read, now())
      if (typeof candle === 'string') leftOut(row, candle)
      return typeof candle === 'string' || candle.ts < window.from || candle.ts > window.to ? [] : candle
    })
    const sorted = candles.toSorted((a, b) => a.ts - b.ts)
    const begin = sorted[0]?.ts ?? window.to + MINUTE_US
    if (!hasBegun && begin > window.from) since = begin
    hasBegun ||= sorted.length > 0
    yield { events: sorted.map((event) => ({ channel: 'candle', event })), since }
  }
}

function minuteOf(ts: number): number {
  return ts - (ts % MINUTE_US)
}

function candleOf({ exchange, symbol }: Market, read: HistoryCandle, recvTs: number): Candle | Fault {
  const { ts } = read
  const [open, high, low, close] = [read.open, read.high, read.low, read.close].map(readPrice)
  const volume = readAmount(read.volume)
  const trades = readCount(read.trades)
  if (open === undefined || high === undefined || low === undefined || close === undefined) return 'malformed'
  if (volume === undefined || ts === undefined) return 'malformed'
  if (low > Math.min(open, close) || high < Math.max(open, close)) return 'malformed'
  if (ts % MINUTE_US !== 0 || !isPlausible(ts, recvTs, MAX_SKEW_MS)) return 'mistimed'
  const prices = { open, high, low, close, volume, ...(trades !== undefined && { trades }) }
  return { exchange, symbol, interval: '1m', ...prices, ts, closed: true, origin: 'source' }
}
