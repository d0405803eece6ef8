import { startTimer, type Timer } from '../../../async/timers.ts'
import type { BatchStore } from './batch-store.ts'
import { FetchCollection, type Fetched, Subscription } from './fetch-collection.ts'
import type { Partition } from './topic-catalog.ts'

/** One answer holds about so much. */
const MAX_FETCH_BYTES = 4 * 1024 * 1024
/** One partition gives at most about so much before the next has its turn. */
const TURN_BYTES = 256 * 1024

/** Where a session's answers go. */
export interface PollReplies {
  /** `isAll`: nothing is left to read. */
  answer(poll: number, fetched: Fetched, isAll: boolean): void
  fail(poll: number, error: unknown): void
}

export interface Poll {
  readonly id: number
  readonly maxRecords: number
  readonly waitMs: number
}

/**
 * The positions of one reader. A poll takes from the partitions that have something, in turn; one that finds nothing waits
 * until a record arrives in any of them, without holding up anybody else.
 */
export class FetchSession {
  readonly #store: BatchStore
  readonly #replies: PollReplies
  readonly #subscriptions = new Map<Partition, Subscription>()
  /** Those with something to read, in the order of their turns. */
  readonly #ready = new Set<Subscription>()
  readonly #deletedTopics = new Set<string>()
  #waiting: { readonly poll: Poll; readonly timer: Timer } | undefined
  #wakeUp = false
  #last: { readonly poll: number; readonly collected: FetchCollection } | undefined

  constructor(store: BatchStore, replies: PollReplies) {
    this.#store = store
    this.#replies = replies
  }

  assign(positions: readonly { readonly partition: Partition; readonly offset: number }[]): void {
    for (const { partition, offset } of positions) {
      this.#drop(partition)
      const subscription = new Subscription(partition, offset, {
        notifyAppended: () => this.#markReady(subscription),
        notifyDeleted: () => this.#markDeleted(subscription),
      })
      this.#subscriptions.set(partition, subscription)
      partition.subscribers.add(subscription.subscriber)
      if (offset !== partition.end) this.#markReady(subscription)
    }
  }

  unassign(partitions: Iterable<Partition>): void {
    for (const partition of partitions) this.#drop(partition)
  }

  /** Answers now, or when something arrives, or empty after `waitMs`. Whether it was taken: one poll waits at a time. */
  poll(poll: Poll): boolean {
    if (this.#waiting !== undefined) return false
    this.#last = undefined
    if (this.#hasSomething || poll.waitMs <= 0) {
      this.#serve(poll)
      return true
    }
    const timer = startTimer(() => this.#endWait(), poll.waitMs)
    this.#waiting = { poll, timer }
    return true
  }

  /** The caller gave the poll up before an answer reached it: what the answer held is read again by the next poll. */
  cancel(poll: number): void {
    if (this.#waiting?.poll.id === poll) {
      this.#waiting.timer.stop()
      this.#waiting = undefined
      // The client keeps account of what it asked until there is an answer.
      this.#replies.answer(poll, new FetchCollection([]).finish(), !this.#hasSomething)
    } else if (this.#last?.poll === poll) {
      for (const name of this.#last.collected.deletedTopics) this.#deletedTopics.add(name)
      for (const [subscription, position] of this.#last.collected.positionsBefore) {
        if (this.#subscriptions.get(subscription.partition) !== subscription) continue
        subscription.position = position
        this.#ready.add(subscription)
      }
      this.#last = undefined
    }
  }

  /** Answers a waiting poll with nothing. */
  close(): void {
    this.unassign(this.#subscriptions.keys())
    this.#deletedTopics.clear()
    this.#endWait()
  }

  get #hasSomething(): boolean {
    return this.#ready.size > 0 || this.#deletedTopics.size > 0
  }

  #drop(partition: Partition): void {
    const subscription = this.#subscriptions.get(partition)
    if (subscription === undefined) return
    this.#subscriptions.delete(partition)
    this.#ready.delete(subscription)
    partition.subscribers.delete(subscription.subscriber)
  }

  #markReady(subscription: Subscription): void {
    this.#ready.add(subscription)
    this.#wake()
  }

  #markDeleted(subscription: Subscription): void {
    this.#drop(subscription.partition)
    this.#deletedTopics.add(subscription.partition.topic.name)
    this.#wake()
  }

  /** Answers a waiting poll once all that happens in this turn has happened, so that it gets all of it. */
  #wake(): void {
    if (this.#waiting === undefined || this.#wakeUp) return
    this.#wakeUp = true
    queueMicrotask(() => {
      this.#wakeUp = false
      if (this.#hasSomething) this.#endWait()
    })
  }

  #endWait(): void {
    if (this.#waiting === undefined) return
    this.#waiting.timer.stop()
    const { poll } = this.#waiting
    this.#waiting = undefined
    this.#serve(poll)
  }

  #serve(poll: Poll): void {
    const collected = new FetchCollection(this.#deletedTopics)
    this.#deletedTopics.clear()
    this.#last = { poll: poll.id, collected }
    try {
      this.#collect(poll.maxRecords, collected)
      this.#replies.answer(poll.id, collected.finish(), !this.#hasSomething)
    } catch (error) {
      this.cancel(poll.id)
      this.#replies.fail(poll.id, error)
    }
  }

  #collect(maxRecords: number, collected: FetchCollection): void {
    while (collected.records < maxRecords && collected.bytes < MAX_FETCH_BYTES) {
      const [subscription] = this.#ready
      if (subscription === undefined) return
      this.#take(subscription, maxRecords, collected)
      this.#ready.delete(subscription)
      if (subscription.position < subscription.partition.end) this.#ready.add(subscription)
    }
  }

  #take(subscription: Subscription, maxRecords: number, collected: FetchCollection): void {
    const { partition, position } = subscription
    collected.remember(subscription)
    if (position < partition.earliest || position > partition.end) {
      subscription.position = position < partition.earliest ? partition.earliest : partition.end
      collected.addTruncation(subscription, position)
      return
    }
    const turnEnd = Math.min(MAX_FETCH_BYTES, collected.bytes + TURN_BYTES)
    for (const batch of this.#store.read(partition, position)) {
      collected.add(subscription, batch)
      subscription.position = batch.nextOffset
      const full = collected.records >= maxRecords || collected.bytes >= turnEnd
      if (full || batch.nextOffset === partition.end) return
    }
    // Compaction has removed the last records.
    collected.touch(subscription)
    subscription.position = partition.end
  }
}
