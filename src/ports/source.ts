import type { GapCause, MarketEvent, Status } from '../domain/events.ts'

/** A market as a source knows it: our lower-case exchange and BASE-QUOTE symbol. */
export interface Market {
  readonly exchange: string
  readonly symbol: string
}

/** A market that an exchange lists. */
export interface Instrument extends Market {
  /** What the exchange calls it. */
  readonly name: string
  readonly base: string
  readonly quote: string
  /** The smallest step of prices and of sizes, as the exchange writes it; null where it tells none. */
  readonly tick: string | null
  readonly lot: string | null
  /** Whether it can be traded at present. */
  readonly isTrading: boolean
}

/**
 * Something about the connection, as a value in the stream of events, at the place where it happened. Its status is published.
 * The source says where it may have missed trades. The producer makes the gap of each market, since it knows the last trade published.
 */
export interface ConnectionChange {
  readonly channel: 'connection'
  readonly status: Status
  /** The source may have missed events before those that follow: of one market where `status` names a symbol. */
  readonly mayHaveMissed?: true
  /** The markets that the change concerns, where they are not all that the source gives. */
  readonly of?: readonly Market[]
  /** Why, where it was not the connection. */
  readonly cause?: GapCause
}

/**
 * The source says that a market has had a trade with this id, and has not given the trade. What is missing is a gap, although no trade
 * follows yet (R29). `ts`: microseconds, by the source's clock.
 */
export interface LastTradeNamed extends Market {
  readonly channel: 'last-trade'
  readonly id: string
  readonly ts: number
}

/**
 * An event that may enter again. `published` is called when the event lies in its topic for good, or need not. `isPast`: it comes from the history of the
 * source, and later ones may have been published.
 */
export type ReenteringEvent = MarketEvent & { readonly published?: () => void; readonly isPast?: true }

export type SourceItem = ReenteringEvent | ConnectionChange | LastTradeNamed

export interface SourceBatch {
  /** In the order of arrival. May be empty: nothing arrived within the wait. */
  readonly items: readonly SourceItem[]
}

/** A market that was asked for and is not delivered. */
export interface MarketWithoutData extends Market {
  /** Begins with an error code. */
  readonly why: string
}

/** How a source is doing, for `actors`, `/metrics` and the log. */
export interface SourceHealth {
  readonly name: string
  /** The way that delivers at present. */
  readonly way: 'websocket' | 'rest' | 'replay' | 'none'
  readonly markets: number
  readonly counters: Readonly<
    Record<
      | 'frames'
      | 'malformed'
      | 'duplicates'
      | 'outOfOrder'
      | 'reconnects'
      | 'conflated'
      | 'dropped'
      | 'bookDoubts'
      | 'bookResyncs',
      number
    >
  >
  /** How many order books are valid at present, and how many nobody may use; undefined where no books are asked for. */
  readonly books?: { readonly valid: number; readonly doubt: number }
  /** What waits to be pulled; undefined where nothing ever waits. */
  readonly queue?: { readonly items: number; readonly capacity: number }
  /** The markets that the service refuses. */
  readonly without: readonly MarketWithoutData[]
  /** Code and message of the last failure, while it lasts. */
  readonly failure?: { readonly code: string; readonly message: string }
  /** Each by itself, where the source is a group of several. */
  readonly members?: readonly SourceHealth[]
}

/** How each source is doing: of a group, or the one that there is. */
export function eachHealth(health: SourceHealth): readonly SourceHealth[] {
  return health.members ?? [health]
}

/** What of the past of a market a source may have. */
export const PAST_CHANNELS = ['trade', 'candle'] as const
export type PastChannel = (typeof PAST_CHANNELS)[number]

/** A trade that a market had, or one of its closed candles of a minute. */
export type PastEvent = Extract<MarketEvent, { readonly channel: PastChannel }>

/** Part of what a market had. */
export interface HistoryPage {
  /** Of the channel that was asked for, oldest first, those of all pages together; each comes once. */
  readonly events: readonly PastEvent[]
  /** From this event time on (microseconds) the pages leave nothing out: later than asked for where the service does not reach back so far. */
  readonly since: number
}

/**
 * A source of market data. It connects, reconnects and falls back by itself. Its memory is bounded, also while nobody pulls.
 */
export interface Source {
  readonly name: string
  /**
   * Waits until something has arrived, gathers more until `lingerMs` have passed since that arrival, and gives at most `maxItems`. After
   * `waitMs` without anything it gives an empty batch. Call it again only when the last call has settled.
   *
   * Rejects with SOURCE_UNAVAILABLE, SOURCE_UNAUTHORIZED, SOURCE_RATE_LIMITED or SOURCE_STALE only while no configured way delivers and
   * nothing is buffered. The source goes on trying; a later call succeeds when it has recovered.
   */
  next(options: NextOptions, signal: AbortSignal): Promise<SourceBatch>
  /** Whether a finite source (a replay) has given everything: every further batch is empty. */
  readonly ended: boolean
  /** Adds markets while the source runs. It reports an unknown one by a status event, and goes on. */
  subscribe(markets: readonly Market[]): void
  unsubscribe(markets: readonly Market[]): void
  health(): SourceHealth
  /** Whether to give less work while the process is overloaded: quotes give way to later ones of their market, trades do not. */
  relieve?(isWanted: boolean): void
  /**
   * The trades that a market had between two event times (microseconds, ends included), page by page, the oldest first; undefined where the source has no
   * past trades of the market. With `candle`: the closed candles of a minute that began in this time, as the exchange says them.
   * It asks no more a second than the service allows. Its iteration raises SOURCE_UNAVAILABLE, SOURCE_RATE_LIMITED,
   * SOURCE_UNAUTHORIZED or MARKET_UNKNOWN, and the signal's reason.
   */
  history?(
    market: Market,
    range: { readonly from: number; readonly to: number },
    signal: AbortSignal,
    channel?: PastChannel,
  ): AsyncIterable<HistoryPage> | undefined
  /** The name of the source that has a market, where this is a group of several. */
  memberOf?(market: Market): string
  close(): Promise<void>
}

/** What a status event about a market names as its source. */
export function sourceOf(source: Pick<Source, 'name' | 'memberOf'>, market: Market): string {
  return source.memberOf?.(market) ?? source.name
}

export interface NextOptions {
  readonly maxItems: number
  readonly lingerMs: number
  readonly waitMs: number
}
