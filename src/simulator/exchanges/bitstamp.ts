import { z } from 'zod'
import {
  bestRows,
  candleTexts,
  type Dialect,
  decimal,
  isQuote,
  joined,
  newestFirst,
  type ToldBook,
  type Topic,
  textRows,
} from './dialect.ts'

const requestSchema = z.object({
  event: z.enum(['bts:subscribe', 'bts:unsubscribe']),
  data: z.object({ channel: z.string() }),
})

const toldSchema = z.object({ event: z.enum(['trade', 'data']), channel: z.string() })

const SPANS: Readonly<Record<string, number>> = { minute: 60, hour: 3_600, day: 86_400 }

const nameOf = (symbol: string) => joined(symbol).toLowerCase()

function topicOf(channel: string): Topic | undefined {
  const [, kind, name = ''] = /^(live_trades|order_book)_(.*)$/s.exec(channel) ?? []
  return kind === undefined ? undefined : { channel: kind === 'live_trades' ? 'trade' : 'book', name }
}

const timesOf = (ts: number) => ({
  ...{ timestamp: String(Math.floor(ts / 1_000_000)), microtimestamp: String(ts) },
})

/** One channel a request. A market that it does not have is taken, and stays silent. Each frame of a book has the whole of it. */
export const bitstamp: Dialect = {
  exchange: 'bitstamp',
  timeStep: 1,
  limits: { topics: 1_024 },
  nameOf,
  frame(line) {
    const market = nameOf(line.symbol)
    if (isQuote(line)) {
      const { bid, bidSize, ask, askSize } = line.ticker
      const data = { ...timesOf(line.ts), bids: bestRows(bid, bidSize), asks: bestRows(ask, askSize) }
      return { event: 'data', channel: `order_book_${market}`, data }
    }
    const { id, price, size, side } = line
    const texts = { id_str: id, amount_str: decimal(size), price_str: decimal(price) }
    const data = { ...timesOf(line.ts), ...texts, id: 1, amount: size, price, type: side === 'buy' ? 0 : 1 }
    return { event: 'trade', channel: `live_trades_${market}`, data }
  },
  asks(frame) {
    const { data: asked } = requestSchema.safeParse(frame)
    if (asked === undefined) return undefined
    const topic = topicOf(asked.data.channel)
    return { op: asked.event === 'bts:subscribe' ? 'subscribe' : 'unsubscribe', topics: topic ? [topic] : [] }
  },
  answer(frame) {
    const { data: asked } = requestSchema.safeParse(frame)
    if (asked === undefined) return []
    const event = asked.event === 'bts:subscribe' ? 'subscription' : 'unsubscription'
    return [{ event: `bts:${event}_succeeded`, channel: asked.data.channel, data: {} }]
  },
  reply: (frame) =>
    z.object({ event: z.literal('bts:heartbeat') }).safeParse(frame).success
      ? { event: 'bts:heartbeat', channel: '', data: { status: 'success' } }
      : { event: 'bts:error', channel: '', data: { code: null, message: 'Incorrect JSON format.' } },
  books: { snapshot: (book) => [bookFrame(book)], change: (book) => [bookFrame(book)] },
  listing: {
    path: '/markets/',
    answer: (markets) =>
      markets.map(({ symbol, base: base_currency, quote: counter_currency, decimals }) => ({
        ...{ market_symbol: nameOf(symbol), base_currency, counter_currency, market_type: 'SPOT' },
        ...{ base_decimals: decimals.size, counter_decimals: decimals.price, trading: 'Enabled' },
      })),
  },
  recorded: () => (frame) => {
    const { data } = toldSchema.safeParse(frame)
    const topic = data && topicOf(data.channel)
    return topic && { topic, isWhole: topic.channel === 'book' }
  },
  candles: {
    asks: ({ pathname, searchParams }) =>
      searchParams.get('step') === '60' ? /\/ohlc\/([^/]+)\/$/.exec(pathname)?.[1] : undefined,
    /** The last ones before `end`. */
    answer({ pathname, searchParams: asked }, candles) {
      const end = Number(asked.get('end') ?? Number.POSITIVE_INFINITY)
      const ohlc = candles
        .filter(({ start }) => start <= end)
        .slice(-Math.min(1_000, Number(asked.get('limit'))))
        .map((candle) => {
          const [open, high, low, close, volume] = candleTexts(candle)
          return { timestamp: String(candle.start), open, high, low, close, volume }
        })
      return { data: { pair: pathname.split('/').at(-2)?.toUpperCase(), ohlc } }
    },
  },
  past: {
    asks: ({ pathname }) => /\/transactions\/([^/]+)\/$/.exec(pathname)?.[1],
    answer({ searchParams: asked }, trades, nowMs) {
      const begin = nowMs / 1_000 - (SPANS[asked.get('time') ?? 'hour'] ?? 0)
      return newestFirst(trades)
        .map(({ id, price, size, side, ts }) => ({
          ...{ date: String(Math.floor(ts / 1e6)), tid: String(id), price: decimal(price) },
          ...{ amount: decimal(size), type: side === 'buy' ? '0' : '1' },
        }))
        .filter(({ date }) => Number(date) >= begin)
    },
  },
}

function bookFrame({ symbol, ts, whole }: ToldBook): object {
  const data = { ...timesOf(ts), bids: textRows(whole.bids), asks: textRows(whole.asks) }
  return { event: 'data', channel: `order_book_${nameOf(symbol)}`, data }
}
