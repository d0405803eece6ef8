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
  /** Where it is given, another topic of this name is one that the broker does not show. */
  readonly topicId?: string
  /** Others write there too: their records may come in between, and the acknowledgement tells only where the first one lies. */
  readonly shared?: true
}

/**
 * What the broker acknowledged for one PartitionRecords: its first record got `baseOffset`, the others follow without a hole, unless it
 * is `shared`.
 */
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
 * What one poll found in one partition. The parts of one partition come in the order in which they happened: what is told stands
 * after the records before it and in front of those after it.
 * - `records`: in order; `nextOffset` may be beyond the last record (control batches, compaction).
 * - `truncated`: retention has passed the position; reading goes on from `earliest`. Also where the log ends before the
 *   position (it lost its end in a power failure): `earliest` is then its end, below `position`.
 * - `undecodable`: a batch that nobody can read: its checksum is wrong, or what is in it has no known form. Reading goes on after it.
 * - `deleted`: the topic is gone; the reader has dropped it.
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

/** A batch of the log that cannot be read, as it lies there. */
export interface UndecodableBatch {
  readonly kind: 'undecodable'
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** The first offset that is lost with it, and the next one that can be read. */
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
  /** Adds partitions, or moves those it reads already. Raises TOPIC_UNKNOWN. May be called during a poll, which then sees it. */
  assign(positions: readonly ReadPosition[], signal: AbortSignal): Promise<void>
  unassign(partitions: readonly TopicPartition[], signal: AbortSignal): Promise<void>
  /** What has arrived since the positions, advancing them; empty after `waitMs`. No partition starves another. */
  poll(options: PollOptions, signal: AbortSignal): Promise<readonly PartitionFetch[]>
  /** Closes the reader. An abort ends the wait alone, without an error: it closes all the same. */
  close(signal: AbortSignal): Promise<void>
}

/**
 * A writer under a transactional id. Whoever takes the id over fences all earlier holders: their commits reject with FENCED
 * and write nothing.
 */
export interface TransactionalWriter {
  /** Writes all records, over any topics, or none. Acks in the order of the entries. */
  commit(entries: readonly PartitionRecords[], signal: AbortSignal): Promise<readonly PartitionAck[]>
  close(): Promise<void>
}

export interface GroupMember {
  /** Tells the usual tools how far this member is. Never read back by the platform. */
  commit(positions: readonly ReadPosition[], signal: AbortSignal): Promise<void>
  leave(): Promise<void>
}

export interface GroupOptions {
  readonly group: string
  readonly topics: readonly string[]
  /** Called with all partitions that this member has from now on, in order, never twice at once, when they have changed. */
  readonly onAssignment: (partitions: readonly TopicPartition[]) => Promise<void>
  /**
   * Called when the group may have given the member's partitions to others: it was not heard of for a session, as when the broker is away,
   * or it says that it does not know the member any more. The member asks for what it had, and `onAssignment` tells what it has then, also
   * where that is the same. Without this, `onAssignment` is called with none.
   */
  readonly onDoubt?: () => void
}

/**
 * A partitioned log: Kafka, Redpanda, or the embedded one. Every method takes a signal or is quick; a lost connection rejects
 * with BROKER_UNAVAILABLE, and a later call may succeed.
 */
export interface Broker {
  /**
   * Makes topics; resolves when all can be used. One that exists with equal settings is left as it is.
   * Raises TOPIC_EXISTS where it exists otherwise; also where the name was used before, if the broker remembers that: Kafka
   * does not, so that there only ids tell a topic from a former one of its name.
   */
  createTopics(specs: readonly TopicSpec[], signal: AbortSignal): Promise<readonly TopicDescription[]>
  /**
   * Deletes topics. What does not exist is passed over, and so is a topic that somebody made anew under the name: its identity is
   * another one.
   */
  deleteTopics(topics: readonly TopicIdentity[], signal: AbortSignal): Promise<void>
  /** All topics whose name starts with the prefix. */
  listTopics(prefix: string, signal: AbortSignal): Promise<readonly TopicDescription[]>
  /** These topics by their whole names, without a look at any other; those that the broker does not show are left out. */
  describeTopics(names: readonly string[], signal: AbortSignal): Promise<readonly TopicDescription[]>
  /**
   * The identities of these topics by name; those that the broker does not show at present are left out. Quick also where a
   * partition has no leader. What a broker does not show may be there all the same: one look is no proof.
   */
  topicIds(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string>>
  /** The first offset whose record was published at or after a time (ms), or the end offset. Raises TOPIC_UNKNOWN. */
  offsetAt(topic: string, partition: number, timestamp: number, signal: AbortSignal): Promise<number>
  /**
   * Appends records: ordered, without duplicates, acknowledged when durable. One call in flight per broker client at most is
   * sent; further calls wait. Acks in the order of the entries. Raises TOPIC_UNKNOWN, RECORD_TOO_LARGE, INPUT_INVALID for a
   * record without a key in a compacted topic (nothing was written; TOPIC_UNKNOWN names in `partitions` those that the broker does
   * not show; RECORD_TOO_LARGE names in `values` the record, which is not stored, nor is anything that follows it in its partition: what is in
   * front of it, and other partitions, may be), BROKER_UNAVAILABLE or TIMEOUT (the outcome is unknown; the error names in `partitions` those that are known to have
   * failed). A partition that cannot be written must not keep later
   * calls for others waiting for longer than its caller does.
   */
  publish(entries: readonly PartitionRecords[], signal: AbortSignal): Promise<readonly PartitionAck[]>
  /** Takes over a transactional id. */
  takeOver(transactionalId: string, signal: AbortSignal): Promise<TransactionalWriter>
  openReader(signal: AbortSignal): Promise<Reader>
  joinGroup(options: GroupOptions, signal: AbortSignal): Promise<GroupMember>
  /** Resolves when a server of it answers, whichever; at once where one has answered something within the last half second. Nothing waits for it. */
  ping(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
