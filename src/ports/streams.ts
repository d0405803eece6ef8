import type { StreamWarning } from '../domain/offer.ts'
import type { StreamRequest, StreamSpec } from '../domain/stream-spec.ts'

/** A topic that a lease has had before it moved on (R13). */
export interface FormerTopic {
  readonly topic: string
  readonly topicId: string
  readonly spec: StreamSpec
  readonly start?: readonly number[]
  readonly begin: number
  /** Per fixed partition: from this offset on nothing in the topic is the lease's own. */
  readonly seam: readonly number[]
  /** All in front of the seam lies in front of this offset of the topic; null until that is known. */
  readonly end: number | null
}

/** A lease: one application's right to a stream, whose topic may be shared with others (R13). */
export interface Lease {
  readonly id: string
  /** The application that asked. */
  readonly app: string
  readonly spec: StreamSpec
  readonly ttlMs: number
  readonly topic: string
  readonly topicId: string
  /** Whether the topic was made for this lease: then all that the topic holds came after the lease. */
  readonly opensTopic: boolean
  /** Per fixed partition: nothing before this offset is its own, though its topic may hold more. */
  readonly start?: readonly number[]
  /** The offset of its topic at which its own part begins; left out where it may be the first. */
  readonly begin?: number
  /** The topics that it has had before and that are still there, in their order. */
  readonly former?: readonly FormerTopic[]
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** Whether the configuration asked for it. */
  readonly standing: boolean
}

/** What changed for the applications of this process. */
export type LeaseChange =
  | { readonly kind: 'ready'; readonly lease: Lease }
  /** This process does not understand the record of the lease, or of its stream, any more (R23); another one may serve it. */
  | { readonly kind: 'withheld'; readonly leaseId: string; readonly reason: string }
  | { readonly kind: 'ended'; readonly leaseId: string; readonly topic: string; readonly reason: string }

/** How applications get streams: requests go to the coordinator, answers and changes come from the registry. */
export interface StreamDesk {
  /**
   * Asks for a lease; resolves when readers can read its topic. The asker makes `leaseId`, so that asking again is harmless.
   * Raises STREAM_LIMIT, OVERLOADED, LIMIT_REACHED, TOPIC_CREATION_FAILED, BROKER_REFUSED, BROKER_FORBIDDEN, CONTROL_UNAVAILABLE.
   */
  request(
    ask: { readonly leaseId: string; readonly app: string } & StreamRequest,
    signal: AbortSignal,
  ): Promise<Lease>
  /**
   * Moves a lease to another spec at a seam, and gives it another time to live; resolves when the seam is set. One that has both already stays as it is.
   * Raises STREAM_UNKNOWN, STREAM_STANDING, MOVE_LIMIT, TOPIC_CREATION_FAILED, BROKER_REFUSED, BROKER_FORBIDDEN, CONTROL_UNAVAILABLE.
   */
  move(
    ask: { readonly leaseId: string; readonly app: string } & Omit<StreamRequest, 'from'>,
    signal: AbortSignal,
  ): Promise<Lease>
  /** Ends a lease. Raises STREAM_UNKNOWN, CONTROL_UNAVAILABLE. */
  end(leaseId: string, app: string, signal: AbortSignal): Promise<void>
  /** The live leases: those of one application if it is named, else all. */
  list(app?: string): readonly Lease[]
  get(leaseId: string): Lease | undefined
  /**
   * A live lease, also one that another process has just got or moved: if this process does not know it, or not as `isLevel` has it, the call first
   * waits for all that the registry has by now. Raises CONTROL_UNAVAILABLE where that does not come, UPGRADE_NEEDED where this process cannot serve
   * the lease.
   */
  find(leaseId: string, signal: AbortSignal, isLevel?: (lease: Lease) => boolean): Promise<Lease | undefined>
  /**
   * When a lease last had a reader, in any process, in milliseconds since the epoch; undefined if it has had none since this process
   * listens.
   */
  lastReadAt(leaseId: string): number | undefined
  /** Tells that a lease has a reader here at this moment. */
  noteRead(leaseId: string): void
  /** What of a spec no producer gives at present, some seconds old at most; empty where nobody knows. */
  warnings(spec: StreamSpec): readonly StreamWarning[]
  /** The markets that live producers ask their sources for, as EXCHANGE:SYMBOL; undefined where one of them does not say. */
  markets(): ReadonlySet<string> | undefined
  /** From now on asks `leaseIds` which leases have readers here: their time to live does not run. */
  reading(leaseIds: () => Iterable<string>): void
  /** Calls back on each change until the returned function is called. */
  watch(listener: (change: LeaseChange) => void): () => void
}
