/**
 * The data contract: the events that flow through fixed and dynamic topics, one JSON object a record.
 *
 * Units everywhere: times are integer microseconds since the Unix epoch, prices and sizes are IEEE doubles,
 * ids are strings. `exchange` is our lower-case name, `symbol` is BASE-QUOTE in upper case for spot markets.
 */

/** The taker's side. */
export type Side = 'buy' | 'sell' | 'unknown'

export interface Trade {
  readonly exchange: string
  readonly symbol: string
  readonly id: string
  readonly side: Side
  readonly price: number
  readonly size: number
  readonly ts: number
  readonly recvTs: number
  /** Nobody can tell whether this trade was published before (R5): it may be a repeat. */
  readonly maybe?: true
  /** The price as the source sent it, where it has more digits than the double keeps (R15). */
  readonly priceText?: string
  /** The same of the size. */
  readonly sizeText?: string
}

export interface Quote {
  readonly exchange: string
  readonly symbol: string
  readonly bid?: number
  readonly bidSize?: number
  readonly ask?: number
  readonly askSize?: number
  readonly last?: number
  readonly volume24h?: number
  readonly ts: number
  readonly recvTs: number
}

/** The intervals of stored candles. */
export const INTERVALS = ['1m', '5m', '15m', '1h', '4h', '1d'] as const
export type Interval = (typeof INTERVALS)[number]

/** The intervals of the candles that a stream makes of trades. */
export const STREAM_INTERVALS = ['1s', '5s', '10s', '15s', '30s', ...INTERVALS] as const
export type StreamInterval = (typeof STREAM_INTERVALS)[number]

export interface Candle {
  readonly exchange: string
  readonly symbol: string
  readonly interval: StreamInterval
  readonly open: number
  readonly high: number
  readonly low: number
  readonly close: number
  readonly volume: number
  readonly trades?: number
  /** Start of the interval. */
  readonly ts: number
  readonly closed: boolean
  /** `source`: the exchange says so; `trades`: computed here. */
  readonly origin: 'source' | 'trades'
}

/**
 * Why a book is in doubt (R30).
 * - `sequence`: an update is missing, or came out of order.
 * - `checksum`: the book is not the one whose checksum the exchange sent.
 * - `crossed`: somebody bids as much as somebody asks.
 * - `unsorted`: a snapshot whose levels do not stand in order.
 * - `unreadable`: an update with levels that are none.
 * - `disconnected`: the source lost its connection, or the market is asked for no more.
 * - `restart`: the producer was away.
 * - `unknown`: no snapshot has come yet, or the market has moved beyond the levels of the one that came.
 */
export const BOOK_DOUBTS = [
  'sequence',
  'checksum',
  'crossed',
  'unsorted',
  'unreadable',
  'disconnected',
  'restart',
  'unknown',
] as const
export type BookDoubt = (typeof BOOK_DOUBTS)[number]

export interface Book {
  readonly exchange: string
  readonly symbol: string
  /** All levels that are shown; else those that changed, with a size of 0 where one is shown no more. */
  readonly snapshot: boolean
  /** The best first. */
  readonly bids: readonly (readonly [price: number, size: number])[]
  readonly asks: readonly (readonly [price: number, size: number])[]
  /** One more than that of the market's record before; it may begin anew with a snapshot. */
  readonly seq: number
  readonly ts: number
  readonly recvTs: number
  /** From here on nobody may use the book, up to the next snapshot: this record has no levels. */
  readonly doubt?: BookDoubt
}

export const STATUS_STATES = ['connected', 'disconnected', 'stale', 'overflow', 'gap', 'recovered'] as const
export type StatusState = (typeof STATUS_STATES)[number]

/**
 * Why something may be missing.
 * - `restart`: the producer was away.
 * - `reconnect`: the source was away.
 * - `overflow`: what the source delivered found no room, in the producer's queue or in its topic.
 * - `takeover`: another process owned the shard.
 * - `retention`: the log lost records before they were stored: retention or a person removed them, or nobody can read them.
 * - `source`: the source itself shows a hole (R29).
 */
export const GAP_CAUSES = ['restart', 'reconnect', 'overflow', 'takeover', 'retention', 'source'] as const
export type GapCause = (typeof GAP_CAUSES)[number]

export interface Status {
  readonly source: string
  /** Empty where the event is about the source as a whole. */
  readonly exchange: string
  readonly state: StatusState
  readonly symbol?: string
  /** Event time of the last trade before a gap; the end is included. */
  readonly from?: number
  /** Event time of the first trade after a gap; the end is included. */
  readonly to?: number
  readonly detail: string
  readonly ts: number
  /** Of a gap, and of its `recovered`. Records of earlier versions have none. */
  readonly cause?: GapCause
  /**
   * Of a `recovered`: what lies between this event time and `from` is lost, since history does not reach back to it. Without a `from` that is all of the gap.
   */
  readonly lostFrom?: number
}

export interface EventOf {
  trade: Trade
  quote: Quote
  candle: Candle
  book: Book
  status: Status
}

export const CHANNELS = ['trade', 'quote', 'candle', 'book', 'status'] as const
export type Channel = (typeof CHANNELS)[number]

/** An event together with its channel: what a source yields. */
export type MarketEvent = {
  [C in Channel]: {
    readonly channel: C
    readonly event: EventOf[C]
    /** It enters again (backfill, dead letters): the store leaves it out if it has it. */
    readonly reentering?: true
    /** Of a trade: the id of the trade before it in its market, where the source tells. Ids in between are missing (R29). */
    readonly follows?: string
  }
}[Channel]

/** The fixed topic of a channel under a prefix: `market.trades` for `trade`. */
export function fixedTopic(prefix: string, channel: Channel): string {
  return `${prefix}.${CHANNEL_TOPICS[channel]}`
}

const CHANNEL_TOPICS: Record<Channel, string> = {
  trade: 'trades',
  quote: 'quotes',
  candle: 'candles',
  book: 'books',
  status: 'status',
}

/** Whether new streams of a channel begin with the latest known value of each market (R11): trades and status events do not. */
export function hasLatestValue(channel: Channel): boolean {
  return channel !== 'trade' && channel !== 'status'
}

/** The key of a record: one market keeps its order. */
export function marketKey(event: { readonly exchange: string; readonly symbol?: string }): string {
  return `${event.exchange}:${event.symbol ?? ''}`
}

/**
 * The shard, that is the partition, of a key: FNV-1a over its UTF-16 code units, modulo the number of partitions.
 * This is ours and never changes: data already written depends on it.
 * Source: http://www.isthe.com/chongo/tech/comp/fnv/ (32 bits).
 */
export function shardOf(key: string, partitions: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) {
    hash ^= key.charCodeAt(i)
    hash = Math.imul(hash, 0x01000193)
  }
  return (hash >>> 0) % partitions
}
