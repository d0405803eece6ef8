import type { PartitionFetch, StoredRecord } from '../../../ports/broker.ts'
import type { FetchedBatches } from './fetched-batches.ts'

/** What one fetch gave of one partition, decoded as it is taken. */
export interface FetchedPiece {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly batches: FetchedBatches
  readonly bytes: number
  readonly endOffset: number
}

type Truncation = PartitionFetch & { readonly kind: 'truncated' }

/** What a partition waits with, in the order in which it happened. */
type Waited = FetchedPiece | Truncation

interface Waiting {
  readonly topic: string
  readonly queue: Waited[]
  /** Decoded already, and not taken: of the piece that is first in the queue. */
  rest: StoredRecord[]
}

/** What a reader has fetched ahead, taken in turns of the partitions. What is told keeps its place among the records. */
export class ReadBuffer {
  readonly #waiting = new Map<string, Waiting>()
  /** Topics that are gone, told when nothing of them waits any more. */
  readonly #gone = new Set<string>()
  #bytes = 0

  /** Bytes of fetches that are not all taken. */
  get bytes(): number {
    return this.#bytes
  }

  add(key: string, piece: FetchedPiece): void {
    this.#of(key, piece.topic).queue.push(piece)
    this.#bytes += piece.bytes
  }

  /** Something to tell of a partition, after what it holds. */
  tell(key: string, notice: Truncation): void {
    this.#of(key, notice.topic).queue.push(notice)
  }

  /** One word for all partitions of a topic, after what they hold. */
  tellGone(topic: string): void {
    this.#gone.add(topic)
  }

  /** Forgets a partition, and that its topic is gone: whoever asks knows. */
  drop(key: string, topic: string): void {
    for (const waited of this.#waiting.get(key)?.queue ?? [])
      if ('bytes' in waited) this.#bytes -= waited.bytes
    this.#waiting.delete(key)
    this.#gone.delete(topic)
  }

  /** Takes about so many records, an equal share of each partition; who was served goes to the end of the queue. */
  take(maxRecords: number): PartitionFetch[] {
    const taken: PartitionFetch[] = []
    let left = Math.max(1, maxRecords)
    const share = Math.ceil(left / Math.max(1, this.#waiting.size))
    for (const [key, waiting] of [...this.#waiting]) {
      if (left <= 0) break
      this.#waiting.delete(key)
      left -= this.#takeShare(waiting, share, taken)
      if (waiting.queue.length > 0) this.#waiting.set(key, waiting)
    }
    this.#takeGone(taken)
    return taken
  }

  #of(key: string, topic: string): Waiting {
    const known = this.#waiting.get(key)
    if (known !== undefined) return known
    const waiting: Waiting = { topic, queue: [], rest: [] }
    this.#waiting.set(key, waiting)
    return waiting
  }

  #takeGone(taken: PartitionFetch[]): void {
    if (this.#gone.size === 0) return
    const held = new Set([...this.#waiting.values()].map(({ topic }) => topic))
    for (const topic of this.#gone) {
      if (held.has(topic)) continue
      this.#gone.delete(topic)
      taken.push({ kind: 'deleted', topic })
    }
  }

  /** Takes what waits in order until the share is full; gives how many records that were. */
  #takeShare(waiting: Waiting, share: number, taken: PartitionFetch[]): number {
    let count = 0
    while (count < share) {
      const [first] = waiting.queue
      if (first !== undefined && 'kind' in first) {
        waiting.queue.shift()
        taken.push(first)
      } else {
        const records = this.#takeRecords(waiting, share - count, taken)
        if (records === undefined) break
        count += records
      }
    }
    return count
  }

  /** Takes records of pieces that follow each other, and what cannot be read after them; undefined where there is none. */
  #takeRecords(waiting: Waiting, share: number, taken: PartitionFetch[]): number | undefined {
    const { queue, rest: records } = waiting
    const [first] = queue
    if (first === undefined || 'kind' in first) return undefined
    waiting.rest = []
    let { nextOffset } = first.batches
    let last = first
    let unreadable: ReturnType<FetchedBatches['read']>
    for (let piece = queue[0]; piece !== undefined && !('kind' in piece); piece = queue[0]) {
      unreadable = piece.batches.read(records, share)
      last = piece
      nextOffset = unreadable?.offset ?? piece.batches.nextOffset
      if (piece.batches.isDone && records.length <= share) {
        queue.shift()
        this.#bytes -= piece.bytes
      } else break
      if (records.length >= share || unreadable !== undefined) break
    }
    if (records.length > share) {
      waiting.rest = records.splice(share)
      nextOffset = waiting.rest[0]?.offset ?? nextOffset
    }
    const { topic, topicId, partition } = first
    const place = {
      topic,
      topicId,
      partition,
      endOffset: Math.max(last.endOffset, unreadable?.nextOffset ?? nextOffset),
    }
    const count = records.length
    // Where nothing lies in front of what cannot be read, it stands alone.
    if (count > 0 || unreadable === undefined) taken.push({ kind: 'records', ...place, records, nextOffset })
    if (unreadable !== undefined) taken.push({ kind: 'undecodable', ...place, ...unreadable })
    return count
  }
}
