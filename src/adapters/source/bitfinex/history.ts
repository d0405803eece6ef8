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
      const answer = await ask(`/trades/${nameOf(symbol)}/hist`, query)
      const rows = rowsOf(answer, '')
      if (rows[0] === 'error') rowsOf(undefined, rows[2])
      yield { trades: rows.map(readRow) }
      if (rows.length < MOST_ROWS) return
      const last = rows.map(timeOf).findLast((time) => time !== undefined)
      if (last === undefined) throw unreadable()
      start = Math.max(last, start + 1)
    }
  },
}

const timeOf = (row: unknown) => readNumber(listOf(row)[1])

/** `[id, milliseconds, amount, price]`: the taker sold where the amount is below 0. */
function readRow(row: unknown): HistoryTrade {
  const [id, time, amount, price] = listOf(row)
  const size = readNumber(amount)
  const side = size === undefined ? undefined : size < 0 ? 'sell' : 'buy'
  return { row, id, price, size: size && Math.abs(size), side, ts: microsOfMillis(time) }
}
