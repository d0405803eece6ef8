import { partitionKey } from '../../../domain/record.ts'
import type { PartitionQueue } from './partition-queue.ts'

/** What nobody has sent to for this long is forgotten, at the latest after twice as long. */
const KEEP_MS = 3_600_000

type Place = Pick<PartitionQueue, 'topic' | 'partition'>

/**
 * The queues of all partitions that are written, however many these are: a queue knows the next sequence number, and without it the partition
 * can only be written under another producer id. Partitions of topics that are over are not written any more, so these go.
 */
export class PartitionQueues {
  readonly #now: () => number
  #used = new Map<string, PartitionQueue>()
  /** Not written since the last change of turns. */
  #unused = new Map<string, PartitionQueue>()
  #turnedAt: number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#turnedAt = now()
  }

  *values(): Generator<PartitionQueue> {
    yield* this.#used.values()
    yield* this.#unused.values()
  }

  get(place: Place): PartitionQueue | undefined {
    const key = partitionKey(place)
    const used = this.#used.get(key)
    if (used !== undefined) return used
    const found = this.#unused.get(key)
    if (found === undefined) return undefined
    this.#unused.delete(key)
    this.#used.set(key, found)
    return found
  }

  set(queue: PartitionQueue): void {
    const key = partitionKey(queue)
    this.#unused.delete(key)
    this.#used.set(key, queue)
  }

  delete(place: Place): void {
    const key = partitionKey(place)
    this.#used.delete(key)
    this.#unused.delete(key)
  }

  /** Forgets what was not written for long, if it is time to look. Gives whether there was any: then all begin anew under another producer id. */
  forgetUnused(): boolean {
    if (this.#now() - this.#turnedAt < KEEP_MS) return false
    this.#turnedAt = this.#now()
    const kept = [...this.#unused].filter(([, queue]) => !queue.isIdle)
    const isAnyGone = kept.length < this.#unused.size
    this.#unused = new Map([...kept, ...this.#used])
    this.#used = new Map()
    return isAnyGone
  }
}
