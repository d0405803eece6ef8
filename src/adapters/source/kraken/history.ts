import type { HistoryTrade, HistoryWire } from '../feed/trade-history.ts'
import { rowsOf, unreadable } from '../feed/trade-history.ts'
import { readNumber } from '../feed/values.ts'
import { fieldsOf, listOf, textOf } from '../feed/wire-fields.ts'
import { ownAsset } from './assets.ts'

const MOST_ROWS = 1_000

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
    const pair = symbol.split('-').map(ownAsset).join('')
    for (let since = BigInt(from) * 1_000n - 1n; ; ) {
      const answer = fieldsOf(await ask('/Trades', { pair, since: String(since), count: String(MOST_ROWS) }))
      const { last, ...markets } = fieldsOf(answer['result'])
      const rows = rowsOf(Object.values(markets)[0], listOf(answer['error'])[0])
      const trades = rows.map(readRow)
      yield { trades }
      if (rows.length < MOST_ROWS || (trades.at(-1)?.ts ?? to) > to) return
      const next = BigInt(/^\d+$/.test(textOf(last)) ? textOf(last) : 0) - 1n
      if (next <= since) throw unreadable()
      since = next
    }
  },
}

/** `[price, size, seconds, b or s, m or l, text, id]`: seconds with up to nine digits after the point, cut to microseconds as those of the WebSocket. */
function readRow(row: unknown): HistoryTrade {
  const [price, size, seconds, side, , , id] = listOf(row)
  return { row, id, price, size, side: SIDES[side as keyof typeof SIDES], ts: microsOfSeconds(seconds) }
}

/** By the digits: a double of so many seconds is too coarse to be cut at the right place. */
function microsOfSeconds(seconds: unknown): number | undefined {
  const [, whole, fraction = ''] =
    /^(\d{1,10})(?:\.(\d+))?$/.exec(String(readNumber(seconds) && seconds)) ?? []
  return whole === undefined
    ? undefined
    : Number(whole) * 1_000_000 + Number(fraction.slice(0, 6).padEnd(6, '0'))
}
