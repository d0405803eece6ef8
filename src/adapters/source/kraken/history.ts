import type { HistoryTrade, HistoryWire } from '../feed/trade-history.ts'
import { rowsOf, unreadable } from '../feed/trade-history.ts'
import { readNumber } from '../feed/values.ts'
import { fieldsOf, listOf, microsOfSeconds, textOf } from '../feed/wire-fields.ts'
import { ownAsset } from './assets.ts'

const MOST_ROWS = 1_000

/** An answer has 720 rows, the last of them of the minute that runs; another may begin meanwhile. */
const MOST_CANDLES = 719

const SIDES = { b: 'buy', s: 'sell' } as const

/**
 * Kraken has all past trades of a market, by their times in nanoseconds. Several may have one time: an answer begins with the last time of the one before.
 * Format: https://docs.kraken.com/api/docs/rest-api/get-recent-trades
 */
export const krakenHistory: HistoryWire = {
  exchange: 'kraken',
  requestsPerSecond: 1,
  precision: 1,
  async *read(symbol, { from, to }, ask) {
    const pair = pairOf(symbol)
    for (let since = BigInt(from) * 1_000n - 1n; ; ) {
      const query = { pair, since: String(since), count: String(MOST_ROWS) }
      const { rows, last } = rowsOfMarket(await ask('/Trades', query))
      const trades = rows.map(readRow)
      yield { trades }
      if (rows.length < MOST_ROWS || (trades.at(-1)?.ts ?? to) > to) return
      const next = BigInt(/^\d+$/.test(textOf(last)) ? textOf(last) : 0) - 1n
      if (next <= since) throw unreadable()
      since = next
    }
  },
  candles: {
    minutes: MOST_CANDLES,
    reach: MOST_CANDLES,
    async ask(symbol, _range, ask) {
      return rowsOfMarket(await ask('/OHLC', { pair: pairOf(symbol), interval: '1' })).rows
    },
    read(row) {
      const [seconds, open, high, low, close, , volume, trades] = listOf(row)
      return { open, high, low, close, volume, trades, ts: microsOfSeconds(seconds) }
    },
  },
}

function pairOf(symbol: string): string {
  return symbol.split('-').map(ownAsset).join('')
}

/** What an answer has of the one market that it is about. */
function rowsOfMarket(value: unknown): { readonly rows: readonly unknown[]; readonly last: unknown } {
  const { result, error } = fieldsOf(value)
  const { last, ...markets } = fieldsOf(result)
  return { rows: rowsOf(Object.values(markets)[0], listOf(error)[0]), last }
}

/** `[price, size, seconds, b or s, m or l, text, id]`: seconds with up to nine digits after the point, cut to microseconds as those of the WebSocket. */
function readRow(row: unknown): HistoryTrade {
  const [price, size, seconds, side, , , id] = listOf(row)
  return { row, id, price, size, side: SIDES[side as keyof typeof SIDES], ts: microsOfExactSeconds(seconds) }
}

/** By the digits: a double of so many seconds is too coarse to be cut at the right place. */
function microsOfExactSeconds(seconds: unknown): number | undefined {
  const [, whole, fraction = ''] =
    /^(\d{1,10})(?:\.(\d+))?$/.exec(String(readNumber(seconds) && seconds)) ?? []
  return whole === undefined
    ? undefined
    : Number(whole) * 1_000_000 + Number(fraction.slice(0, 6).padEnd(6, '0'))
}
