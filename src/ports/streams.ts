import type { StreamWarning } from '../domain/offer.ts'
import type { StreamRequest, StreamSpec } from '../domain/stream-spec.ts'

/** A lease: one application's right to a stream, whose topic may be shared with others (R13). */
export interface Lease {
  readonly id: string
  /** The application that asked. */
  readonly app: string
  readonly spec: StreamSpec
  readonly ttlMs: number
  readonly topic: string
  readonly topicId: string
  /** Whether the topic was made for it: then all that the topic holds came after it. */
  readonly opensTopic: boolean
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** Whether the configuration asked for it. */
  readonly standing: boolean
}

/** What changed for the applications of this process. */
export type LeaseChange =
  | { readonly kind: 'ready'; readonly lease: Lease }
  /** Its record, or its stream's, is not understood here any more (R23): another process may serve it. */
  | { readonly kind: 'withheld'; readonly leaseId: string; readonly reason: string }
  | { readonly kind: 'ended'; readonly leaseId: string; readonly topic: string; readonly reason: string }

/** How applications get streams: requests go to the coordinator, answers and changes come from the registry. */
export interface StreamDesk {
  /**
   * Asks for a lease; resolves when its topic can be read. The asker makes `leaseId`, so that asking again is harmless.
   * Raises STREAM_LIMIT, TOPIC_CREATION_FAILED, BROKER_REFUSED, BROKER_FORBIDDEN, CONTROL_UNAVAILABLE.
   */
  request(
    ask: { readonly leaseId: string; readonly app: string } & StreamRequest,
    signal: AbortSignal,
  ): Promise<Lease>
  /** Ends a lease. Raises STREAM_UNKNOWN, CONTROL_UNAVAILABLE. */
  end(leaseId: string, app: string, signal: AbortSignal): Promise<void>
  /** The live leases, of one application where it is named. */
  list(app?: string): readonly Lease[]
  get(leaseId: string): Lease | undefined
  /**
   * A live lease, also one that another process has just been given: where it is not known, all that the registry has by now is
   * waited for first. Raises CONTROL_UNAVAILABLE where that cannot be had, UPGRADE_NEEDED where this process cannot serve it.
   */
  find(leaseId: string, signal: AbortSignal): Promise<Lease | undefined>
  /**
   * When a lease was last known to have a reader, in any process, in milliseconds since the epoch; undefined where it has had none
   * since this process listens.
   */
  lastReadAt(leaseId: string): number | undefined
  /** Tells that a lease has a reader here at this moment. */
  noteRead(leaseId: string): void
  /** What of a spec no producer gives at present; empty where that is not known. At most some seconds old. */
  warnings(spec: StreamSpec): readonly StreamWarning[]
  /** Tells which leases have readers here, so that their time to live does not run. */
  reading(leaseIds: () => Iterable<string>): void
  /** Calls back on each change until the returned function is called. */
  watch(listener: (change: LeaseChange) => void): () => void
}
