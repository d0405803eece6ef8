import type { Channel, EventOf, GapCause, Interval, StreamInterval } from '../domain/events.ts'

// It is long, and one file: all that a program can name of the client, so that its declarations are one page.

/** The fields that every event of a stream has. */
type Always = 'exchange' | 'symbol' | 'ts'

/** The names of a channel's fields. */
export type FieldOf<C extends Channel> = keyof EventOf[C] & string

/** An event of a channel with the fields that were asked for, under the name of its channel. */
export type StreamEvent<C extends Channel, F extends FieldOf<C> = FieldOf<C>> = {
  readonly [N in C]: { readonly type: N } & {
    readonly [K in keyof EventOf[N] as K extends F | Always ? K : never]: EventOf[N][K]
  }
}[C]

/** A part of the history is gone: what follows begins at this cursor. */
export interface Reset {
  readonly type: 'reset'
  readonly reason: string
  readonly cursor: string
}

/** The stream is over; nothing follows. */
export interface End {
  readonly type: 'end'
  readonly reason: string
}

/** Events that arrived together, and the place after them. */
export interface Batch<C extends Channel, F extends FieldOf<C> = FieldOf<C>> {
  readonly type: 'data'
  readonly events: readonly StreamEvent<C, F>[]
  readonly cursor: string
  /** How many more were left out, for who takes the latest only (`slow`). */
  readonly skipped?: number
}

/**
 * What becomes of a loop that takes less than comes: all comes from the log (`catch-up`), the latest event of each market (`latest`), or
 * the platform ends the connection (`disconnect`), and the loop goes on where it was.
 */
export type Slow = 'catch-up' | 'latest' | 'disconnect'

/** What an application asks for. Source: docs/api.md, What a stream is made of. */
export interface StreamRequest<C extends Channel, F extends FieldOf<C> = FieldOf<C>> {
  readonly channel: C
  /** Symbols or globs: `BTC-USD`, `BTC-*`. */
  readonly symbols: readonly string[]
  readonly exchanges?: readonly string[]
  /** An expression of CEL: `size >= 0.5 && side == "buy"`. */
  readonly where?: string
  readonly fields?: readonly F[]
  /** The latest event of each market in each period of this length: `250ms`, `1s`. Of trades, quotes and candles; of books with `depth`. */
  readonly every?: C extends 'trade' | 'quote' | 'candle' | 'book' ? string | number : never
  /** Candles of this length, made of trades. */
  readonly interval?: C extends 'candle' ? StreamInterval : never
  /** How long a window waits for late events. */
  readonly lateness?: string | number
  /** With `interval`: periods without trades have candles too. */
  readonly empty?: C extends 'candle' ? boolean : never
  /** With `every`: so many levels of each side of a book at the end of each period, in place of its changes. */
  readonly depth?: C extends 'book' ? number : never
  /** A time, how long ago (`-10m`), `earliest` or `live`. */
  readonly from?: string | number
  /** How long it lives without a reader: seconds, or text such as `30m`; 0: until it is deleted. */
  readonly ttl?: string | number
}

/** What is to be another than it is, of a stream; null removes it. Source: docs/api.md, Moving a stream. */
export interface StreamChange {
  readonly channel?: Channel
  readonly symbols?: readonly string[]
  readonly exchanges?: readonly string[] | null
  readonly where?: string | null
  readonly fields?: readonly string[] | null
  readonly every?: string | number | null
  readonly interval?: StreamInterval | null
  readonly lateness?: string | number | null
  readonly empty?: boolean | null
  readonly depth?: number | null
  readonly ttl?: string | number
}

/** A stream as the platform describes it. */
export interface StreamInfo {
  readonly id: string
  readonly app: string
  readonly topic: string
  readonly spec: {
    readonly channel: Channel
    readonly symbols: readonly string[]
    readonly exchanges: readonly string[]
    readonly where?: string
    readonly fields?: readonly string[]
    readonly every?: string
    readonly interval?: StreamInterval
    readonly lateness?: string
    readonly empty?: true
    readonly depth?: number
  }
  /** Seconds. */
  readonly ttl: number
  readonly createdAt: string
  readonly lastReadAt: string | null
  readonly standing: boolean
  readonly websocket: string
  readonly warnings?: readonly {
    readonly field: string
    readonly value: string
    readonly message: string
    readonly near: readonly string[]
  }[]
  readonly cursor?: string
}

/** What a webhook is to be: of a stream that is there, or of a new one. */
export type WebhookRequest = {
  /** Where messages are posted to. */
  readonly url: string
  /** The most events of one message: 1 to 1000, by default 100. */
  readonly maxEvents?: number
  /** How long an event waits for others of its message: seconds, or text such as `250ms`; by default 1 s. */
  readonly maxWait?: number | string
} & (
  | { readonly stream: string; readonly cursor?: string }
  | { readonly spec: { readonly [C in Channel]: StreamRequest<C> }[Channel] }
)

/** What is posted to a receiver. Its events have no `type`: they are of the stream's channel. */
export type WebhookMessage<C extends Channel, F extends FieldOf<C> = FieldOf<C>> =
  | {
      readonly op: 'data'
      readonly stream: string
      readonly events: readonly Omit<StreamEvent<C, F>, 'type'>[]
    }
  | { readonly op: 'reset' | 'end'; readonly stream: string; readonly reason: string }

