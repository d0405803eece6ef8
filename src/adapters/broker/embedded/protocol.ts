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
  createTopics: { args: { specs: readonly TopicSpec[] }; reply: TopicDescription[] }
  deleteTopics: { args: { topics: readonly TopicIdentity[] }; reply: null }
  listTopics: { args: { prefix: string }; reply: TopicDescription[] }
  describeTopics: { args: { names: readonly string[] }; reply: TopicDescription[] }
  offsetAt: { args: { topic: string; partition: number; timestamp: number }; reply: number }
  /** The reply is the base offset of each entry. */
  append: {
    args: { timestamp: number; entries: readonly EncodedEntry[]; data: ArrayBuffer }
    reply: number[]
  }
  openSession: { args: { session: number }; reply: null }
  assign: { args: { session: number; positions: readonly ReadPosition[] }; reply: null }
  unassign: {
    args: { session: number; partitions: readonly { topic: string; partition: number }[] }
    reply: null
  }
  poll: {
    args: { session: number; maxRecords: number; waitMs: number }
    /** Where nothing is left to read, after how many changes (`changesLog`) of this life of the log. */
    reply: { fetches: EncodedFetch[]; data: ArrayBuffer; readUpTo: number | undefined }
  }
  closeSession: { args: { session: number }; reply: null }
  commitPositions: {
    args: { group: string; positions: readonly ReadPosition[]; timestamp: number }
    reply: null
  }
  /** Retention, compaction, and giving space back; answered when it is done. */
  clean: { args: { now: number }; reply: null }
  /** The caller does not wait for this poll any more: what it was given counts as not read. It is not answered. */
  cancelPoll: { args: { session: number; poll: number }; reply: null }
  close: { args: undefined; reply: null }
}

export type Operation = keyof Operations

/** Whether readers may find something after a request. Nobody else has the log, so that who asks knows when there is nothing new. */
export function changesLog(op: Operation): boolean {
  return op === 'append' || op === 'deleteTopics'
}

/** A request as the log sees it. */
export type RequestOf<O extends Operation> = {
  [K in O]: { readonly id: number; readonly op: K } & (Operations[K]['args'] extends undefined
    ? object
    : Operations[K]['args'])
}[O]
