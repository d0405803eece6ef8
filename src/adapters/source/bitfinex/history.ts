import type { HistoryTrade, HistoryWire } from '../feed/trade-history.ts'
import { rowsOf, unreadable } from '../feed/trade-history.ts'
import { readNumber } from '../feed/values.ts'
import { listOf, microsOfMillis } from '../feed/wire-fields.ts'
import { nameOf } from './wire.ts'

const MOST_ROWS = 10_000

/**
 * Bitfinex has all past trades of a market, by their times in milliseconds. An answer begins with the last time of the one before.
 * Format: https://docs.bitfinex.com/reference/rest-public-trades
 */
export const bitfinexHistory: HistoryWire = {
  exchange: 'bitfinex',
  // 15 a minute.
  requestsPerSecond: 0.25,
  precision: 1_000,
  async *read(symbol, range, ask) {
    const end = String(Math.floor(range.to / 1_000))
    for (let start = Math.floor(range.from / 1_000); ; ) {
      const query = { limit: String(MOST_ROWS), start: String(start), end, sort: '1' }
      const rows = rowsOfAnswer(await ask(`/trades/${nameOf(symbol)}/hist`, query))
      yield { trades: rows.map(readRow) }
      if (rows.length < MOST_ROWS) return
      const last = rows.map(timeOf).findLast((time) => time !== undefined)
      if (last === undefined) throw unreadable()
      start = Math.max(last, start + 1)
    }
  },
  // Minutes without a trade are left out.
  candles: {
    minutes: MOST_ROWS,
    async ask(symbol, { from, to }, ask) {
      const ends = { start: String(from / 1_000), end: String(to / 1_000) }
      const query = { ...ends, limit: String(MOST_ROWS), sort: '1' }
      return rowsOfAnswer(await ask(`/candles/trade:1m:${nameOf(symbol)}/hist`, query))
    },
    read(row) {
      const [time, open, close, high, low, volume] = listOf(row)
      return { open, high, low, close, volume, ts: microsOfMillis(time) }
    },
  },
}

/** Raises what the service says in place of rows: `["error", code, words]`. */
function rowsOfAnswer(answer: unknown): readonly unknown[] {
  const rows = rowsOf(answer, '')
  return rows[0] === 'error' ? rowsOf(undefined, rows[2]) : rows
}

const timeOf = (row: unknown) => readNumber(listOf(row)[1])

/** `[id, milliseconds, amount, price]`: the taker sold where the amount is below 0. */
function readRow(row: unknown): HistoryTrade {
  const [id, time, amount, price] = listOf(row)
  const size = readNumber(amount)
  const side = size === undefined ? undefined : size < 0 ? 'sell' : 'buy'
  return { row, id, price, size: size && Math.abs(size), side, ts: microsOfMillis(time) }
}
