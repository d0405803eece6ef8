import { encodeCursor } from '../../domain/cursor.ts'
import { copyMemory, emptyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import type { SlowChoice } from '../../ports/delivery.ts'
import type { StreamBatch } from '../../ports/pipeline.ts'
import type { Lease } from '../../ports/streams.ts'
import type { AppEndpoint } from '../../ports/transport.ts'
import { type DataFrame, encodeDataFrame } from './data-frame.ts'
import { LatestEvents } from './latest-events.ts'
import { isAhead, knowsAllOf } from './place-in-front.ts'
import type { TopicFeed } from './topic-hub.ts'

/** Bytes that may wait in a socket before it is left to the catch-up reader. */
const MOST_PENDING_BYTES = 4 * 1024 * 1024

/**
 * The outcome of a live delivery. `behind`: the catch-up reader must serve the socket from here on; `latest`: the socket gets the latest of each
 * market once it has room; `disconnected`: it is ended. `isSlow`: for it took less than came.
 */
export type Delivered =
  | { readonly kind: 'sent'; readonly events: number }
  | { readonly kind: 'behind'; readonly isSlow: boolean }
  | { readonly kind: 'latest' }
  | { readonly kind: 'disconnected' }

type SubscriptionState = 'waiting' | 'behind' | 'live' | 'latest'

/** Where an application stands in the topic of its lease. */
export interface Beginning {
  readonly offset: number
  /** What a reader remembers there; undefined where the reader has to learn it from the log. */
  readonly memory: ReaderMemory | undefined
  /** Why something that the application has not got is gone for good. */
  readonly reset?: string
}

/**
 * One endpoint's reading of one lease: where it is, and whether it gets live batches or catches up from the log. It is
 * `waiting` until the shared reader has opened the topic. One that is too slow, and wants no more than that, is `latest` until it has room.
 */
export class Subscription {
  readonly endpoint: AppEndpoint
  readonly lease: Lease
  readonly #beginning: Beginning | undefined
  readonly #ended = new AbortController()
  /** Whether the application has been told that its topic was made anew by others. */
  knowsReplaced = false
  readonly #slow: SlowChoice
  readonly #latest = new LatestEvents()
  /** Something in front of the next batch was not kept for it. */
  #hasMissed = false
  #state: SubscriptionState = 'waiting'
  #next = 0
  /**
   * What a reader remembers at `#next`, and nowhere else: a record that has not come must not look as if it had. Undefined until the reader has
   * learned it.
   */
  #memory: ReaderMemory | undefined = emptyMemory()

  /** Without a beginning it begins with what comes next. */
  constructor(
    endpoint: AppEndpoint,
    lease: Lease,
    beginning: Beginning | undefined,
    slow: SlowChoice = 'catch-up',
  ) {
    this.#slow = slow
    this.endpoint = endpoint
    this.lease = lease
    this.#beginning = beginning
  }

  get state(): SubscriptionState {
    return this.#state
  }

  /** The next offset that the endpoint has not got. */
  get nextOffset(): number {
    return this.#next
  }

  /** Bytes that may wait in its endpoint before it is left to the catch-up reader. */
  get mostPendingBytes(): number {
    return this.endpoint.mostPendingBytes ?? MOST_PENDING_BYTES
  }

  /** Aborts when the subscription is over. */
  get ended(): AbortSignal {
    return this.#ended.signal
  }

  /** Begins where its application stands, or where the shared reader is. Gives whether it has to catch up. */
  activate(feed: TopicFeed): boolean {
    const { offset, memory, reset } = this.#beginning ?? { offset: feed.nextOffset, memory: feed.memory }
    this.#next = offset
    this.#memory = memory && copyMemory(memory)
    // The catch-up reader also serves a cursor ahead of the shared reader: it may be ahead of the log itself.
    const isKnown = offset === feed.nextOffset && memory !== undefined && !isAhead(feed.memory, memory)
    const isLevel = isKnown && !feed.isReplaced && !isShortOf(feed, memory)
    this.#state = isLevel ? 'live' : 'behind'
    const { id, topic } = this.lease
    const cursor = this.#cursorAt(offset, memory)
    this.endpoint.send({ op: 'subscribed', stream: id, topic, cursor })
    if (reset !== undefined) this.endpoint.send({ op: 'reset', stream: id, reason: reset, cursor })
    return this.#state === 'behind'
  }

  #cursorAt(offset: number, memory: ReaderMemory | undefined): string {
    const { id, topicId } = this.lease
    return encodeCursor({ lease: id, topics: [{ topicId, offset, memory }] })
  }

  /** Sends a live batch, as far as the endpoint has not got it. */
  deliver(batch: StreamBatch, shared: Map<string, DataFrame>): Delivered {
    if (this.#state === 'latest') this.#keep(batch)
    if (this.#state !== 'live') return { kind: 'sent', events: 0 }
    if (concernsAll(batch)) return { kind: 'sent', events: this.send(batch, shared) }
    if (batch.next <= this.#next) return { kind: 'sent', events: 0 }
    if (batch.from > this.#next) {
      this.#state = 'behind'
      return { kind: 'behind', isSlow: false }
    }
    if (this.endpoint.pendingBytes <= this.mostPendingBytes)
      return { kind: 'sent', events: this.send(batch, shared) }
    return this.#slowDown(batch)
  }

  #slowDown(batch: StreamBatch): Delivered {
    switch (this.#slow) {
      case 'catch-up':
        this.#state = 'behind'
        return { kind: 'behind', isSlow: true }
      case 'latest':
        this.#state = 'latest'
        this.#keep(batch)
        return { kind: 'latest' }
      case 'disconnect':
        this.#state = 'behind'
        this.endpoint.disconnect?.()
        return { kind: 'disconnected' }
    }
  }

  /** Keeps what a slow connection gets once it has room. */
  #keep(batch: StreamBatch): void {
    const isAnew = concernsAll(batch)
    if (!isAnew && batch.next <= this.#next) return
    if (!isAnew && (this.#hasMissed || batch.from > this.#next)) {
      this.#hasMissed = true
      return
    }
    if (isAnew) this.#latest.clear()
    else this.#latest.take(batch, this.#next)
    this.#next = batch.next
    this.#memory = batch.after
    if (batch.reset !== null) this.#tellReset(batch, batch.reset)
  }

  /**
   * A slow connection has room: sends the latest of each market, and goes on live, or from the log where something was not kept. Gives how many
   * events were sent and left out.
   */
  sendLatest(): { readonly events: number; readonly skipped: number } {
    const { topic, topicId } = this.lease
    const { skipped } = this.#latest
    const events = this.#latest.events()
    const after = this.#memory ?? emptyMemory()
    if (events.length > 0) {
      const batch = { topic, topicId, from: 0, next: this.#next, after, events, reset: null }
      const { bytes, cursor } = encodeDataFrame(this.lease.id, batch, 0, skipped)
      this.endpoint.sendEncoded(bytes, cursor, events.length)
    }
    this.#latest.clear()
    this.#state = this.#hasMissed ? 'behind' : 'live'
    this.#hasMissed = false
    return { events: events.length, skipped }
  }

  #tellReset({ next, after }: StreamBatch, reason: string): void {
    this.endpoint.send({ op: 'reset', stream: this.lease.id, reason, cursor: this.#cursorAt(next, after) })
  }

  /** Sends a batch as it is; `shared` keeps frames that other endpoints of the same lease can use as they are. */
  send(batch: StreamBatch, shared: Map<string, DataFrame>): number {
    const { id } = this.lease
    const from = this.#next
    if (batch.reset !== null) this.#tellReset(batch, batch.reset)
    this.#next = batch.next
    this.#memory = batch.after
    const first = batch.events.findIndex(({ offset }) => offset >= from)
    if (this.endpoint.takeRecords !== undefined) {
      this.endpoint.takeRecords({ batch, from, cursor: this.#cursorAt(batch.next, batch.after) })
      return first < 0 ? 0 : batch.events.length - first
    }
    if (first < 0) return 0
    const frame =
      first > 0
        ? encodeDataFrame(id, batch, from)
        : (shared.get(id) ?? encodeDataFrame(id, batch, batch.from))
    if (first === 0) shared.set(id, frame)
    const events = batch.events.length - first
    this.endpoint.sendEncoded(frame.bytes, frame.cursor, events)
    return events
  }

  /** Where the catch-up reader begins: the next offset, and what a reader remembers there. */
  behindFrom(): Beginning {
    return { offset: this.#next, memory: this.#memory && copyMemory(this.#memory) }
  }

  /**
   * Turns live if it has got everything that the shared reader has handed out, and would hear nothing again from it. Gives whether it did.
   */
  joinLive(feed: TopicFeed): boolean {
    if (this.#next < feed.nextOffset || this.#memory === undefined) return false
    if (isShortOf(feed, this.#memory)) return false
    this.#state = 'live'
    return true
  }

  /** Leaves live delivery: a batch was not kept for it. */
  fallBehind(batch: StreamBatch): void {
    if (this.#state === 'latest') this.#hasMissed = true
    if (this.#state === 'live' && (batch.next > this.#next || concernsAll(batch))) this.#state = 'behind'
  }

  end(): void {
    this.#ended.abort()
  }
}

/**
 * Whether the shared reader could not read what this memory knows. It would hand out what comes again of it, until it has read later records of
 * the same shards. What a cursor remembers is never given to it: cursors are not signed, and others read with it.
 */
function isShortOf({ isRotten, memory: known }: TopicFeed, memory: ReaderMemory): boolean {
  return isRotten && !knowsAllOf(known, memory)
}

/** Whether every subscription hears a reset, wherever it is: the log has lost its end, or is another one. */
function concernsAll({ reset, from, next }: StreamBatch): boolean {
  return reset !== null && next <= from
}