/** A webhook as it is made; the secret is shown this one time. */
export type NewWebhook = Webhook & { readonly secret: string }

/** A webhook as the platform describes it. */
export interface Webhook {
  readonly id: string
  readonly app: string
  readonly url: string
  readonly stream: string
  readonly maxEvents: number
  /** Seconds. */
  readonly maxWait: number
  readonly state: 'active' | 'failing' | 'paused' | 'ended'
  readonly failure: {
    readonly code: string
    readonly message: string
    readonly since: string
    readonly attempts: number
  } | null
  readonly deliveredAt: string | null
  readonly createdAt: string
}

/** Which stored rows are wanted. Times as the API takes them: ISO 8601, a date, a number since 1970, or how long ago (`15m`). */
export interface RowsQuery {
  readonly symbol: string
  readonly exchange?: string
  readonly from?: string | number
  readonly to?: string | number
  /** `asc`, which is the default: from the oldest on; `desc`: from the newest back. */
  readonly order?: 'asc' | 'desc'
  /** `next` of a page: what lies after it. */
  readonly cursor?: string
}

/** Which candles are wanted. */
export interface CandlesQuery extends RowsQuery {
  readonly interval?: Interval
  /** `trades`, which is the default: computed by the platform; `source`: as the source says. */
  readonly origin?: 'trades' | 'source'
}

/** Some rows, and the cursor of what lies after them; null where there are no more now. */
export interface RowsPage<Row> {
  readonly rows: readonly Row[]
  readonly next: string | null
}

/** A stored trade; times are ISO 8601 in UTC with microseconds. */
export interface StoredTrade {
  readonly exchange: string
  readonly symbol: string
  readonly id: string
  readonly side: string
  readonly price: number
  readonly size: number
  readonly ts: string
  readonly recvTs: string
}

/** A stored quote; null is what the source did not say. */
export interface StoredQuote {
  readonly exchange: string
  readonly symbol: string
  readonly bid: number | null
  readonly bidSize: number | null
  readonly ask: number | null
  readonly askSize: number | null
  readonly last: number | null
  readonly volume24h: number | null
  readonly ts: string
  readonly recvTs: string
}

/** A stored candle; its time is where it begins. */
export interface StoredCandle {
  readonly exchange: string
  readonly symbol: string
  readonly interval: string
  readonly open: number
  readonly high: number
  readonly low: number
  readonly close: number
  readonly volume: number
  readonly trades: number | null
  readonly ts: string
  readonly origin: 'trades' | 'source'
}

/** A market with what is stored of its trades, and what its exchange says of it. */
export interface KnownMarket {
  readonly exchange: string
  readonly symbol: string
  /** Null where no trade is stored. */
  readonly first: string | null
  readonly last: string | null
  readonly trades: number
  /** Null where no producer has read a list with it. */
  readonly listing: {
    /** What the exchange calls the market. */
    readonly name: string
    readonly base: string
    readonly quote: string
    /** The smallest step of prices and of sizes, as the exchange writes it. */
    readonly tick: string | null
    readonly lot: string | null
    readonly status: 'trading' | 'halted' | 'delisted'
    readonly since: string
  } | null
  /** Whether a producer asks its source for it at present; null where that is not known. */
  readonly read: boolean | null
}

/** Which markets are wanted; without `stored` all. */
export interface MarketsQuery {
  /** Also a glob. */
  readonly symbol?: string
  readonly exchange?: string
  /** A part of the symbol or of the exchange's own name. */
  readonly search?: string
  /** Only those with stored trades, or only those without. */
  readonly stored?: boolean
}

/** A time of which trades of a market may be missing. Source: docs/api.md, GET /v1/gaps. */
export interface StoredGap {
  readonly source: string
  /** Null: of all exchanges of the source. */
  readonly exchange: string | null
  /** Null: of all markets. */
  readonly symbol: string | null
  /** The last trade before it and the first after it, event time, ISO 8601. */
  readonly from: string
  readonly to: string
  /** Null in records of earlier versions. */
  readonly cause: GapCause | null
  readonly detail: string
  /** When it was flagged, ISO 8601. */
  readonly flagged: string
  /** Whether history that came later covers all of it. */
  readonly filled: boolean
}

/** Which gaps: of a market, an exchange or all; those that overlap a time; so many at most. */
export interface GapsQuery {
  readonly exchange?: string
  readonly symbol?: string
  readonly from?: string | number
  readonly to?: string | number
  /** All where it is left out. */
  readonly limit?: number
}

/** The order book of a market as the log has it. Source: docs/api.md, GET /v1/books. */
export interface OrderBook {
  readonly exchange: string
  readonly symbol: string
  /** The best first. */
  readonly bids: readonly (readonly [price: number, size: number])[]
  readonly asks: readonly (readonly [price: number, size: number])[]
  readonly seq: number
  /** Microseconds. */
  readonly ts: number
  readonly recvTs: number
  /** Of its last record: TOPIC:PARTITION:OFFSET. */
  readonly position: string
}
