import { z } from 'zod'
import { crc32 } from '../../domain/crc32.ts'
import { type Dialect, isQuote, numeric, type ToldBook, type ToldLevel, type Topic } from './dialect.ts'

const requestSchema = z.object({
  event: z.literal('subscribe'),
  channel: z.enum(['trades', 'book']),
  symbol: z.string(),
})

const subscribedSchema = z.object({
  event: z.literal('subscribed'),
  ...{ channel: z.enum(['trades', 'book']), symbol: z.string(), chanId: z.number() },
})

const unsubscribeSchema = z.object({ event: z.literal('unsubscribe'), chanId: z.number() })

/** What it calls some assets. */
const ASSETS: Readonly<Record<string, string>> = { USDT: 'UST', USDC: 'UDC' }

/** So many levels of each side are in a checksum. */
const HASHED = 25

/** The number of a channel. Those of the service belong to a connection; here all connections have the same. */
const CHANNELS: string[] = []

function chanIdOf(channel: string, name: string): number {
  const key = `${channel}:${name}`
  const at = CHANNELS.indexOf(key)
  return 10 + (at >= 0 ? at : CHANNELS.push(key) - 1)
}

function nameOf(symbol: string): string {
  const [base = '', quote = ''] = symbol.split('-').map((asset) => ASSETS[asset] ?? asset)
  return `t${base}${base.length > 3 || quote.length > 3 ? ':' : ''}${quote}`
}

