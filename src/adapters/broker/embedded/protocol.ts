import type { ErrorCode, TapelineError } from '../../../errors.ts'
import type { ReadPosition, TopicDescription, TopicIdentity, TopicSpec } from '../../../ports/broker.ts'
import type { EncodedBatch } from './record-batch.ts'

/** Records of one partition on their way to the log: ranges of the message's `data`, each a record batch. */
export interface EncodedEntry {
  readonly topic: string
  readonly partition: number
  readonly batches: readonly EncodedBatch[]
}

/** A record batch on its way to a reader: a range of the reply's `data`. */
export interface FetchedBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly timestamp: number
  readonly start: number
  readonly end: number
}

/** One partition's part of the answer to a poll; PartitionFetch of the port, with the records still encoded. */
export type EncodedFetch =
  | {
      readonly kind: 'records'
      readonly topic: string
      readonly topicId: string
      readonly partition: number
      /** Records of the first batch below this offset are left out. */
      readonly position: number
      readonly nextOffset: number
      readonly endOffset: number
      readonly batches: FetchedBatch[]
    }
  | {
      readonly kind: 'truncated'
      readonly topic: string
      readonly partition: number
      readonly position: number
      readonly earliest: number
    }
  | { readonly kind: 'deleted'; readonly topic: string }

/** What can be asked of the log, and what it answers. Times are in milliseconds. */
export interface Operations {
  createTopics: { request: { specs: readonly TopicSpec[] }; reply: TopicDescription[] }
  deleteTopics: { request: { topics: readonly TopicIdentity[] }; reply: null }
  listTopics: { request: { prefix: string }; reply: TopicDescription[] }
  describeTopics: { request: { names: readonly string[] }; reply: TopicDescription[] }
  offsetAt: { request: { topic: string; partition: number; timestamp: number }; reply: number }
  /** The reply is the base offset of each entry. */
  append: {
    request: { timestamp: number; entries: readonly EncodedEntry[]; data: ArrayBuffer }
    reply: number[]
  }
  openSession: { request: { session: number }; reply: null }
  assign: { request: { session: number; positions: readonly ReadPosition[] }; reply: null }
  unassign: {
    request: { session: number; partitions: readonly { topic: string; partition: number }[] }
    reply: null
  }
  poll: {
    request: { session: number; maxRecords: number; waitMs: number }
    reply: { fetches: EncodedFetch[]; data: ArrayBuffer }
  }
  closeSession: { request: { session: number }; reply: null }
  commitPositions: {
    request: { group: string; positions: readonly ReadPosition[]; timestamp: number }
    reply: null
  }
  /** Retention, compaction, and giving space back; answered when it is done. */
  clean: { request: { now: number }; reply: null }
  close: { request: object; reply: null }
}

export type Operation = keyof Operations

export type RequestOf<O extends Operation> = {
  [K in O]: { readonly id: number; readonly op: K } & Operations[K]['request']
}[O]

/** The caller does not wait for this poll any more: what it was given counts as not read. */
interface CancelPoll {
  readonly op: 'cancelPoll'
  readonly session: number
  readonly poll: number
}

export type Request = RequestOf<Operation> | CancelPoll

interface EncodedError {
  readonly code: ErrorCode
  readonly message: string
  readonly partitions?: TapelineError['partitions']
}

export type Reply =
  | { readonly id: number; readonly value: Operations[Operation]['reply'] }
  | { readonly id: number; readonly error: EncodedError }
