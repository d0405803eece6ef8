import { encodeCursor } from '../../domain/cursor.ts'
import {
  copyMemory,
  emptyMemory,
  isLater,
  positionsAhead,
  type ReaderMemory,
  raise,
} from '../../domain/reader-rules.ts'
import type { SlowChoice } from '../../ports/delivery.ts'
import type { StreamBatch } from '../../ports/pipeline.ts'
import type { Lease } from '../../ports/streams.ts'
import type { AppEndpoint } from '../../ports/transport.ts'
import { type DataFrame, encodeDataFrame } from './data-frame.ts'
import { LatestEvents } from './latest-events.ts'
import {
  type Beginning,
  beginningAfter,
  beginningIn,
  type FixedTopics,
  type Leg,
  legsOf,
  OVER,
} from './legs.ts'
import { isAhead, knowsAllOf } from './place-in-front.ts'
import type { TopicFeed } from './topic-hub.ts'

/** Bytes that may wait in a socket before it is left to the catch-up reader. */
const MOST_PENDING_BYTES = 4 * 1024 * 1024

/**
 * The outcome of a live delivery. `behind`: the catch-up reader must serve the socket from here on; `latest`: the socket gets the latest of each
 * market once it has room; `disconnected`: it is ended. `isSlow`: because it took less than came.
 */
export type Delivered =
  | { readonly kind: 'sent'; readonly events: number }
  | { readonly kind: 'behind'; readonly isSlow: boolean }
  | { readonly kind: 'latest' }
  | { readonly kind: 'disconnected' }

type SubscriptionState = 'waiting' | 'behind' | 'live' | 'latest'

/**
 * One endpoint's reading of one lease: where it is, and whether it gets live batches or catches up from the log. It is
 * `waiting` until the shared reader has opened the topic. One that is too slow, and wants no more than that, is `latest` until it has room.
 * Topics that its lease has had before it reads from the log, one after the other, each up to the seam.
 * It is long, and one file: every step moves place, memory and state together.
 */
export class Subscription {
  readonly endpoint: AppEndpoint
  #lease: Lease
  #leg: Leg
  /** Of the lease and of the leg, beside these: what is live looks at no object that each socket has one of. */
  readonly #stream: string
  #topicId: string
  readonly #fixed: FixedTopics
  #beginning: Beginning | undefined
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
  /** What the endpoint has got, or what is not its lease's own, though the shared reader has not come there yet. */
  #ahead: ReaderMemory['positions'] | undefined
  /** Ends the wait for news of the lease. */
  #onNews: () => void = () => {}

  /** Without a beginning it begins with what comes next. */
  constructor(
    endpoint: AppEndpoint,
    lease: Lease,
    beginning: Beginning | undefined,
    fixed: FixedTopics,
    slow: SlowChoice = 'catch-up',
  ) {
    this.#slow = slow
    this.endpoint = endpoint
    this.#lease = lease
    this.#beginning = beginning
    this.#fixed = fixed
    const legs = legsOf(lease, fixed)
    this.#leg = legs.find(({ topicId }) => topicId === beginning?.topicId) ?? (legs.at(-1) as Leg)
    this.#stream = lease.id
    this.#topicId = this.#leg.topicId
  }

  /** As it was told last. */
  get lease(): Lease {
    return this.#lease
  }

  /** The topic that it reads; another object after each news of the lease. */
  get leg(): Leg {
    return this.#leg
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
    const { offset, memory, reset } = this.#beginning ?? this.#liveFrom(feed)
    this.#next = offset
    this.#memory = memory && copyMemory(memory)
    // The catch-up reader also serves a cursor ahead of the shared reader: it may be ahead of the log itself.
    const isKnown = offset === feed.nextOffset && memory !== undefined && !isAhead(feed.memory, memory)
    const isLevel = isKnown && !feed.isReplaced && !isShortOf(feed, memory) && this.#leg.former === undefined
    this.#state = isLevel ? 'live' : 'behind'
    if (isLevel) this.#ahead = this.#aheadOf(feed)
    this.#tellPlace(reset)
    return this.#state === 'behind'
  }

