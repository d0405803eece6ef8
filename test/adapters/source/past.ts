import type { SourceName } from '../../../src/adapters/source/index.ts'
import { isoMicros } from '../../../src/domain/time.ts'
import type { RestAnswer } from './service.ts'

/** A trade that an exchange had. */
export interface PastTrade {
  readonly id: number
  readonly side: 'buy' | 'sell'
  readonly price: number
  readonly size: number
  /** Microseconds. */
  readonly ts: number
}

/** How the exchanges answer for the trades of the past, for a small service of a test: written by their documentation, not by our readers. */
export type PastOf = (url: URL, trades: readonly PastTrade[], nowMs: number) => unknown

const newestFirst = <T>(rows: readonly T[]): readonly T[] => rows.toReversed()

const binance: PastOf = ({ pathname, searchParams: asked }, trades) => {
  const limit = Number(asked.get('limit'))
  const row = ({ id, price, size, side, ts }: PastTrade) => ({
    ...{ id, price: String(price), qty: String(size), quoteQty: '1', time: ts },
    ...{ isBuyerMaker: side === 'sell', isBestMatch: true },
  })
  switch (pathname) {
    case '/api/v3/aggTrades': {
      const start = Number(asked.get('startTime')) * 1_000
      return trades
        .filter(({ ts }) => ts >= start)
        .slice(0, limit)
        .map(({ id, price, size, ts }) => ({ a: id, p: String(price), q: String(size), f: id, l: id, T: ts }))
    }
    case '/api/v3/historicalTrades':
      return trades
        .filter(({ id }) => id >= Number(asked.get('fromId')))
        .slice(0, limit)
        .map(row)
    default:
      return trades.slice(-limit).map(row)
  }
}

/** `before` would give the newest ones: only `after` pages. */
const coinbase: PastOf = ({ searchParams: asked }, trades) => {
  const after = Number(asked.get('after') ?? Number.POSITIVE_INFINITY)
  const rows = trades.filter(({ id }) => id < after).slice(-Number(asked.get('limit')))
  return newestFirst(rows).map(({ id, price, size, side, ts }) => ({
    ...{ trade_id: id, price: String(price), size: String(size), time: isoMicros(ts) },
    side: side === 'buy' ? 'sell' : 'buy',
  }))
}

const kraken: PastOf = ({ searchParams: asked }, trades) => {
  if (asked.get('pair') !== 'XBTUSD') return { error: ['EQuery:Unknown asset pair'] }
  const since = BigInt(asked.get('since') ?? 0)
  const rows = trades
    .filter(({ ts }) => BigInt(ts) * 1_000n > since)
    .slice(0, Number(asked.get('count')))
    .map(({ id, price, size, side, ts }) => [
      ...[price.toFixed(1), size.toFixed(8), ts / 1e6, side === 'buy' ? 'b' : 's', 'l', '', id],
    ])
  const last = trades.find(({ id }) => id === rows.at(-1)?.at(-1))
  return { error: [], result: { XXBTZUSD: rows, last: last ? `${last.ts}000` : String(since) } }
}

/** Each trade as two fills of one order, as the WebSocket folds them: the second has the id of the trade. */
const okx: PastOf = ({ searchParams: asked }, trades) => {
  const after = Number(asked.get('after'))
  const rows = trades
    .flatMap(({ id, price, size, side, ts }) =>
      [id * 2 - 1, id * 2].map((each) => ({
        ...{ instId: 'BTC-USD', tradeId: String(each), px: String(price), sz: String(size / 2), side },
        ts: String(Math.floor(ts / 1_000)),
      })),
    )
    .filter(({ tradeId, ts }) => (asked.get('type') === '2' ? Number(ts) : Number(tradeId)) < after)
    .slice(-Number(asked.get('limit') ?? 100))
  return { code: '0', msg: '', data: newestFirst(rows) }
}

const bybit: PastOf = ({ searchParams: asked }, trades) => {
  const list = newestFirst(trades.slice(-Number(asked.get('limit')))).map(
    ({ id, price, size, side, ts }) => ({
      ...{ execId: String(id), symbol: 'BTCUSD', price: String(price), size: String(size) },
      ...{ side: side === 'buy' ? 'Buy' : 'Sell', time: String(Math.floor(ts / 1_000)), isBlockTrade: false },
    }),
  )
  return { retCode: 0, retMsg: 'OK', result: { category: 'spot', list } }
}

const SPANS: Readonly<Record<string, number>> = { minute: 60, hour: 3_600, day: 86_400 }

const bitstamp: PastOf = ({ searchParams: asked }, trades, nowMs) => {
  const begin = nowMs / 1_000 - (SPANS[asked.get('time') ?? 'hour'] ?? 0)
  return newestFirst(trades)
    .map(({ id, price, size, side, ts }) => ({
      ...{ date: String(Math.floor(ts / 1e6)), tid: String(id), price: String(price), amount: String(size) },
      type: side === 'buy' ? '0' : '1',
    }))
    .filter(({ date }) => Number(date) >= begin)
}

const bitfinex: PastOf = ({ searchParams: asked }, trades) =>
  trades
    .map(({ id, price, size, side, ts }) => [
      ...[id, Math.floor(ts / 1_000), side === 'buy' ? size : -size, price],
    ])
    .filter(([, ms = 0]) => ms >= Number(asked.get('start')) && ms <= Number(asked.get('end')))
    .slice(0, Number(asked.get('limit')))

const gemini: PastOf = ({ searchParams: asked }, trades) => {
  const tid = asked.get('since_tid')
  const from = Number(asked.get('timestamp'))
  const rows = trades
    .filter(({ id, ts }) => (tid === null ? Math.floor(ts / 1_000) >= from : id > Number(tid)))
    .slice(0, Number(asked.get('limit_trades')))
  return newestFirst(rows).map(({ id, price, size, side, ts }) => ({
    ...{ timestamp: Math.floor(ts / 1e6), timestampms: Math.floor(ts / 1_000), tid: id },
    ...{ price: String(price), amount: String(size), exchange: 'gemini', type: side, broken: false },
  }))
}

export const PASTS: Readonly<Partial<Record<SourceName, PastOf>>> = {
  ...{ binance, bitfinex, bitstamp, bybit, coinbase, gemini, kraken, okx },
}

/** The id of a past trade as the source gives it. */
export function pastId(name: string, { id }: PastTrade): string {
  return String(name === 'okx' ? id * 2 : id)
}

/** What a service answers by REST of its past. */
export function answerPast(name: SourceName, url: URL, trades: readonly PastTrade[]): RestAnswer {
  const past = PASTS[name]
  return past ? { body: past(url, trades, Date.now()) } : { status: 404, body: { message: 'NotFound' } }
}
