import type { HistoryTrade, HistoryWire } from '../feed/trade-history.ts'
import { readById, rowsOf, unreadable } from '../feed/trade-history.ts'
import { readNumber } from '../feed/values.ts'
import { fieldsOf, listOf, microsOfEpoch, sideOfMaker } from '../feed/wire-fields.ts'
import { binanceWire } from './wire.ts'

const MOST_ROWS = 1_000

/**
 * Binance has all past trades of a market, by their ids. The first of a time is that of the first aggregate from then on.
 * Format: https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md
 */
export const binanceHistory: HistoryWire = {
  exchange: 'binance',
  // A question weighs 25 of 6,000 a minute.
  requestsPerSecond: 3,
  headers: { 'x-mbx-time-unit': 'MICROSECOND' },
  precision: 1,
  async *read(market, range, ask) {
    const symbol = binanceWire.nameOf(market)
    const startTime = String(Math.floor(range.from / 1_000))
    const [first] = rowsOf(await ask('/api/v3/aggTrades', { symbol, startTime, limit: '1' }), '')
    if (first === undefined) {
      yield { trades: [] }
      return
    }
    const [newest] = rowsOf(await ask('/api/v3/trades', { symbol, limit: '1' }), '').map(readRow)
    const [id, last] = [readNumber(fieldsOf(first)['f']), readNumber(newest?.id)]
    if (id === undefined || last === undefined) throw unreadable()
    const at = async (fromId: number): Promise<readonly HistoryTrade[]> => {
      const query = { symbol, fromId: String(fromId), limit: String(MOST_ROWS) }
      return rowsOf(await ask('/api/v3/historicalTrades', query), '').map(readRow)
    }
    yield* readById(range, id, last, { size: MOST_ROWS, at })
  },
  candles: {
    minutes: MOST_ROWS,
    async ask(market, { from, to }, ask) {
      const times = { startTime: String(from / 1_000), endTime: String(to / 1_000) }
      const query = { symbol: binanceWire.nameOf(market), interval: '1m', ...times, limit: String(MOST_ROWS) }
      return rowsOf(await ask('/api/v3/klines', query), '')
    },
    read(row) {
      const [time, open, high, low, close, volume, , , trades] = listOf(row)
      return { open, high, low, close, volume, trades, ts: microsOfEpoch(time) }
    },
  },
}

function readRow(row: unknown): HistoryTrade {
  const { id, price, qty: size, time, isBuyerMaker } = fieldsOf(row)
  return { row, id, price, size, side: sideOfMaker(isBuyerMaker), ts: microsOfEpoch(time) }
}
