import type { OpenGap } from '../domain/open-gaps.ts'
import type { Market, PastChannel } from './source.ts'

/** What of the past of a market is to be published. Microseconds, ends included. */
interface BackfillRequest {
  readonly market: Market
  readonly channel: PastChannel
  readonly from: number
  readonly to: number
  /** What is flagged as missing there: of what the step covers a `recovered` says that it is whole. */
  readonly gaps: readonly OpenGap[]
}

/** What one step of a backfill did. */
interface BackfillStep {
  /** How many events were published: the store leaves out those that it has. */
  readonly count: number
  /** Nothing is left out from this event time on: it lies after `from` where the source does not reach back so far. */
  readonly since: number
  /** Where the next step goes on; null where all is published. */
  readonly next: number | null
}

/** Trades and candles of the past, from the history of a source into the fixed topics (R6). */
export interface Backfills {
  /**
   * Publishes some of what is asked for, the oldest first, for some seconds. Asking twice never makes a second row. Raises HISTORY_UNAVAILABLE where the source has
   * nothing of the past of the market, what the source says of it, and TIMEOUT where no producer of its shard answered.
   */
  step(request: BackfillRequest, signal: AbortSignal): Promise<BackfillStep>
}
