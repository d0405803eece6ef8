import { isoMicros } from '../../../domain/time.ts'
import type { HistoryTrade, HistoryWire } from '../feed/trade-history.ts'
import { readById, rowsOf, unreadable } from '../feed/trade-history.ts'
import { readNumber } from '../feed/values.ts'
import { fieldsOf, listOf, microsOfIso, microsOfSeconds, sideOfMaker, textOf } from '../feed/wire-fields.ts'

const MOST_ROWS = 1_000

/**
 * Coinbase Exchange has all past trades of a market, the newest first, by their ids, which rise by one. A time is found by going back in growing steps, and then by halving.
 * Format: https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products/get-product-trades
 */
export const coinbaseHistory: HistoryWire = {
  exchange: 'coinbase',
  requestsPerSecond: 5,
  precision: 1,
  async *read(market, range, ask) {
    const trades = async (query: Readonly<Record<string, string>>): Promise<readonly HistoryTrade[]> => {
      const answer = await ask(`/products/${encodeURIComponent(market)}/trades`, query)
      return rowsOf(answer, fieldsOf(answer)['message']).map(readRow).toReversed()
    }
    const [newest] = await trades({ limit: '1' })
    const last = readNumber(newest?.id)
    /** Whether the trade with this id lies before the range: one that cannot be read may not. */
    const isBefore = async (id: number): Promise<boolean> => {
      const [trade] = await trades({ after: String(id + 1), limit: '1' })
      return trade === undefined || (trade.ts ?? Number.POSITIVE_INFINITY) < range.from
    }
    if (newest === undefined || (newest.ts !== undefined && newest.ts < range.from)) {
      yield { trades: [] }
      return
    }
    if (newest.ts === undefined || last === undefined) throw unreadable()
    let [before, inside] = [last, last]
    for (let step = MOST_ROWS; before > 0 && (before === last || !(await isBefore(before))); step *= 4) {
      inside = before
      before = Math.max(0, before - step)
    }
    while (inside - before > MOST_ROWS) {
      const middle = Math.floor((before + inside) / 2)
      if (await isBefore(middle)) before = middle
      else inside = middle
    }
    const at = (first: number): Promise<readonly HistoryTrade[]> =>
      trades({ after: String(first + MOST_ROWS), limit: String(MOST_ROWS) })
    yield* readById(range, before + 1, last, { size: MOST_ROWS, at })
  },
  // Minutes without a trade are left out.
  candles: {
    minutes: 300,
    async ask(market, { from, to }, ask) {
      const query = { granularity: '60', start: isoMicros(from), end: isoMicros(to) }
      const answer = await ask(`/products/${encodeURIComponent(market)}/candles`, query)
      return rowsOf(answer, fieldsOf(answer)['message'])
    },
    read(row) {
      const [seconds, low, high, open, close, volume] = listOf(row)
      return { open, high, low, close, volume, ts: microsOfSeconds(seconds) }
    },
  },
}

/** The side is the maker's. */
function readRow(row: unknown): HistoryTrade {
  const { trade_id: id, side, size, price, time } = fieldsOf(row)
  const isBuyer = textOf(side) === '' ? undefined : side === 'buy'
  return { row, id, price, size, side: sideOfMaker(isBuyer), ts: microsOfIso(time) }
}
