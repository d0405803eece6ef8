import { z } from 'zod'
import {
  type Dialect,
  decimal,
  isQuote,
  joined,
  newestFirst,
  numeric,
  rawJSON,
  type ToldChannel,
  textRows,
} from './dialect.ts'

const requestSchema = z.object({
  id: z.unknown(),
  method: z.enum(['subscribe', 'unsubscribe']),
  params: z.array(z.string()),
})

/** What a frame is shows by its fields. */
const toldSchema = z.object({
  s: z.string(),
  ...{
    t: z.number().optional(),
    B: z.string().optional(),
    U: z.number().optional(),
    u: z.number().optional(),
  },
})

const STREAMS: ReadonlyMap<string, ToldChannel> = new Map([
  ['trade', 'trade'],
  ['bookTicker', 'quote'],
  ['depth@100ms', 'book'],
  ['depth', 'book'],
])

const nameOf = (symbol: string) => joined(symbol).toLowerCase()

/** Its times are nanoseconds, beyond what a double holds: they are written as digits. */
const nanos = (ts: number) => rawJSON(String(BigInt(ts) * 1_000n + 789n))

/** Frames have no name. One stream that it does not have costs the whole request. The first frame of a book is the whole of it, unmarked. */
export const gemini: Dialect = {
  exchange: 'gemini',
  timeStep: 1,
  limits: {},
  refusesWhole: true,
  nameOf,
  frame(line) {
    const s = nameOf(line.symbol)
    const E = nanos(line.ts)
    if (isQuote(line)) {
      const { bid, bidSize = 1.5, ask, askSize = 1.5 } = line.ticker
      const side = (price: number | null | undefined, of: number | null | undefined) =>
        typeof price === 'number' ? decimal(of ?? 0) : ''
      const prices = { b: side(bid, bid), a: side(ask, ask) }
      const sizes = { B: side(bid, bidSize) || '0.00000000', A: side(ask, askSize) || '0.00000000' }
      return { u: line.ts, E, s, ...prices, ...sizes }
    }
    const { id, price, size, side } = line
    return { E, s, t: numeric(id), p: decimal(price), q: decimal(size), m: side === 'sell' }
  },
  asks(frame) {
    const { data } = requestSchema.safeParse(frame)
    if (data === undefined) return undefined
    const topics = data.params.flatMap((stream) => {
      const [name = '', kind = ''] = stream.split(/@(.*)/s)
      const channel = STREAMS.get(kind)
      return channel === undefined ? [] : [{ channel, name }]
    })
    return { op: data.method, topics }
  },
  answer(frame, unknown) {
    const { data } = requestSchema.safeParse(frame)
    if (data === undefined) return []
    const { id, params } = data
    const bad = params.find((stream) => unknown.includes(stream.split('@')[0] ?? ''))
    if (bad === undefined) return [{ id, status: 200 }]
    return [{ id, status: 400, error: { code: -1013, msg: `Invalid stream name: ${bad}` } }]
  },
  reply(frame) {
    const { data } = z.object({ id: z.unknown(), method: z.literal('ping') }).safeParse(frame)
    return data
      ? { id: data.id, status: 200, result: {} }
      : { status: 400, error: { code: -1020, msg: 'Unsupported method' } }
  },
  books: {
    snapshot: ({ symbol, number, ts, levels }) => [
      {
        ...{ E: nanos(ts), s: nameOf(symbol), U: number, u: number },
        ...{ b: textRows(levels.bids), a: textRows(levels.asks) },
      },
    ],
    change: ({ symbol, number, ts, levels }) => [
      {
        ...{ E: nanos(ts), s: nameOf(symbol), U: number - 1, u: number },
        ...{ b: textRows(levels.bids), a: textRows(levels.asks) },
      },
    ],
  },
  recorded: () => (frame) => {
    const { data } = toldSchema.safeParse(frame)
    if (data === undefined) return undefined
    const { s: name, t, B, U, u } = data
    if (t !== undefined) return { topic: { channel: 'trade', name } }
    if (B !== undefined) return { topic: { channel: 'quote', name } }
    return U === undefined ? undefined : { topic: { channel: 'book', name }, isWhole: U === u }
  },
  candles: {
    asks: ({ pathname }) => /\/v2\/candles\/([^/]+)\/1m$/.exec(pathname)?.[1],
    /** Those of a day, whatever is asked. */
    answer: (_, candles) =>
      newestFirst(
        candles
          .slice(-1_440)
          .map(({ start, open, high, low, close, volume }) => [
            start * 1_000,
            open,
            high,
            low,
            close,
            volume,
          ]),
      ),
  },
  past: {
    asks: ({ pathname }) => /\/v1\/trades\/([^/]+)$/.exec(pathname)?.[1],
    answer({ searchParams: asked }, trades) {
      const tid = asked.get('since_tid')
      const from = Number(asked.get('timestamp'))
      const rows = trades
        .filter(({ id, ts }) => (tid === null ? Math.floor(ts / 1_000) >= from : id > Number(tid)))
        .slice(0, Number(asked.get('limit_trades')))
      return newestFirst(rows).map(({ id, price, size, side, ts }) => ({
        ...{ timestamp: Math.floor(ts / 1e6), timestampms: Math.floor(ts / 1_000), tid: id },
        ...{ price: decimal(price), amount: decimal(size), exchange: 'gemini', type: side, broken: false },
      }))
    },
  },
}
