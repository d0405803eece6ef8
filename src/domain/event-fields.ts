import type { Channel, EventOf } from './events.ts'

/** What a field holds, for expressions and for those who show it: `levels` are pairs of price and size, the best first. */
export type FieldType = 'text' | 'number' | 'flag' | 'levels'

/** The fields of each channel's events, in the order of the data contract. */
export const EVENT_FIELDS: {
  readonly [C in Channel]: { readonly [F in keyof Required<EventOf[C]>]: FieldType }
} = {
  trade: {
    exchange: 'text',
    symbol: 'text',
    id: 'text',
    side: 'text',
    price: 'number',
    size: 'number',
    ts: 'number',
    recvTs: 'number',
    maybe: 'flag',
    priceText: 'text',
    sizeText: 'text',
  },
  quote: {
    exchange: 'text',
    symbol: 'text',
    bid: 'number',
    bidSize: 'number',
    ask: 'number',
    askSize: 'number',
    last: 'number',
    volume24h: 'number',
    ts: 'number',
    recvTs: 'number',
  },
  candle: {
    exchange: 'text',
    symbol: 'text',
    interval: 'text',
    open: 'number',
    high: 'number',
    low: 'number',
    close: 'number',
    volume: 'number',
    trades: 'number',
    ts: 'number',
    closed: 'flag',
    origin: 'text',
  },
  book: {
    exchange: 'text',
    symbol: 'text',
    snapshot: 'flag',
    bids: 'levels',
    asks: 'levels',
    seq: 'number',
    ts: 'number',
    recvTs: 'number',
    doubt: 'text',
  },
  status: {
    source: 'text',
    exchange: 'text',
    state: 'text',
    symbol: 'text',
    from: 'number',
    to: 'number',
    detail: 'text',
    ts: 'number',
    cause: 'text',
    lostFrom: 'number',
  },
}
