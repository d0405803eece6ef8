import { partitionKey } from '../../../domain/record.ts'
import type { PartitionQueue } from './partition-queue.ts'
import { UsedLately } from './used-lately.ts'

type Place = Pick<PartitionQueue, 'topic' | 'partition'>

/**
 * The queues of all partitions that are written, however many these are: a queue knows the next sequence number, and without it the partition
 * can only be written under another producer id. Partitions of topics that are over are not written any more, so these go.
 */
export class PartitionQueues {
  readonly #queues: UsedLately<PartitionQueue>

  constructor(now?: () => number) {
    this.#queues = new UsedLately(now)
  }

  values(): Generator<PartitionQueue> {
    return this.#queues.values()
  }

  get(place: Place): PartitionQueue | undefined {
    return this.#queues.get(partitionKey(place))
  }

  set(queue: PartitionQueue): void {
    this.#queues.put(partitionKey(queue), queue)
  }

  delete(place: Place): void {
    this.#queues.delete(partitionKey(place))
  }

  /** Forgets what was not written for long, if it is time to look. Gives whether there was any: then all begin anew under another producer id. */
  forgetUnused(): boolean {
    return this.#queues.turn(({ isIdle }) => !isIdle)
  }
}
