import type { Trade } from '../../../domain/events.ts'
import type { BookRules, WireBook, WireChecksum } from './book-wire.ts'
import type { QuoteUpdate } from './quote-state.ts'
import type { FeedChannel } from './source-kind.ts'
import type { Fault } from './tally.ts'

/** A trade as a frame has it: what its fields hold is checked by who reads it. */
export interface WireTrade {
  readonly kind: 'trade'
  /** What the service calls the market. */
  readonly name: unknown
  readonly id: unknown
  /** The taker's; undefined where the frame has none that is known. */
  readonly side: Trade['side'] | undefined
  readonly price: unknown
  readonly size: unknown
  /** Microseconds; undefined where it cannot be read. */
  readonly ts: number | undefined
  /** Of how many trades this one is the last and the sum, where the service folds them; 1 where it says nothing. */
  readonly folded?: number
}

/** The best prices as a frame has them. */
export interface WireQuote {
  readonly kind: 'quote'
  readonly name: unknown
  readonly update: QuoteUpdate
  /** Microseconds. `none`: the service tells no time, so that of the arrival counts. Undefined where it cannot be read. */
  readonly ts: number | 'none' | undefined
  readonly sequence?: number | undefined
}

/** The service takes something not. Its words name the markets that it means, unless it repeats the whole request (`isOfRequest`). */
interface WireRefusal {
  readonly kind: 'refused'
  readonly words: string
  readonly name?: unknown
  readonly request?: unknown
  readonly isOfRequest?: true
  /** It has the market, but no place for it on this connection. */
  readonly isFull?: true
}

/**
 * What a frame says. `taken`, `refused`: the answer to what was asked under the number `request`, or about the market `name`. `ended`: the service
 * wants another connection. `reply`: what is sent to it then.
 */
export type WireItem =
  | WireTrade
  | WireQuote
  | WireBook
  | WireChecksum
  | { readonly kind: 'taken'; readonly name?: unknown; readonly request?: unknown }
  | WireRefusal
  | { readonly kind: 'ended'; readonly words: string }
  | { readonly kind: 'reply'; readonly frame: string }
  | { readonly kind: 'heartbeat' | 'neutral' | Fault }

export type WireOperation = 'subscribe' | 'unsubscribe'

/** How one exchange's frames are written and read: all that a source of its own has to say of it. */
export interface ExchangeWire {
  readonly exchange: string
  /** What the service calls the market of a symbol (BASE-QUOTE), in its frames. */
  nameOf(symbol: string): string
  /** What everybody calls an asset that the service calls otherwise; left out where it has no names of its own. */
  usualAsset?(own: string): string
  /**
   * The frames that ask for the channels of some markets, or for no more of them. `request` is a number that answers repeat; `depth`: how many levels
   * of a book are wanted.
   */
  ask(
    operation: WireOperation,
    names: readonly string[],
    channels: readonly FeedChannel[],
    request: number,
    depth: number,
  ): readonly string[]
  /** So many markets are asked for at once. */
  readonly mostNames: number
  /** The service takes no more frames in a second. */
  readonly framesPerSecond: number
  /** One market that the service does not have costs the others of the same request their answer. */
  readonly refusesWhole?: true
  /** Ids rise by one in each market: what is missing shows. */
  readonly idsRise?: true
  /** How it keeps its books; left out where they are not read. */
  readonly books?: BookRules
  /** What is sent to hear that the service is there, or to be kept, every so many milliseconds. */
  readonly ping?: { readonly frame: string; readonly everyMs: number }
  /** A new connection: forgets what belonged to the one before. */
  opened?(): void
  /** Reads one frame. Never throws. */
  read(text: string): readonly WireItem[]
}
