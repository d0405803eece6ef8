import { z } from 'zod'
import {
  candleTexts,
  type Dialect,
  decimal,
  decimalOrZero,
  isQuote,
  joined,
  numeric,
  type PastTrade,
  stepOf,
  type ToldChannel,
  type Topic,
  textRows,
} from './dialect.ts'

const requestSchema = z.object({
  method: z.enum(['SUBSCRIBE', 'UNSUBSCRIBE']),
  params: z.array(z.string()),
  id: z.unknown(),
})

const STREAMS: ReadonlyMap<string, ToldChannel> = new Map([
  ['trade', 'trade'],
  ['bookTicker', 'quote'],
  ['depth@100ms', 'book'],
  ['depth', 'book'],
])

const streamSchema = z.object({ stream: z.string() })

function topicOf(stream: string): Topic | undefined {
  const [market = '', name = ''] = stream.split(/@(.*)/s)
  const channel = STREAMS.get(name)
  return channel && { channel, name: market.toUpperCase() }
}

/** A market that it does not have is taken, and stays silent. Times are in microseconds, as `timeUnit=MICROSECOND` asks for. */
export const binance: Dialect = {
  exchange: 'binance',
  timeStep: 1,
  limits: { framesPerSecond: 5, topics: 1_024 },
  nameOf: joined,
  frame(line) {
    const s = joined(line.symbol)
    if (isQuote(line)) {
      const { bid, bidSize = 1.5, ask, askSize = 1.5 } = line.ticker
      const sizes = {
        B: decimalOrZero(typeof bid === 'number' ? bidSize : bid),
        A: decimalOrZero(typeof ask === 'number' ? askSize : ask),
      }
      const data = { u: line.ts, s, b: decimalOrZero(bid), a: decimalOrZero(ask), ...sizes }
      return { stream: `${s.toLowerCase()}@bookTicker`, data }
    }
    const { id, price, size, side, ts } = line
    const data = {
      ...{ e: 'trade', E: ts, s, t: numeric(id), p: decimal(price), q: decimal(size) },
      ...{ T: ts, m: side === 'sell', M: true },
    }
    return { stream: `${s.toLowerCase()}@trade`, data }
  },
  asks(frame) {
    const { data } = requestSchema.safeParse(frame)
    if (data === undefined) return undefined
    const topics = data.params.flatMap((stream) => topicOf(stream) ?? [])
    return { op: data.method === 'SUBSCRIBE' ? 'subscribe' : 'unsubscribe', topics }
  },
  answer: (frame) => [{ result: null, id: (frame as { id?: unknown }).id }],
  reply: (frame) => {
    const { data } = z.object({ method: z.literal('LIST_SUBSCRIPTIONS'), id: z.unknown() }).safeParse(frame)
    return data === undefined
      ? { error: { code: 2, msg: 'Invalid request: unknown variant' } }
      : { result: [], id: data.id }
  },
  books: {
    change: ({ symbol, number, ts, levels }) => [
      {
        stream: `${joined(symbol).toLowerCase()}@depth@100ms`,
        data: {
          ...{ e: 'depthUpdate', E: ts, s: joined(symbol), U: number, u: number },
          ...{ b: textRows(levels.bids), a: textRows(levels.asks) },
        },
      },
    ],
    rest: {
      asks: ({ pathname, searchParams }) =>
        pathname === '/api/v3/depth' ? (searchParams.get('symbol') ?? '') : undefined,
      answer: ({ number, whole }) => ({
        ...{ lastUpdateId: number, bids: textRows(whole.bids), asks: textRows(whole.asks) },
      }),
    },
  },
  listing: {
    path: '/api/v3/exchangeInfo',
    answer: (markets) => ({
      symbols: markets.map(({ symbol, base, quote, decimals }) => ({
        ...{ symbol: joined(symbol), status: 'TRADING', baseAsset: base, quoteAsset: quote },
        filters: [
          { filterType: 'PRICE_FILTER', tickSize: stepOf(decimals.price) },
          { filterType: 'LOT_SIZE', stepSize: stepOf(decimals.size) },
        ],
      })),
    }),
  },
  recorded: () => (frame) => {
    const { data } = streamSchema.safeParse(frame)
    const topic = data && topicOf(data.stream)
    return topic && { topic }
  },
  candles: {
    asks: ({ pathname, searchParams }) =>
      pathname === '/api/v3/klines' && searchParams.get('interval') === '1m'
        ? (searchParams.get('symbol') ?? '')
        : undefined,
    answer: ({ searchParams: asked }, candles) =>
      candles
        .filter(({ start }) => start * 1_000 >= Number(asked.get('startTime')))
        .filter(({ start }) => start * 1_000 <= Number(asked.get('endTime') ?? Number.POSITIVE_INFINITY))
        .slice(0, Math.min(1_000, Number(asked.get('limit') ?? 500)))
        .map((candle) => {
          const from = candle.start * 1_000_000
          return [from, ...candleTexts(candle), from + 59_999_999, '0', candle.trades, '0', '0', '0']
        }),
  },
  past: {
    asks: ({ pathname, searchParams }) =>
      /^\/api\/v3\/(aggTrades|historicalTrades|trades)$/.test(pathname)
        ? (searchParams.get('symbol') ?? '')
        : undefined,
    answer({ pathname, searchParams: asked }, trades) {
      const limit = Number(asked.get('limit'))
      if (pathname === '/api/v3/aggTrades') {
        const start = Number(asked.get('startTime')) * 1_000
        return trades
          .filter(({ ts }) => ts >= start)
          .slice(0, limit)
          .map(({ id, price, size, ts }) => ({
            a: id,
            p: decimal(price),
            q: decimal(size),
            f: id,
            l: id,
            T: ts,
          }))
      }
      if (pathname !== '/api/v3/historicalTrades') return trades.slice(-limit).map(pastRow)
      return trades
        .filter(({ id }) => id >= Number(asked.get('fromId')))
        .slice(0, limit)
        .map(pastRow)
    },
  },
}

function pastRow({ id, price, size, side, ts }: PastTrade): object {
  return {
    ...{ id, price: decimal(price), qty: decimal(size), quoteQty: '1', time: ts },
    ...{ isBuyerMaker: side === 'sell', isBestMatch: true },
  }
}
