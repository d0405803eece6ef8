import type { HistoryTrade, HistoryWire } from '../feed/trade-history.ts'
import { rowsOf } from '../feed/trade-history.ts'
import { fieldsOf, microsOfEpoch, sideOf, textOf } from '../feed/wire-fields.ts'
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
      const rows = rowsOf(answer, fieldsOf(answer)['message']).filter(
        (row) => fieldsOf(row)['broken'] !== true,
      )
      return rows.map(readRow).toSorted((a, b) => Number(a.id) - Number(b.id))
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
      yield { trades: page, since }
      const last = page.at(-1)
      if (page.length < MOST_ROWS || last?.ts === undefined || last.ts > to) return
      page = await trades({ since_tid: String(last.id), limit_trades: limit })
    }
  },
}

function readRow(row: unknown): HistoryTrade {
  const { tid: id, price, amount: size, type, timestampms } = fieldsOf(row)
  return { id, price, size, side: sideOf(textOf(type)), ts: microsOfEpoch(timestampms) }
}
