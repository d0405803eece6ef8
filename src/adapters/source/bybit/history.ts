import type { HistoryTrade, HistoryWire } from '../feed/trade-history.ts'
import { rowsOf } from '../feed/trade-history.ts'
import { fieldsOf, listOf, microsOfMillis, sideOf } from '../feed/wire-fields.ts'
import { bybitWire } from './wire.ts'

const MOST_ROWS = 60

/**
 * Bybit has the last 60 trades of a market, and no page before them.
 * Format: https://bybit-exchange.github.io/docs/v5/market/recent-trade
 */
export const bybitHistory: HistoryWire = {
  exchange: 'bybit',
  requestsPerSecond: 10,
  precision: 1_000,
  async *read(market, range, ask) {
    const query = { category: 'spot', symbol: bybitWire.nameOf(market), limit: String(MOST_ROWS) }
    const { result, retMsg } = fieldsOf(await ask('/v5/market/recent-trade', query))
    const trades = rowsOf(fieldsOf(result)['list'], retMsg).map(readRow).toReversed()
    // Of its millisecond the oldest may not be all.
    const oldest = trades.find(({ ts }) => ts !== undefined)?.ts ?? range.to
    const since = trades.length < MOST_ROWS ? range.from : oldest + 1_000
    yield { trades, since }
  },
  candles: {
    minutes: 1_000,
    async ask(market, { from, to }, ask) {
      const times = { start: String(from / 1_000), end: String(to / 1_000), limit: '1000' }
      const query = { category: 'spot', symbol: bybitWire.nameOf(market), interval: '1', ...times }
      const { result, retMsg } = fieldsOf(await ask('/v5/market/kline', query))
      return rowsOf(fieldsOf(result)['list'], retMsg)
    },
    read(row) {
      const [time, open, high, low, close, volume] = listOf(row)
      return { open, high, low, close, volume, ts: microsOfMillis(time) }
    },
  },
}

function readRow(row: unknown): HistoryTrade {
  const { execId: id, price, size, side, time } = fieldsOf(row)
  return { row, id, price, size, side: sideOf(side), ts: microsOfMillis(time) }
}
