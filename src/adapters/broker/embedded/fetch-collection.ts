import type { StoredBatch } from './batch-store.ts'
import type { EncodedFetch, FetchedBatch, Operations } from './protocol.ts'
import type { Partition, PartitionSubscriber } from './topic-catalog.ts'

export type Fetched = Omit<Operations['poll']['reply'], 'readUpTo'>

/** A reader's position in one partition. Assigning the partition anew makes a new one. */
export class Subscription {
  readonly partition: Partition
  readonly subscriber: PartitionSubscriber
  position: number

  constructor(partition: Partition, position: number, subscriber: PartitionSubscriber) {
    this.partition = partition
    this.position = position
    this.subscriber = subscriber
  }
}

/** What one poll takes, partition by partition. */
export class FetchCollection {
  records = 0
  bytes = 0
  readonly deletedTopics: readonly string[]
  /** Where the reader stood, in case that the answer does not reach it. */
  readonly positionsBefore = new Map<Subscription, number>()
  readonly #truncations: EncodedFetch[] = []
  readonly #found = new Map<Subscription, { readonly position: number; readonly batches: FetchedBatch[] }>()
  readonly #blobs: Uint8Array[] = []

  constructor(deletedTopics: Iterable<string>) {
    this.deletedTopics = [...deletedTopics]
  }

  remember(subscription: Subscription): void {
    if (!this.positionsBefore.has(subscription)) this.positionsBefore.set(subscription, subscription.position)
  }

  /** Called when the position has moved. */
  addTruncation({ partition, position: earliest }: Subscription, position: number): void {
    const { topic, number } = partition
    this.#truncations.push({ kind: 'truncated', topic: topic.name, partition: number, position, earliest })
  }

  /** Makes the partition appear in the answer, even without records. Called before the position moves. */
  touch(subscription: Subscription): FetchedBatch[] {
    let found = this.#found.get(subscription)
    if (found === undefined) {
      found = { position: subscription.position, batches: [] }
      this.#found.set(subscription, found)
    }
    return found.batches
  }

  /** Called before the position moves. */
  add(subscription: Subscription, { baseOffset, nextOffset, timestamp, data }: StoredBatch): void {
    const start = this.bytes
    this.bytes += data.length
    this.records += nextOffset - Math.max(baseOffset, subscription.position)
    this.touch(subscription).push({ baseOffset, nextOffset, timestamp, start, end: this.bytes })
    this.#blobs.push(data)
  }

  /** The answer, its batches copied into one buffer, which costs the reader's thread less than many. */
  finish(): Fetched {
    const fetches: EncodedFetch[] = this.deletedTopics.map((topic) => ({ kind: 'deleted', topic }))
    fetches.push(...this.#truncations)
    for (const [{ partition, position: nextOffset }, { position, batches }] of this.#found) {
      const { topic, number, end: endOffset } = partition
      const place = { topic: topic.name, topicId: topic.id, partition: number }
      fetches.push({ kind: 'records', ...place, position, nextOffset, endOffset, batches })
    }
    const data = new Uint8Array(new ArrayBuffer(this.bytes))
    let at = 0
    for (const blob of this.#blobs) {
      data.set(blob, at)
      at += blob.length
    }
    return { fetches, data: data.buffer }
  }
}
