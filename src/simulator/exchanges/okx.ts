import { z } from 'zod'
import {
  bestRows,
  candleTexts,
  type Dialect,
  decimal,
  isQuote,
  newestFirst,
  stepOf,
  type ToldBook,
  type ToldChannel,
  textRows,
} from './dialect.ts'

const requestSchema = z.object({
  op: z.enum(['subscribe', 'unsubscribe']),
  args: z.array(z.object({ channel: z.string(), instId: z.string() })),
})

const toldSchema = z.object({
  arg: z.object({ channel: z.string(), instId: z.string() }),
  action: z.string().optional(),
  data: z.array(z.unknown()),
})

const CHANNELS: ReadonlyMap<string, ToldChannel> = new Map([
  ['trades', 'trade'],
  ['bbo-tbt', 'quote'],
  ['books', 'book'],
])

/** Each argument is answered by itself. An update of a book names the one before it. */
export const okx: Dialect = {
  exchange: 'okx',
  timeStep: 1_000,
  limits: {},
  nameOf: (symbol) => symbol,
  frame(line) {
    const { symbol: instId } = line
    const ts = String(line.ts / 1_000)
    if (isQuote(line)) {
      const { bid, bidSize, ask, askSize } = line.ticker
      const [bids, asks] = [bestRows(bid, bidSize), bestRows(ask, askSize)]
      return { arg: { channel: 'bbo-tbt', instId }, data: [{ bids, asks, ts, seqId: 1 }] }
    }
    const { id: tradeId, price, size, side } = line
    const fill = { instId, tradeId, px: decimal(price), sz: decimal(size), side, ts, count: '1', source: '0' }
    return { arg: { channel: 'trades', instId }, data: [fill] }
  },
  asks(frame) {
    const { data } = requestSchema.safeParse(frame)
    if (data === undefined) return undefined
    const topics = data.args.flatMap(({ channel: name, instId }) => {
      const channel = CHANNELS.get(name)
      return channel === undefined ? [] : [{ channel, name: instId }]
    })
    return { op: data.op, topics }
  },
  answer(frame, unknown) {
    const { data } = requestSchema.safeParse(frame)
    return (data?.args ?? []).map((arg) =>
      unknown.includes(arg.instId)
        ? {
            event: 'error',
            code: '60018',
            msg: `Wrong URL or channel:${arg.channel},instId:${arg.instId} doesn't exist. Please use the correct URL, channel and parameters.`,
            connId: 'a1',
          }
        : { event: data?.op, arg, connId: 'a1' },
    )
  },
  reply: (frame) =>
    frame === 'ping' ? 'pong' : { event: 'error', code: '60012', msg: 'Invalid request', connId: 'a1' },
  books: {
    snapshot: (book) => [bookFrame('snapshot', -1, book)],
    change: (book) => [bookFrame('update', book.number - 1, book)],
  },
  listing: {
    path: '/api/v5/public/instruments',
    answer: (markets) => ({
      ...{ code: '0', msg: '' },
      data: markets.map(({ symbol: instId, base: baseCcy, quote: quoteCcy, decimals }) => ({
        ...{ instType: 'SPOT', instId, baseCcy, quoteCcy, state: 'live' },
        ...{ tickSz: stepOf(decimals.price), lotSz: stepOf(decimals.size), minSz: stepOf(decimals.size) },
      })),
    }),
  },
  recorded: () => (frame) => {
    const { data } = toldSchema.safeParse(frame)
    const channel = data && CHANNELS.get(data.arg.channel)
    return channel && { topic: { channel, name: data.arg.instId }, isWhole: data.action === 'snapshot' }
  },
  candles: {
    asks: ({ pathname, searchParams }) =>
      pathname.endsWith('/history-candles') && searchParams.get('bar') === '1m'
        ? (searchParams.get('instId') ?? '')
        : undefined,
    /** `before` and `after` are left out themselves. */
    answer({ searchParams: asked }, candles) {
      const [before, after] = [Number(asked.get('before')), Number(asked.get('after') ?? Infinity)]
      const rows = candles
        .filter(({ start }) => start * 1_000 > before && start * 1_000 < after)
        .slice(-Math.min(100, Number(asked.get('limit') ?? 100)))
        .map((candle) => [String(candle.start * 1_000), ...candleTexts(candle), '0', '0', '1'])
      return { code: '0', msg: '', data: newestFirst(rows) }
    },
  },
  past: {
    asks: ({ pathname, searchParams }) =>
      pathname.endsWith('trades') ? (searchParams.get('instId') ?? '') : undefined,
    answer({ searchParams: asked }, trades) {
      const after = Number(asked.get('after') ?? Number.POSITIVE_INFINITY)
      const rows = trades
        .map(({ id, price, size, side, ts }) => ({
          ...{ tradeId: String(id), px: decimal(price), sz: decimal(size), side },
          ts: String(Math.floor(ts / 1_000)),
        }))
        .filter(({ tradeId, ts }) => (asked.get('type') === '2' ? Number(ts) : Number(tradeId)) < after)
        .slice(-Number(asked.get('limit') ?? 100))
      return { code: '0', msg: '', data: newestFirst(rows) }
    },
  },
}

function bookFrame(
  action: string,
  prevSeqId: number,
  { symbol: instId, number, ts, levels }: ToldBook,
): object {
  const data = {
    ...{ bids: textRows(levels.bids), asks: textRows(levels.asks), ts: String(Math.floor(ts / 1_000)) },
    ...{ checksum: 0, prevSeqId, seqId: number },
  }
  return { arg: { channel: 'books', instId }, action, data: [data] }
}
