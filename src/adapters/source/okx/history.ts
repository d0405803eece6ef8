import { sumOfDecimals } from '../feed/exact-numbers.ts'
import type { HistoryTrade, HistoryWire } from '../feed/trade-history.ts'
import { readById, rowsOf } from '../feed/trade-history.ts'
import { readNumber } from '../feed/values.ts'
import { fieldsOf, listOf, microsOfMillis, sideOf } from '../feed/wire-fields.ts'

const MOST_ROWS = 100
const PATH = '/api/v5/market/history-trades'

/**
 * OKX has the trades of three months, the newest first, by their ids. The WebSocket folds the fills of one order at one price; so does this.
 * Format: https://www.okx.com/docs-v5/en/#public-data-rest-api
 */
export const okxHistory: HistoryWire = {
  exchange: 'okx',
  requestsPerSecond: 8,
  precision: 1_000,
  async *read(instId, range, ask) {
    const trades = async (query: Readonly<Record<string, string>>): Promise<readonly HistoryTrade[]> => {
      const { data, msg } = fieldsOf(await ask(PATH, { instId, ...query }))
      return rowsOf(data, msg).map(readRow).toReversed()
    }
    /** The id of the last trade before a time. */
    const idBefore = async (ts: number): Promise<number | undefined> => {
      const [trade] = await trades({ type: '2', after: String(Math.floor(ts / 1_000)), limit: '1' })
      return readNumber(trade?.id)
    }
    const first = await idBefore(range.from)
    const last = await idBefore(range.to + 1_000)
    if (first === undefined || last === undefined) {
      // It has nothing before: nobody can tell where what it has begins.
      yield { trades: [], since: range.to + 1 }
      return
    }
    const at = async (id: number): Promise<readonly HistoryTrade[]> => {
      const query = { type: '1', after: String(id + MOST_ROWS), limit: String(MOST_ROWS) }
      return (await trades(query)).filter((trade) => !(Number(trade.id) < id))
    }
    /** The last fills of an answer: the next one may go on with them. */
    let open: readonly HistoryTrade[] = []
    for await (const answer of readById(range, first + 1, last, { size: MOST_ROWS, at })) {
      const orders = ordersOf([...open, ...answer.trades])
      open = orders.at(-1) ?? []
      yield { trades: orders.slice(0, -1).map(fold) }
    }
    yield { trades: open.length === 0 ? [] : [fold(open)] }
  },
  candles: {
    minutes: MOST_ROWS,
    async ask(instId, { from, to }, ask) {
      // Both ends are left out.
      const ends = { before: String(from / 1_000 - 1), after: String(to / 1_000 + 1) }
      const query = { instId, bar: '1m', ...ends, limit: String(MOST_ROWS) }
      const { data, msg } = fieldsOf(await ask('/api/v5/market/history-candles', query))
      return rowsOf(data, msg)
    },
    read(row) {
      const [time, open, high, low, close, volume] = listOf(row)
      return { open, high, low, close, volume, ts: microsOfMillis(time) }
    },
  },
}

function readRow(row: unknown): HistoryTrade {
  const { tradeId: id, px: price, sz: size, side, ts } = fieldsOf(row)
  return { row, id, price, size, side: sideOf(side), ts: microsOfMillis(ts) }
}

/** Fills that follow one another, by order. */
function ordersOf(fills: readonly HistoryTrade[]): readonly (readonly HistoryTrade[])[] {
  const orders: HistoryTrade[][] = []
  for (const fill of fills) {
    const order = orders.at(-1)
    const former = order?.at(-1)
    if (order !== undefined && former !== undefined && isOfOneOrder(former, fill)) order.push(fill)
    else orders.push([fill])
  }
  return orders
}

function isOfOneOrder(a: HistoryTrade, b: HistoryTrade): boolean {
  const isNext = Number(b.id) === Number(a.id) + 1
  return isNext && a.price === b.price && a.side === b.side && a.ts === b.ts
}

/** The id of a folded trade is that of its last fill. */
function fold(fills: readonly HistoryTrade[]): HistoryTrade {
  const last = fills.at(-1) as HistoryTrade
  if (fills.length === 1) return last
  return { ...last, size: sumOfDecimals(fills.map(({ size }) => size)) }
}
