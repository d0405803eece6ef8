import { z } from 'zod'
import {
  bestRows,
  candleTexts,
  type Dialect,
  decimal,
  isQuote,
  joined,
  newestFirst,
  stepOf,
  type ToldBook,
  type Topic,
  textRows,
} from './dialect.ts'

const requestSchema = z.object({
  op: z.enum(['subscribe', 'unsubscribe']),
  args: z.array(z.string()),
  req_id: z.unknown().optional(),
})

const toldSchema = z.object({ topic: z.string(), type: z.string() })

const MOST_ARGS = 10

/** A request with a topic that it does not have, or with more than ten, is refused as a whole. */
export const bybit: Dialect = {
  exchange: 'bybit',
  timeStep: 1_000,
  limits: {},
  refusesWhole: true,
  nameOf: joined,
  frame(line) {
    const s = joined(line.symbol)
    const ts = line.ts / 1_000
    if (isQuote(line)) {
      const { bid, bidSize, ask, askSize } = line.ticker
      const data = { s, b: bestRows(bid, bidSize), a: bestRows(ask, askSize), u: 1, seq: 1 }
      return { topic: `orderbook.1.${s}`, ts, type: 'snapshot', data, cts: ts }
    }
    const { id: i, price, size, side } = line
    const S = side === 'buy' ? 'Buy' : 'Sell'
    const data = [{ i, T: ts, p: decimal(price), v: decimal(size), S, seq: 1, s, BT: false, RPI: false }]
    return { topic: `publicTrade.${s}`, ts, type: 'snapshot', data }
  },
  asks(frame) {
    const { data } = requestSchema.safeParse(frame)
    return data && { op: data.op, topics: data.args.length > MOST_ARGS ? [] : data.args.flatMap(topicOf) }
  },
  answer(frame, unknown) {
    const { data } = requestSchema.safeParse(frame)
    if (data === undefined) return []
    const { op, req_id, args } = data
    const bad = args.find((topic) => unknown.some((name) => topic.endsWith(`.${name}`)))
    const refused = args.length > MOST_ARGS ? 'args size >10' : bad && `Invalid symbol :[${bad}]`
    return [{ success: refused === undefined, ret_msg: refused ?? 'subscribe', conn_id: 'c', req_id, op }]
  },
  reply: (frame) =>
    z.object({ op: z.literal('ping') }).safeParse(frame).success
      ? { success: true, ret_msg: 'pong', conn_id: 'c', op: 'ping' }
      : { success: false, ret_msg: 'Params Error', conn_id: 'c', op: '' },
  books: {
    snapshot: (book) => [bookFrame('snapshot', book)],
    change: (book) => [bookFrame('delta', book)],
  },
  listing: {
    path: '/v5/market/instruments-info',
    answer: (markets) => {
      const list = markets.map(({ symbol, base: baseCoin, quote: quoteCoin, decimals }) => ({
        ...{ symbol: joined(symbol), baseCoin, quoteCoin, status: 'Trading' },
        lotSizeFilter: { basePrecision: stepOf(decimals.size) },
        priceFilter: { tickSize: stepOf(decimals.price) },
      }))
      return { retCode: 0, retMsg: 'OK', result: { category: 'spot', list } }
    },
  },
  recorded: () => (frame) => {
    const { data } = toldSchema.safeParse(frame)
    const [topic] = data ? topicOf(data.topic) : []
    return topic && { topic, isWhole: data?.type === 'snapshot' }
  },
  candles: {
    asks: ({ pathname, searchParams }) =>
      pathname === '/v5/market/kline' && searchParams.get('interval') === '1'
        ? (searchParams.get('symbol') ?? '')
        : undefined,
    answer({ searchParams: asked }, candles) {
      const rows = candles
        .filter(({ start }) => start * 1_000 >= Number(asked.get('start')))
        .filter(({ start }) => start * 1_000 <= Number(asked.get('end') ?? Number.POSITIVE_INFINITY))
        .slice(-Math.min(1_000, Number(asked.get('limit') ?? 200)))
        .map((candle) => [String(candle.start * 1_000), ...candleTexts(candle), '0'])
      const result = { category: 'spot', symbol: asked.get('symbol'), list: newestFirst(rows) }
      return { retCode: 0, retMsg: 'OK', result }
    },
  },
  past: {
    asks: ({ pathname, searchParams }) =>
      pathname === '/v5/market/recent-trade' ? (searchParams.get('symbol') ?? '') : undefined,
    answer({ searchParams: asked }, trades) {
      const symbol = asked.get('symbol')
      const list = newestFirst(trades.slice(-Number(asked.get('limit')))).map(
        ({ id, price, size, side, ts }) => ({
          ...{ execId: String(id), symbol, price: decimal(price), size: decimal(size) },
          ...{
            side: side === 'buy' ? 'Buy' : 'Sell',
            time: String(Math.floor(ts / 1_000)),
            isBlockTrade: false,
          },
        }),
      )
      return { retCode: 0, retMsg: 'OK', result: { category: 'spot', list } }
    },
  },
}

function topicOf(text: string): readonly Topic[] {
  const [kind, depth = '', name = depth] = text.split('.')
  if (kind === 'publicTrade') return [{ channel: 'trade', name }]
  if (kind !== 'orderbook') return []
  return [depth === '1' ? { channel: 'quote', name } : { channel: 'book', name, depth: Number(depth) }]
}

function bookFrame(type: string, { symbol, number, ts, levels, depth = 50 }: ToldBook): object {
  const s = joined(symbol)
  const millis = Math.floor(ts / 1_000)
  return {
    ...{ topic: `orderbook.${depth}.${s}`, ts: millis, type, cts: millis },
    data: { s, b: textRows(levels.bids), a: textRows(levels.asks), u: number, seq: number },
  }
}