  /** What comes next in the topic that the lease has. */
  #liveFrom({ topicId, nextOffset, memory }: TopicFeed): Beginning {
    return { topicId, offset: nextOffset, memory: raise(copyMemory(memory), this.#leg.before) }
  }

  /** Of a lease whose own part begins within its topic: what the shared reader may still bring, and the endpoint must not get. */
  #aheadOf({ memory }: TopicFeed): ReaderMemory['positions'] | undefined {
    if (this.#lease.start === undefined || this.#memory === undefined) return undefined
    return positionsAhead(this.#memory.positions, memory)
  }

  #tellPlace(reset: string | undefined): void {
    const { topic, topicId, channel } = this.#leg
    const { id: stream, former } = this.#lease
    const cursor = cursorAt(stream, topicId, this.#next, this.#memory)
    this.endpoint.send({ op: 'subscribed', stream, topic, cursor, ...(former && { channel }) })
    if (reset !== undefined) this.endpoint.send({ op: 'reset', stream, reason: reset, cursor })
  }

  /** Takes news of the lease in: it has moved on, or it is known where a topic that it has had ends for it. */
  moveTo(lease: Lease): void {
    const legs = legsOf(lease, this.#fixed)
    const { topicId } = this.#leg
    const leg = legs.find((each) => each.topicId === topicId)
    this.#lease = lease
    if (this.#state === 'waiting') {
      if (this.#beginning === undefined) this.#take(legs.at(-1) as Leg)
      else if (leg !== undefined) this.#take(leg)
      else {
        // Its place is of a topic that is gone by now, and means nothing in another one.
        this.#take(legs[0])
        this.#beginning = { ...beginningIn(legs[0]), reset: OVER }
      }
    } else if (leg === undefined) {
      this.#enter(legs[0], { ...beginningIn(legs[0]), reset: OVER })
    } else {
      this.#take(leg)
      if (leg.former !== undefined && this.#state === 'live') this.#state = 'behind'
      if (leg.former !== undefined && this.#state === 'latest') this.#hasMissed = true
    }
    this.#onNews()
  }

  /** Goes on in the next topic of the lease: it has got all that is its own of the one that it reads. */
  enterNext(): void {
    const legs = legsOf(this.#lease, this.#fixed)
    const next = legs[legs.findIndex(({ topicId }) => topicId === this.#leg.topicId) + 1]
    if (next !== undefined)
      this.#enter(next, beginningAfter(this.#leg, this.#memory ?? emptyMemory(), next, legs))
  }

  #take(leg: Leg): void {
    this.#leg = leg
    this.#topicId = leg.topicId
  }

  #enter(leg: Leg, { offset, memory, reset }: Beginning): void {
    this.#take(leg)
    this.#next = offset
    this.#memory = memory
    this.#ahead = undefined
    if (this.#state === 'latest') this.#hasMissed = true
    else this.#state = 'behind'
    this.#tellPlace(reset)
    const { topic, topicId } = leg
    const nothing = { topic, topicId, from: offset, next: offset, events: [], reset: null }
    const after = memory ?? emptyMemory()
    const cursor = cursorAt(this.#lease.id, topicId, offset, memory)
    // Who keeps places of its own learns that they lie in another topic now.
    this.endpoint.takeRecords?.({ batch: { ...nothing, after }, from: offset, cursor })
  }

  /** Resolves with the next news of the lease. */
  news(): Promise<void> {
    return new Promise((resolve) => {
      this.#onNews = resolve
    })
  }

  /** Sends a live batch, as far as the endpoint has not got it. */
  deliver(brought: StreamBatch, whole: Map<string, DataFrame>): Delivered {
    if (brought.topicId !== this.#topicId) return { kind: 'sent', events: 0 }
    const batch = this.#own(brought)
    const shared = batch === brought ? whole : new Map<string, DataFrame>()
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

  /** A batch without what the endpoint must not get of it. */
  #own(batch: StreamBatch): StreamBatch {
    const isAnew = concernsAll(batch)
    // Where the log goes back, what lies in front of the lease's own part may come again too.
    if (isAnew) this.#ahead = this.#lease.start && positionsAhead(this.#leg.before, batch.after)
    const ahead = this.#ahead
    if (ahead === undefined || (!isAnew && batch.next <= this.#next)) return batch
    if (batch.anew) delete ahead[batch.anew.topic]?.[batch.anew.partition]
    const after = raise(copyMemory(batch.after), ahead)
    this.#ahead = positionsAhead(ahead, batch.after)
    const isDue = ({ position }: StreamBatch['events'][number]): boolean => {
      const place = position && ahead[position.topic]?.[position.partition]
      return place === undefined || isLater([position?.offset ?? 0, position?.n ?? 0], place)
    }
    return { ...batch, after, events: batch.events.filter(isDue) }
  }

  #slowDown(batch: StreamBatch): Delivered {
    // Changes of a book mean nothing without those before them (R30).
    const { channel, depth } = this.#lease.spec
    const isOfChanges = channel === 'book' && depth === undefined
    switch (this.#slow === 'latest' && isOfChanges ? 'catch-up' : this.#slow) {
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
    const { topic, topicId } = this.#leg
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

  #tellReset({ topicId, next, after }: StreamBatch, reason: string): void {
    const { id: stream } = this.lease
    this.endpoint.send({ op: 'reset', stream, reason, cursor: cursorAt(stream, topicId, next, after) })
  }

  /** Sends a batch as it is; `shared` keeps frames that other endpoints of the same lease can use as they are. */
  send(batch: StreamBatch, shared: Map<string, DataFrame>): number {
    const id = this.#stream
    const from = this.#next
    if (batch.reset !== null) this.#tellReset(batch, batch.reset)
    this.#next = batch.next
    this.#memory = batch.after
    const isWhole = from <= batch.from && batch.events.length > 0
    const first = isWhole ? 0 : batch.events.findIndex(({ offset }) => offset >= from)
    if (this.endpoint.takeRecords !== undefined) {
      this.endpoint.takeRecords({ batch, from, cursor: cursorAt(id, batch.topicId, batch.next, batch.after) })
      return first < 0 ? 0 : batch.events.length - first
    }
    if (first < 0) return 0
    let frame = first > 0 ? encodeDataFrame(id, batch, from) : shared.get(id)
    if (frame === undefined) {
      frame = encodeDataFrame(id, batch, batch.from)
      shared.set(id, frame)
    }
    const events = batch.events.length - first
    this.endpoint.sendEncoded(frame.bytes, frame.cursor, events)
    return events
  }

  /** Where the catch-up reader begins: the next offset, and what a reader remembers there. */
  behindFrom(): Pick<Beginning, 'offset' | 'memory'> {
    return { offset: this.#next, memory: this.#memory && copyMemory(this.#memory) }
  }

  /**
   * Turns live if it has got everything that the shared reader has handed out, and would hear nothing again from it. Gives whether it did.
   */
  joinLive(feed: TopicFeed): boolean {
    if (this.#leg.topic !== feed.topic || this.#leg.former !== undefined) return false
    if (this.#next < feed.nextOffset || this.#memory === undefined) return false
    if (isShortOf(feed, this.#memory)) return false
    this.#ahead = this.#aheadOf(feed)
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

function cursorAt(lease: string, topicId: string, offset: number, memory: ReaderMemory | undefined): string {
  return encodeCursor({ lease, topics: [{ topicId, offset, memory }] })
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
