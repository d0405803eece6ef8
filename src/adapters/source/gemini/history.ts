import type { HistoryTrade, HistoryWire } from '../feed/trade-history.ts'
import { rowsOf, unreadable } from '../feed/trade-history.ts'
import { readNumber } from '../feed/values.ts'
import { fieldsOf, listOf, microsOfMillis, sideOf, textOf } from '../feed/wire-fields.ts'
import { nameOf } from './wire.ts'

const MOST_ROWS = 500

/** In microseconds. */
const REACH = 7 * 86_400 * 1_000_000

/**
 * Gemini has the trades of seven days, from a time or an id on. Its documentation does not say which of more than 500 an answer has: one that begins with the trade that
 * an answer of one has goes on from there.
 * Format: https://developer.gemini.com/trading/rest-api/market-data/list-trades
 */
export const geminiHistory: HistoryWire = {
  exchange: 'gemini',
  requestsPerSecond: 1,
  precision: 1_000,
  async *read(symbol, { from, to }, ask, now) {
    const trades = async (query: Readonly<Record<string, string>>): Promise<readonly HistoryTrade[]> => {
      const answer = await ask(`/v1/trades/${nameOf(symbol)}`, query)
      const rows = rowsOf(answer, fieldsOf(answer)['message']).map(readRow)
      return rows.toSorted((a, b) => (readNumber(a.id) ?? 0) - (readNumber(b.id) ?? 0))
    }
    const timestamp = String(Math.floor(Math.max(from, now - REACH) / 1_000))
    const limit = String(MOST_ROWS)
    let page = await trades({ timestamp, limit_trades: limit })
    let since = Math.max(from, now - REACH)
    if (page.length >= MOST_ROWS) {
      const [first] = await trades({ timestamp, limit_trades: '1' })
      if (first?.id !== page[0]?.id) since = (page[0]?.ts ?? to) + 1_000
    }
    for (;;) {
      yield { trades: page.filter(({ row }) => fieldsOf(row)['broken'] !== true), since }
      const last = readNumber(page.at(-1)?.id)
      if (page.length < MOST_ROWS || (page.at(-1)?.ts ?? to) > to) return
      if (last === undefined) throw unreadable()
      page = await trades({ since_tid: String(last), limit_trades: limit })
    }
  },
  // It heeds no times: an answer has the last 1,440 minutes or so.
  candles: {
    minutes: Number.POSITIVE_INFINITY,
    beginsAtFirst: true,
    async ask(symbol, _range, ask) {
      const answer = await ask(`/v2/candles/${nameOf(symbol)}/1m`, {})
      return rowsOf(answer, fieldsOf(answer)['message'])
    },
    read(row) {
      const [time, open, high, low, close, volume] = listOf(row)
      return { open, high, low, close, volume, ts: microsOfMillis(time) }
    },
  },
}

function readRow(row: unknown): HistoryTrade {
  const { tid: id, price, amount: size, type, timestampms } = fieldsOf(row)
  return { row, id, price, size, side: sideOf(textOf(type)), ts: microsOfMillis(timestampms) }
}
