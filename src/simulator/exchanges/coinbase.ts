import { z } from 'zod'
import { isoMicros } from '../../domain/time.ts'
import {
  type Dialect,
  decimal,
  decimalOrZero,
  isQuote,
  newestFirst,
  numeric,
  stepOf,
  type ToldChannel,
  textRows,
} from './dialect.ts'

const requestSchema = z.object({
  type: z.enum(['subscribe', 'unsubscribe']),
  product_ids: z.array(z.string()),
  channels: z.array(z.string()),
})

const CHANNELS: ReadonlyMap<string, ToldChannel> = new Map([
  ['matches', 'trade'],
  ['ticker', 'quote'],
  ['level2_batch', 'book'],
  ['heartbeat', 'heartbeat'],
])

const toldSchema = z.object({ type: z.string(), product_id: z.string() })

const TOLD: ReadonlyMap<string, ToldChannel> = new Map([
  ['match', 'trade'],
  ['last_match', 'trade'],
  ['ticker', 'quote'],
  ['snapshot', 'book'],
  ['l2update', 'book'],
  ['heartbeat', 'heartbeat'],
])

/** More are not answered. */
const MOST_CANDLES = 300

const makerOf = (side: string) => (side === 'buy' ? 'sell' : 'buy')

/** A subscribe with a product that it does not have is refused as a whole. `side` is the maker's. Its books have neither numbers nor checksums. */
export const coinbase: Dialect = {
  exchange: 'coinbase',
  timeStep: 1,
  limits: { framesPerSecond: 100 },
  refusesWhole: true,
  nameOf: (symbol) => symbol,
  frame(line) {
    const { symbol: product_id, ts } = line
    const time = isoMicros(ts)
    if (isQuote(line)) {
      const { bid, bidSize = 1.5, ask, askSize = 1.5, last } = line.ticker
      return {
        ...{
          type: 'ticker',
          sequence: ts,
          product_id,
          time,
          price: last === undefined ? undefined : decimal(last),
        },
        ...{ best_bid: decimalOrZero(bid), best_bid_size: decimalOrZero(bid === null ? null : bidSize) },
        ...{ best_ask: decimalOrZero(ask), best_ask_size: decimalOrZero(ask === null ? null : askSize) },
      }
    }
    return matchOf('match', line)
  },
  asks(frame) {
    const { data } = requestSchema.safeParse(frame)
    if (data === undefined) return undefined
    const channels = data.channels.flatMap((channel) => CHANNELS.get(channel) ?? [])
    const topics = data.product_ids.flatMap((name) => channels.map((channel) => ({ channel, name })))
    return { op: data.type, topics }
  },
  answer(frame, unknown) {
    const { data } = requestSchema.safeParse(frame)
    const [first] = unknown
    if (data === undefined) return []
    if (first !== undefined)
      return [{ type: 'error', message: 'Failed to subscribe', reason: `${first} is not a valid product` }]
    const product_ids = data.type === 'subscribe' ? data.product_ids : []
    return [{ type: 'subscriptions', channels: data.channels.map((name) => ({ name, product_ids })) }]
  },
  reply: () => ({ type: 'error', message: 'Malformed JSON' }),
  books: {
    snapshot: ({ symbol, ts, levels }) => [
      {
        ...{ type: 'snapshot', product_id: symbol, time: isoMicros(ts) },
        ...{ bids: textRows(levels.bids), asks: textRows(levels.asks) },
      },
    ],
    change: ({ symbol, ts, levels }) => [
      {
        ...{ type: 'l2update', product_id: symbol, time: isoMicros(ts) },
        changes: [
          ...textRows(levels.bids).map((row) => ['buy', ...row]),
          ...textRows(levels.asks).map((row) => ['sell', ...row]),
        ],
      },
    ],
  },
  repeated: { count: 1, frames: (newest) => newest.map((trade) => matchOf('last_match', trade)) },
  heartbeat: (product_id, lastId, ts) => ({
    ...{ type: 'heartbeat', sequence: ts, last_trade_id: numeric(lastId), product_id, time: isoMicros(ts) },
  }),
  listing: {
    path: '/products',
    answer: (markets) =>
      markets.map(({ symbol: id, base, quote, decimals }) => ({
        ...{ id, base_currency: base, quote_currency: quote, status: 'online', trading_disabled: false },
        ...{ quote_increment: stepOf(decimals.price), base_increment: stepOf(decimals.size) },
      })),
  },
  recorded: () => (frame) => {
    const { data } = toldSchema.safeParse(frame)
    const channel = data && TOLD.get(data.type)
    return channel && { topic: { channel, name: data.product_id }, isWhole: data.type === 'snapshot' }
  },
  candles: {
    asks: ({ pathname, searchParams }) =>
      searchParams.get('granularity') === '60'
        ? /\/products\/([^/]+)\/candles$/.exec(pathname)?.[1]
        : undefined,
    /** Minutes without a trade are left out. */
    answer({ searchParams: asked }, candles) {
      const [from = 0, to = 0] = ['start', 'end'].map((name) => Date.parse(asked.get(name) ?? '') / 1_000)
      if ((to - from) / 60 > MOST_CANDLES)
        return { message: 'granularity too small for the requested time range' }
      const rows = candles
        .filter(({ start, trades }) => trades > 0 && start >= from && start <= to)
        .map(({ start, low, high, open, close, volume }) => [start, low, high, open, close, volume])
      return newestFirst(rows)
    },
  },
  past: {
    asks: ({ pathname }) => /\/products\/([^/]+)\/trades$/.exec(pathname)?.[1],
    /** `before` would give the newest ones: only `after` pages. */
    answer({ searchParams: asked }, trades) {
      const after = Number(asked.get('after') ?? Number.POSITIVE_INFINITY)
      const rows = trades.filter(({ id }) => id < after).slice(-Number(asked.get('limit')))
      return newestFirst(rows).map(({ id, price, size, side, ts }) => ({
        ...{ trade_id: id, price: decimal(price), size: decimal(size), time: isoMicros(ts) },
        side: makerOf(side),
      }))
    },
  },
}

function matchOf(
  type: string,
  {
    symbol,
    id,
    side,
    price,
    size,
    ts,
  }: { symbol: string; id: string; side: string; price: number; size: number; ts: number },
): object {
  return {
    ...{ type, trade_id: numeric(id), maker_order_id: 'm', taker_order_id: 't', side: makerOf(side) },
    ...{ size: decimal(size), price: decimal(price), product_id: symbol, sequence: ts, time: isoMicros(ts) },
  }
}
