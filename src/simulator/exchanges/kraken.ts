import { z } from 'zod'
import { krakenLevelText } from '../../domain/book-checksum.ts'
import { crc32 } from '../../domain/crc32.ts'
import { isoMicros } from '../../domain/time.ts'
import {
  candleTexts,
  type Dialect,
  isQuote,
  numeric,
  rawJSON,
  stepOf,
  type ToldBook,
  type ToldChannel,
  type ToldLevel,
} from './dialect.ts'

const requestSchema = z.object({
  method: z.enum(['subscribe', 'unsubscribe']),
  params: z.object({
    channel: z.string(),
    symbol: z.array(z.string()),
    depth: z.number().optional(),
  }),
  req_id: z.unknown().optional(),
})

const toldSchema = z.object({
  channel: z.string(),
  type: z.enum(['snapshot', 'update']),
  data: z.array(z.object({ symbol: z.string() })),
})

const CHANNELS: ReadonlyMap<string, ToldChannel> = new Map([
  ['trade', 'trade'],
  ['ticker', 'quote'],
  ['book', 'book'],
])

/** So many levels of each side are in a checksum. */
const HASHED = 10

/** What REST calls some assets. */
const ASSETS: Readonly<Record<string, string>> = { BTC: 'XBT', DOGE: 'XDG' }

const nameOf = (symbol: string) => symbol.replace('-', '/')
const restNameOf = (symbol: string) =>
  symbol
    .split('-')
    .map((asset) => ASSETS[asset] ?? asset)
    .join('')

/** Each market is answered by itself. Its books have no numbers, but a checksum. */
export const kraken: Dialect = {
  exchange: 'kraken',
  timeStep: 1,
  limits: {},
  nameOf,
  greeting: {
    channel: 'status',
    type: 'update',
    data: [{ system: 'online', api_version: 'v2', version: '2.0.10', connection_id: 1 }],
  },
  frame(line) {
    const symbol = nameOf(line.symbol)
    const timestamp = isoMicros(line.ts)
    if (isQuote(line)) {
      const { bid, bidSize = 1, ask, askSize = 1, last, volume24h } = line.ticker
      const sizes = { bid_qty: bid === null ? 0 : bidSize, ask_qty: ask === null ? 0 : askSize }
      const data = [{ symbol, bid, ask, ...sizes, last, volume: volume24h, timestamp }]
      return { channel: 'ticker', type: 'update', data }
    }
    const { id, side, price, size } = line
    const trade = { symbol, side, price, qty: size, ord_type: 'limit', trade_id: numeric(id), timestamp }
    return { channel: 'trade', type: 'update', data: [trade] }
  },
  asks(frame) {
    const { data } = requestSchema.safeParse(frame)
    if (data === undefined) return undefined
    const { channel, symbol, depth = HASHED } = data.params
    const told = CHANNELS.get(channel)
    const topics = symbol.map((name) => ({
      channel: told ?? 'trade',
      name,
      ...(told === 'book' && { depth }),
    }))
    return { op: data.method, topics: told === undefined ? [] : topics }
  },
  answer(frame, unknown) {
    const { data } = requestSchema.safeParse(frame)
    if (data === undefined) return []
    const { method, params, req_id } = data
    const { channel, symbol: symbols } = params
    return symbols.map((symbol) =>
      unknown.includes(symbol)
        ? { error: `Currency pair not supported ${symbol}`, method, req_id, success: false, symbol }
        : { method, req_id, result: { channel, symbol, snapshot: true }, success: true },
    )
  },
  reply: (frame) =>
    z.object({ method: z.literal('ping') }).safeParse(frame).success
      ? { method: 'pong' }
      : { error: 'Unsupported method', success: false },
  books: {
    snapshot: (book) => [bookFrame('snapshot', book)],
    change: (book) => [bookFrame('update', book)],
  },
  repeated: {
    count: 50,
    frames(newest) {
      const data = newest.toReversed().flatMap((trade) => (kraken.frame(trade) as { data: object[] }).data)
      return [{ channel: 'trade', type: 'snapshot', data }]
    },
  },
  listing: {
    path: '/AssetPairs',
    answer: (markets) => ({
      error: [],
      result: Object.fromEntries(
        markets.map(({ symbol, base, quote, decimals }) => {
          const [altname, wsname] = [restNameOf(symbol), `${restNameOf(base)}/${restNameOf(quote)}`]
          const steps = { tick_size: stepOf(decimals.price), lot_decimals: decimals.size }
          return [altname, { altname, wsname, ...steps, status: 'online' }]
        }),
      ),
    }),
  },
  recorded: () => (frame) => {
    const { data } = toldSchema.safeParse(frame)
    const channel = data && CHANNELS.get(data.channel)
    const name = data?.data[0]?.symbol
    return channel && name ? { topic: { channel, name }, isWhole: data.type === 'snapshot' } : undefined
  },
  candles: {
    asks: ({ pathname, searchParams }) =>
      pathname.endsWith('/OHLC') && (searchParams.get('interval') ?? '1') === '1'
        ? (searchParams.get('pair') ?? '')
        : undefined,
    answer({ searchParams: asked }, candles) {
      const rows = candles.slice(-720).map((candle) => {
        const [open = '', high = '', low = '', close = '', volume = ''] = candleTexts(candle)
        return [candle.start, open, high, low, close, close, volume, candle.trades]
      })
      return { error: [], result: { [asked.get('pair') ?? '']: rows, last: rows.at(-2)?.[0] ?? 0 } }
    },
  },
  past: {
    nameOf: restNameOf,
    asks: ({ pathname, searchParams }) =>
      pathname.endsWith('/Trades') ? (searchParams.get('pair') ?? '') : undefined,
    answer({ searchParams: asked }, trades) {
      const since = BigInt(asked.get('since') ?? 0)
      const rows = trades
        .filter(({ ts }) => BigInt(ts) * 1_000n > since)
        .slice(0, Number(asked.get('count')))
        .map(({ id, price, size, side, ts }) => [
          ...[String(price), size.toFixed(8), ts / 1e6, side === 'buy' ? 'b' : 's', 'l', '', id],
        ])
      const last = trades.find(({ id }) => id === rows.at(-1)?.at(-1))
      const market = asked.get('pair') ?? ''
      return { error: [], result: { [market]: rows, last: last ? `${last.ts}000` : String(since) } }
    },
  },
}

function bookFrame(type: string, { symbol, ts, levels, whole, decimals }: ToldBook): object {
  const rows = (side: readonly ToldLevel[]) =>
    side.map(([price, qty]) => ({
      ...{ price: rawJSON(price.toFixed(decimals.price)), qty: rawJSON(qty.toFixed(decimals.size)) },
    }))
  const hashed = [...whole.asks.slice(0, HASHED), ...whole.bids.slice(0, HASHED)].map(([price, size]) =>
    krakenLevelText(price.toFixed(decimals.price), size.toFixed(decimals.size)),
  )
  const data = {
    ...{ symbol: nameOf(symbol), bids: rows(levels.bids), asks: rows(levels.asks) },
    ...{ checksum: crc32(hashed.join('')), timestamp: isoMicros(ts) },
  }
  return { channel: 'book', type, data: [data] }
}