/** One market a request. Data name a channel by its number. A trade comes twice: `te` at once, `tu` later. */
export const bitfinex: Dialect = {
  exchange: 'bitfinex',
  timeStep: 1_000,
  limits: { topics: 30 },
  nameOf,
  greeting: { event: 'info', version: 2, serverId: 's', platform: { status: 1 } },
  frame(line) {
    const name = nameOf(line.symbol)
    if (isQuote(line)) {
      const { bid, bidSize = 1.5, ask, askSize = 1.5 } = line.ticker
      const rows = [
        ...(typeof bid === 'number' ? [[bid, 1, bidSize]] : []),
        ...(typeof ask === 'number' ? [[ask, 1, -askSize]] : []),
      ]
      return [chanIdOf('book', name), rows]
    }
    const { id, price, size, side, ts } = line
    const row = [numeric(id), ts / 1_000, side === 'sell' ? -size : size, price]
    return [chanIdOf('trades', name), 'te', row]
  },
  asks(frame) {
    const { data: gone } = unsubscribeSchema.safeParse(frame)
    const [channel, name = ''] = CHANNELS[(gone?.chanId ?? 0) - 10]?.split(/:(.*)/s) ?? []
    if (gone !== undefined && channel !== undefined)
      return { op: 'unsubscribe', topics: [{ channel: channel === 'book' ? 'book' : 'trade', name }] }
    const { data } = requestSchema.safeParse(frame)
    if (data === undefined) return undefined
    const topic = { channel: data.channel === 'book' ? 'book' : 'trade', name: data.symbol } as const
    return { op: 'subscribe', topics: [topic] }
  },
  answer(frame, unknown) {
    const { data: gone } = unsubscribeSchema.safeParse(frame)
    if (gone !== undefined) return [{ event: 'unsubscribed', status: 'OK', chanId: gone.chanId }]
    const { data } = requestSchema.safeParse(frame)
    if (data === undefined) return []
    const { channel, symbol } = data
    return [
      unknown.includes(symbol)
        ? { event: 'error', channel, symbol, code: 10300, msg: 'symbol: invalid' }
        : { event: 'subscribed', channel, chanId: chanIdOf(channel, symbol), symbol, pair: symbol.slice(1) },
    ]
  },
  reply(frame) {
    const { data } = z
      .object({ event: z.enum(['ping', 'conf']), cid: z.unknown(), flags: z.unknown() })
      .partial({ cid: true, flags: true })
      .safeParse(frame)
    if (data === undefined) return { event: 'error', msg: 'event: unknown', code: 10000 }
    return data.event === 'ping'
      ? { event: 'pong', ts: 0, cid: data.cid }
      : { event: 'conf', status: 'OK', flags: data.flags }
  },
  books: {
    snapshot: (book) => [[chanIdOf('book', nameOf(book.symbol)), rowsOf(book)], ...checksumOf(book)],
    change: (book) => [
      ...rowsOf(book).map((row) => [chanIdOf('book', nameOf(book.symbol)), row]),
      ...checksumOf(book),
    ],
  },
  listing: {
    path: '/conf/pub:list:pair:exchange',
    answer: (markets) => [markets.map(({ symbol }) => nameOf(symbol).slice(1))],
  },
  recorded() {
    /** Topics by the numbers that channels had on the recorded connection, with those that they have here. */
    const channels = new Map<unknown, { readonly topic: Topic; readonly chanId: number }>()
    return (frame, text) => {
      const { data: told } = subscribedSchema.safeParse(frame)
      if (told !== undefined) {
        const { channel, symbol: name } = told
        const topic = { channel: channel === 'book' ? 'book' : 'trade', name } as const
        channels.set(told.chanId, { topic, chanId: chanIdOf(channel, name) })
      }
      if (!Array.isArray(frame)) return undefined
      const [number, body] = frame
      const found = channels.get(number)
      if (found === undefined || body === 'hb') return undefined
      const isWhole = Array.isArray(body) && (body.length === 0 || Array.isArray(body[0]))
      return { topic: found.topic, isWhole, text: text.replace(/\d+/, String(found.chanId)) }
    }
  },
  candles: {
    asks: ({ pathname }) => /\/candles\/trade:1m:([^/]+)\/hist$/.exec(pathname)?.[1],
    /** Minutes without a trade are left out. The newest come first, unless `sort` is 1. */
    answer({ searchParams: asked }, candles) {
      const rows = candles
        .filter(({ trades }) => trades > 0)
        .map(({ start, open, close, high, low, volume }) => [start * 1_000, open, close, high, low, volume])
        .filter(([ms = 0]) => ms >= Number(asked.get('start') ?? 0))
        .filter(([ms = 0]) => ms <= Number(asked.get('end') ?? Number.POSITIVE_INFINITY))
      return (asked.get('sort') === '1' ? rows : rows.toReversed()).slice(
        0,
        Number(asked.get('limit') ?? 100),
      )
    },
  },
  past: {
    asks: ({ pathname }) => /\/trades\/([^/]+)\/hist$/.exec(pathname)?.[1],
    answer: ({ searchParams: asked }, trades) =>
      trades
        .map(({ id, price, size, side, ts }) => [
          ...[id, Math.floor(ts / 1_000), side === 'buy' ? size : -size, price],
        ])
        .filter(([, ms = 0]) => ms >= Number(asked.get('start')) && ms <= Number(asked.get('end')))
        .slice(0, Number(asked.get('limit'))),
  },
}

/** `[price, count, amount]`: a count of 0 where the level is gone, with 1 for a bid and -1 for an ask. */
function rowsOf({ levels: { bids, asks } }: ToldBook): readonly (readonly number[])[] {
  const row =
    (sign: number) =>
    ([price, size]: ToldLevel) =>
      size === 0 ? [price, 0, sign] : [price, 1, sign * size]
  return [...bids.map(row(1)), ...asks.map(row(-1))]
}

function checksumOf({ symbol, whole: { bids, asks } }: ToldBook): readonly object[] {
  const texts: string[] = []
  for (let at = 0; at < HASHED; at++) {
    const [bid, ask] = [bids[at], asks[at]]
    if (bid !== undefined) texts.push(`${bid[0]}:${bid[1]}`)
    if (ask !== undefined) texts.push(`${ask[0]}:${-ask[1]}`)
  }
  return [[chanIdOf('book', nameOf(symbol)), 'cs', crc32(texts.join(':')) | 0]]
}
