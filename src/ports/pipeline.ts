import type { ReaderMemory } from '../domain/reader-rules.ts'
import type { StreamSpec } from '../domain/stream-spec.ts'
import type { TapelineError } from '../errors.ts'
import type { PartitionFetch, StoredRecord, TopicPartition } from './broker.ts'
import type { SourceBatch } from './source.ts'
import type { Claim, PartitionWrite } from './store.ts'

/** What the machines have in hand: batches and the outcomes of their steps. */

/**
 * A batch on its way through a machine, with its way home: the last step that works on it calls `done`. Until then whoever gave it
 * gives the same batch again, so that a RESET loses nothing.
 */
export type Carried<T> = T & { readonly done: () => void }

/** A batch on its way into the fixed topics; one that nobody keeps for its publisher has no way home. */
export type FetchedBatch = SourceBatch & Partial<Pick<Carried<SourceBatch>, 'done'>>

/** What a publish step came to. */
export interface PublishOutcome {
  /** The topics that were written. */
  readonly topics: readonly string[]
  /** Records acknowledged. */
  readonly records: number
  /** Whether dynamic topics wait for records: what was just published, or a stream that is behind. */
  readonly dynamicWaiting: boolean
}

/** What came of asking for a topic: `open` where no answer came in time and the request stands. */
export interface TopicAnswer {
  readonly topicName: string
  readonly outcome: 'created' | 'open'
}

/** News of the coordinator for producers: streams that are ready to be routed, or to be routed no longer. */
export interface ProducerNotification {
  readonly ready: readonly string[]
  readonly ended: readonly string[]
}

/** One dynamic topic to be made (R10). */
export interface TopicRequest {
  readonly topicName: string
  readonly partitions: number
  readonly spec: StreamSpec
  readonly requestId: string
  readonly leaseId: string
  readonly app: string
  readonly ttlMs: number
  readonly standing: boolean
}

/** Requests of one kind, with the position in the control topic after them. */
interface Requests<Kind, Request> {
  readonly kind: Kind
  readonly requests: readonly Request[]
  readonly controlOffset: number
}

/** What the coordinator's cycle works on. */
export type TopicBatch =
  | Requests<'create', TopicRequest>
  | Requests<'delete', { readonly topicName: string; readonly streamId: string }>

/** What a poll found in a partition of a fixed topic, with the offset that it was read from: what lies before is not in it. */
export type FixedFetch = Exclude<PartitionFetch, { kind: 'deleted' }> & { readonly from: number }

/** Records of fixed topics, as polled, with what was decoded and encoded of them while they were read. */
export interface FixedBatch {
  readonly fetches: readonly FixedFetch[]
  readonly records: number
  /** Made anew by whoever finds that the claims have changed since. */
  prepared: Prepared
}

/** What becomes of polled records. */
export interface Prepared {
  readonly writes: readonly PreparedWrite[]
  readonly rows: number
  /** The claim of each partition that anything was read of, as it was taken to be: also where nothing is to be written under it. */
  readonly basis: readonly Claim[]
  readonly rejected: readonly Rejected[]
  /** Partitions of which something lies between the claim and what was read: it must be read again from the claim. */
  readonly torn: readonly TopicPartition[]
}

/** A record that cannot be stored, and why. */
export interface Rejected extends TopicPartition {
  readonly record: StoredRecord
  readonly error: TapelineError
}

/** Which chunks of its table rows lie in: as numbers that rise with time. */
export interface ChunkSpread {
  /** How many of those that are written straight into the table. */
  readonly direct: number
  /** Between which those that enter again are looked up; `low` is above `high` where there are none. */
  readonly low: number
  readonly high: number
}

/** Rows of a partition from where the slice before ends up to `newOffset`, few enough chunks for one transaction. */
export interface WriteSlice extends Omit<PartitionWrite, 'claim'> {
  readonly chunks: ChunkSpread
}

/** The rows of one partition, and the same in slices that are written one after another: nearly always one. */
export interface PreparedWrite extends PartitionWrite {
  readonly slices: readonly WriteSlice[]
}

/** A fixed batch ready to be written, with what was polled: where the database refuses a row, that is stored in halves. */
export interface PreparedBatch extends Pick<Prepared, 'writes' | 'rows'>, Pick<FixedBatch, 'fetches'> {}

/** Records of one dynamic topic that count, in order, with what a reader remembers after them. */
export interface StreamBatch {
  readonly topic: string
  readonly topicId: string
  /** The offset of the first record that it covers, and the one after the last. */
  readonly from: number
  readonly next: number
  readonly after: ReaderMemory
  readonly events: readonly { readonly offset: number; readonly value: Uint8Array }[]
  /** Set where history is gone for good in front of this place: applications are told. */
  readonly reset: string | null
}

/** Batches of dynamic topics for one application. */
export interface DynamicBatch {
  readonly fetches: readonly StreamBatch[]
}

/** What a delivery came to. */
export interface DeliveryResult {
  readonly endpoints: number
  readonly events: number
}
