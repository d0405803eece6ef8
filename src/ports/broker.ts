import type { RecordHeaders } from '../domain/record.ts'

/** Settings of a topic when it is made. */
export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  /** How long records stay, in milliseconds; undefined: for ever (or until compaction). */
  readonly retentionMs?: number
  /** Keep at least the last record of each key, instead of deleting by age. */
  readonly compacted?: true
}

/** One topic among all that ever had its name. */
export interface TopicIdentity {
  readonly name: string
  /** Never used again, even if the name were. */
  readonly id: string
}

/** One partition of a topic. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface TopicDescription extends TopicIdentity {
  readonly partitions: number
  readonly compacted: boolean
  readonly retentionMs?: number
  /** Per partition: the first offset that can be read, and the next one to be written. */
  readonly offsets: readonly { readonly earliest: number; readonly end: number }[]
}

/** A record to publish. `value` null is a tombstone (compacted topics) or the body of a marker. */
export interface OutgoingRecord {
  readonly key: string | null
  readonly value: Uint8Array | null
  readonly headers: RecordHeaders
}

/** Records for one partition, in order. */
export interface PartitionRecords {
  readonly topic: string
  readonly partition: number
  readonly records: readonly OutgoingRecord[]
  /** With it, another topic of this name counts as none: the call raises TOPIC_UNKNOWN. */
  readonly topicId?: string
  /** Others write there too. Their records may come in between, so the acknowledgement tells only where the first record lies. */
  readonly shared?: true
}

/** The first of the PartitionRecords got `baseOffset`. The others follow without a hole, unless the entry is `shared`. */
export interface PartitionAck {
  readonly topic: string
  readonly partition: number
  readonly baseOffset: number
}

export interface StoredRecord extends OutgoingRecord {
  readonly offset: number
  /** Publication time in milliseconds, by the broker. */
  readonly timestamp: number
}

export interface ReadPosition {
  readonly topic: string
  readonly partition: number
  /** The next offset to read. */
  readonly offset: number
}

/**
 * What one poll found in one partition. What it tells of a partition comes in the order in which it happened, among the records.
 * - `records`: in order. `nextOffset` may lie beyond the last record (control batches, compaction).
 * - `truncated`: retention has passed the position, or the log has lost its end (in a power failure) and ends before the position. Reading
 *   goes on from `earliest`; where the log has lost its end, `earliest` is the new end, below `position`.
 * - `undecodable`: nobody can read a batch: its checksum is wrong, or its content has no known form. Reading goes on after the batch.
 * - `deleted`: the topic is gone. The reader has dropped it.
 */
export type PartitionFetch =
  | {
      readonly kind: 'records'
      readonly topic: string
      readonly topicId: string
      readonly partition: number
      readonly records: readonly StoredRecord[]
      readonly nextOffset: number
      /** End of the partition when it was read: `endOffset - nextOffset` is the lag. */
      readonly endOffset: number
    }
  | {
      readonly kind: 'truncated'
      readonly topic: string
      readonly partition: number
      readonly position: number
      readonly earliest: number
    }
  | UndecodableBatch
  | { readonly kind: 'deleted'; readonly topic: string }

/** A batch of the log that nobody can read, as it lies there. */
export interface UndecodableBatch {
  readonly kind: 'undecodable'
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** The first offset that is lost with the batch, and the next one to read. */
  readonly offset: number
  readonly nextOffset: number
  /** End of the partition when it was read. */
  readonly endOffset: number
  readonly bytes: Uint8Array
  /** What is wrong with it, in words. */
  readonly reason: string
}

export interface PollOptions {
  /** Stop after about so many records (a batch of the log is never split below this, but may exceed it a little). */
  readonly maxRecords: number
  /** How long to wait when there is nothing. */
  readonly waitMs: number
}

/** Reads many partitions from explicit offsets, without a group. One poll at a time. */
export interface Reader {
  /** Adds partitions, or moves those it reads already; a poll under way sees the change. Raises TOPIC_UNKNOWN. */
  assign(positions: readonly ReadPosition[], signal: AbortSignal): Promise<void>
  unassign(partitions: readonly TopicPartition[], signal: AbortSignal): Promise<void>
  /** Gives what has arrived since the positions, and advances them; empty after `waitMs`. No partition starves another. */
  poll(options: PollOptions, signal: AbortSignal): Promise<readonly PartitionFetch[]>
  /** Closes the reader. An abort ends only the wait, without an error: the reader closes all the same. */
  close(signal: AbortSignal): Promise<void>
}

