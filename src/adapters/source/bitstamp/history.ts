import type { Trade } from '../../../domain/events.ts'
import { MINUTE_US } from '../feed/candle-history.ts'
import type { HistoryTrade, HistoryWire } from '../feed/trade-history.ts'
import { rowsOf } from '../feed/trade-history.ts'
import { fieldsOf, microsOfSeconds } from '../feed/wire-fields.ts'
import { nameOf } from './wire.ts'

const SECOND = 1_000_000
const MOST_CANDLES = 1_000

/** The spans that may be asked for, in microseconds. */
const SPANS = [
  ['minute', MINUTE_US],
  ['hour', 3_600 * SECOND],
  ['day', 86_400 * SECOND],
] as const

/** So much of a span may be over by the time that the answer is made: the clocks differ. */
const MARGIN = 10 * SECOND

const SIDES: ReadonlyMap<string, Trade['side']> = new Map([
  ['0', 'buy'],
  ['1', 'sell'],
])

/**
 * Bitstamp has the trades of the last minute, hour or day, the newest first, with times in whole seconds.
 * Format: https://www.bitstamp.net/api/
 */
export const bitstampHistory: HistoryWire = {
  exchange: 'bitstamp',
  requestsPerSecond: 10,
  precision: SECOND,
  async *read(market, { from }, ask, now) {
    const reach = (length: number): number => now - length + MARGIN
    const [time, length] = SPANS.find(([, each]) => reach(each) <= from) ?? SPANS[2]
    const answer = await ask(`/transactions/${nameOf(market)}/`, { time })
    const trades = rowsOf(answer, fieldsOf(answer)['reason']).map(readRow).toReversed()
    yield { trades, since: Math.max(from, reach(length)) }
  },
  candles: {
    minutes: MOST_CANDLES,
    async ask(market, { from, to }, ask) {
      // Of a beginning and an end it heeds the end alone. Whether that is included is not said: it lies within the last minute.
      const end = String(to / SECOND + 59)
      const limit = String((to - from) / MINUTE_US + 1)
      const answer = await ask(`/ohlc/${nameOf(market)}/`, { step: '60', limit, end })
      const { data, reason } = fieldsOf(answer)
      return rowsOf(fieldsOf(data)['ohlc'], reason)
    },
    read(row) {
      const { open, high, low, close, volume, timestamp } = fieldsOf(row)
      return { open, high, low, close, volume, ts: microsOfSeconds(timestamp) }
    },
  },
}

function readRow(row: unknown): HistoryTrade {
  const { tid: id, price, amount: size, type, date } = fieldsOf(row)
  return { row, id, price, size, side: SIDES.get(String(type)), ts: microsOfSeconds(date) }
}
