import type { TapelineError } from '../../../errors.ts'
import type { Market, SourceHealth, SourceItem } from '../../../ports/source.ts'
import type { Refusals } from './refusals.ts'
import type { Fault, Tally } from './tally.ts'

/**
 * What a frame says of the connection.
 * `delivers`: data or an answer; `heartbeat`: the periodic one; `neutral`: valid, but no proof that data will come;
 * `malformed`, `mistimed`: it is left out and counted. An error: the service refuses or ends this connection.
 */
export type FrameMeaning = 'delivers' | 'heartbeat' | 'neutral' | Fault | TapelineError

/** What a change of the markets means for an open connection. */
export interface MarketsChange {
  readonly send: readonly string[]
  /** The markets that are asked for from now on. */
  readonly added: readonly Market[]
}

/** How one service's frames are asked for and read. */
export interface FeedProtocol {
  /** The markets asked for at present. */
  readonly markets: number
  /** How many of their order books are right; undefined where none are asked for. */
  readonly books?: SourceHealth['books']
  /** What to send on a new connection to get all of them. Forgets what belonged to the connection before. */
  opened(): readonly string[]
  add(markets: readonly Market[]): MarketsChange
  remove(markets: readonly Market[]): MarketsChange
  /** Reads one frame and emits what is in it. Never throws. `recvTs`: microseconds. */
  read(data: Buffer, recvTs: number): FrameMeaning
  /** So late it is, in microseconds: what waits for late frames no longer is passed on. Only where nothing else tells the time, as in a recording. */
  elapse?(now: number): void
  /** Reads an answer by REST that was recorded. `recvTs`: microseconds. */
  answered?(url: string, body: string, recvTs: number): void
  /** The connection has ended: nothing more is waited for on it. */
  closed?(): void
  /** The source is closed, and the connection with it. */
  stop?(): void
}

/** A second way to some of the data while the WebSocket is down. */
export interface Fallback {
  /** Begins to poll; calls back whenever `delivering` or `failure` has changed. */
  start(changed: () => void): void
  stop(): void
  readonly delivering: boolean
  /** Why the last polls brought nothing. */
  readonly failure: TapelineError | undefined
  /** What it brings and what not, for the status event. */
  readonly detail: string
}

/** What a protocol and a fallback may do to the source that owns them. */
export interface Outlet {
  /** Passes on what arrived in a frame: it proves that the WebSocket delivers. Gives whether there was room for it. */
  readonly emit: (item: SourceItem) => boolean
  /** Passes on what a fallback brought: it proves that the fallback delivers. */
  readonly polled: (item: SourceItem) => void
  /** Passes on anything else. Gives whether there was room for it. */
  readonly note: (item: SourceItem) => boolean
  /** Is told each answer by REST that a book begins with; left out where nobody records. */
  readonly answered?: (url: string, body: string) => void
  /** Sends a frame on the open connection. */
  readonly send: (frame: string) => void
  /** The service refuses something without saying of what: nobody is accused, and while nothing is delivered this is why. */
  readonly complain: (error: TapelineError) => void
  /** The markets that the service refuses. */
  readonly refusals: Refusals
  readonly tally: Tally
  /** How far after its arrival the time of an event may lie, in milliseconds. */
  readonly maxSkewMs: number
  /** Microseconds since the epoch. */
  readonly now: () => number
}