/**
 * A writer under a transactional id. Whoever takes the id over fences all earlier holders: their commits write nothing and reject with
 * FENCED.
 */
export interface TransactionalWriter {
  /** Writes all records, over any topics, or none. Acks in the order of the entries. */
  commit(entries: readonly PartitionRecords[], signal: AbortSignal): Promise<readonly PartitionAck[]>
  close(): Promise<void>
}

export interface GroupMember {
  /** Tells the usual tools how far this member is. The platform never reads it back. */
  commit(positions: readonly ReadPosition[], signal: AbortSignal): Promise<void>
  leave(): Promise<void>
}

export interface GroupOptions {
  readonly group: string
  readonly topics: readonly string[]
  /** Hears of a change: all partitions that this member has from now on. The calls come in order, never two at once. */
  readonly onAssignment: (partitions: readonly TopicPartition[]) => Promise<void>
  /**
   * Hears that the group may have given the member's partitions to others: the member heard nothing of the group for a session, or the group
   * says that it does not know the member. The member asks for what it had; `onAssignment` tells what it has then, even if that is the
   * same. Without `onDoubt`, `onAssignment` hears of no partitions at once.
   */
  readonly onDoubt?: () => void
}

/**
 * A partitioned log: Kafka, Redpanda, or the embedded one. Every method takes a signal or is quick. After a lost connection a call rejects
 * with BROKER_UNAVAILABLE, and a later one may succeed.
 */
export interface Broker {
  /**
   * Makes topics; resolves when all can be used. Leaves one that exists with equal settings as it is. Raises TOPIC_EXISTS where the settings
   * differ, and where a broker remembers that a former topic had the name. Kafka does not remember: there only ids tell the two apart.
   */
  createTopics(specs: readonly TopicSpec[], signal: AbortSignal): Promise<readonly TopicDescription[]>
  /**
   * Deletes topics. Passes over what does not exist, and a topic that somebody made anew under the name: its identity is another one.
   */
  deleteTopics(topics: readonly TopicIdentity[], signal: AbortSignal): Promise<void>
  /** All topics whose name starts with the prefix. */
  listTopics(prefix: string, signal: AbortSignal): Promise<readonly TopicDescription[]>
  /** These topics by their whole names, without a look at any other. Leaves out those that the broker does not show. */
  describeTopics(names: readonly string[], signal: AbortSignal): Promise<readonly TopicDescription[]>
  /**
   * The identities of these topics by name, without those that the broker does not show at present. Quick even if a partition has no
   * leader. A topic that the broker does not show may be there all the same: one look is no proof.
   */
  topicIds(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string>>
  /** The first offset whose record was published at or after a time (ms), or the end offset. Raises TOPIC_UNKNOWN. */
  offsetAt(topic: string, partition: number, timestamp: number, signal: AbortSignal): Promise<number>
  /**
   * Appends records: ordered, without duplicates, acknowledged when durable. Gives the acks in the order of the entries. A partition that
   * cannot be written keeps later calls for other partitions waiting no longer than its own caller waits. Raises:
   * - TOPIC_UNKNOWN: nothing was written; `partitions` names those that the broker does not show.
   * - INPUT_INVALID: nothing was written; a record for a compacted topic has no key.
   * - RECORD_TOO_LARGE: `values` names the record. It is not stored, nor is what follows it in its partition; all else may be.
   * - BROKER_UNAVAILABLE, TIMEOUT: the outcome is unknown; `partitions` names those that are known to have failed.
   */
  publish(entries: readonly PartitionRecords[], signal: AbortSignal): Promise<readonly PartitionAck[]>
  /** Takes over a transactional id. */
  takeOver(transactionalId: string, signal: AbortSignal): Promise<TransactionalWriter>
  openReader(signal: AbortSignal): Promise<Reader>
  joinGroup(options: GroupOptions, signal: AbortSignal): Promise<GroupMember>
  /** Resolves when any server of the broker answers; at once if one has answered something within the last half second. */
  ping(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
