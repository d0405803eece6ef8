import type { ReaderMemory } from '../domain/reader-rules.ts'
import type { Position } from '../domain/record.ts'
import type { StreamSpec } from '../domain/stream-spec.ts'
import type { TapelineError } from '../errors.ts'
import type { PartitionFetch, StoredRecord, TopicPartition } from './broker.ts'
import type { SourceBatch } from './source.ts'
import type { Claim, PartitionWrite } from './store.ts'

/**
 * A batch on its way through a machine, with its way home: the last step of the machine calls `done`. Until then the giver of the batch
 * gives the same one again, so that a RESET loses nothing.
 */
export type Carried<T> = T & { readonly done: () => void }

/** A batch on its way into the fixed topics. It has no way home where nobody keeps it for a second try. */
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

/** What came of asking for a topic. `open`: no answer came in time, and the request stands. */
export interface TopicAnswer {
  readonly topicName: string
  readonly outcome: 'created' | 'open'
}

/** The coordinator's news for producers: streams to route from now on, and streams to route no longer. */
export interface ProducerNotification {
  readonly ready: readonly string[]
  readonly ended: readonly string[]
}

/** One dynamic topic to be made (R10). */
export interface TopicRequest {
  readonly topicName: string
  readonly partitions: number
  readonly spec: StreamSpec
  /** Per fixed partition: where the stream begins at the latest; left out where it begins with what comes next. */
  readonly start?: readonly number[]
  /** Of candles: periods that begin before have none, in microseconds. */
  readonly since?: number
  readonly requestId: string
  readonly leaseId: string
  readonly app: string
  readonly ttlMs: number
  readonly standing: boolean
  /** Whether a lease that there is moves to the topic. */
  readonly moves?: true
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

/**
 * What a poll found in a partition of a fixed topic, from the offset `from` on. `epochs`: where reading goes back in a log that has lost its end, those that
 * count there, by shard.
 */
export type FixedFetch = Exclude<PartitionFetch, { kind: 'deleted' }> & {
  readonly from: number
  readonly epochs?: Readonly<Record<number, number>>
}

/** Records of fixed topics as polled, and the rows that the reader has made of them already. */
export interface FixedBatch {
  readonly fetches: readonly FixedFetch[]
  readonly records: number
  /** Whoever finds that the claims have changed since makes it anew. */
  prepared: Prepared
}

/** What becomes of polled records. */
export interface Prepared {
  readonly writes: readonly PreparedWrite[]
  readonly rows: number
  /** The claim that each partition was read for, also where nothing is to be written under it. */
  readonly basis: readonly Claim[]
  readonly rejected: readonly Rejected[]
  /** Partitions with a hole between the claim and what was read: they are read again from the claim. */
  readonly torn: readonly TopicPartition[]
}

/** A record that the store cannot take, and why. */
export interface Rejected extends TopicPartition {
  readonly record: StoredRecord
  readonly error: TapelineError
}

/** The chunks of a table that rows lie in. Chunks are numbered by time. */
export interface ChunkSpread {
  /** How many chunks get rows without a look-up. */
  readonly direct: number
  /** The chunks in which rows that enter again are looked up; `low` is above `high` where there are none. */
  readonly low: number
  readonly high: number
}

/** Rows of a partition from the end of the slice before up to `newOffset`, in few enough chunks for one transaction. */
export interface WriteSlice extends Omit<PartitionWrite, 'claim'> {
  readonly chunks: ChunkSpread
}

/** The rows of one partition, and the same rows in slices, which go one after another: nearly always one slice. */
export interface PreparedWrite extends PartitionWrite {
  readonly slices: readonly WriteSlice[]
}

/** A fixed batch ready to be written. Where the database refuses a row, the consumer stores `fetches` in halves. */
export interface PreparedBatch extends Pick<Prepared, 'writes' | 'rows'>, Pick<FixedBatch, 'fetches'> {}

/** The records of one dynamic topic that count, in order, and what a reader remembers after them. */
export interface StreamBatch {
  readonly topic: string
  readonly topicId: string
  /** The first offset that it covers, and the offset after the last one. */
  readonly from: number
  readonly next: number
  readonly after: ReaderMemory
  /** `position`: of the fixed record that caused the event. */
  readonly events: readonly {
    readonly offset: number
    readonly value: Uint8Array
    readonly position?: Position | undefined
  }[]
  /** The traces that it belongs to, where it does to any. */
  readonly traces?: readonly string[]
  /** Why history in front of this place is gone for good; applications hear it. Null where none is. */
  readonly reset: string | null
  /** With a reset: the place from which on the records of a fixed partition begin anew, if that is why. */
  readonly anew?: Position | undefined
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
