import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeCursor } from '../../../src/domain/cursor.ts'
import { admit, emptyMemory } from '../../../src/domain/reader-rules.ts'
import type { StoredRecord } from '../../../src/ports/broker.ts'
import type { FormerTopic, Lease } from '../../../src/ports/streams.ts'
import type { AppMessage } from '../../../src/ports/transport.ts'
import { beginningAt, boundIn } from '../../../src/services/consumer-dynamic/legs.ts'
import { Subscription } from '../../../src/services/consumer-dynamic/subscription.ts'
import { toTopicBatches } from '../../../src/services/consumer-dynamic/topic-batches.ts'
import { FollowedTopic } from '../../../src/services/consumer-dynamic/topic-hub.ts'
import { type Random, seededRandom } from '../../../src/simulator/random.ts'
import { EFFORT } from '../../effort.ts'
import { whyNotTheLegs } from '../../legs.ts'
import { NAMES } from '../../names.ts'
import { SEED } from '../../seed.ts'

const RUNS = 300 * EFFORT
const STEPS = 250
const PARTITIONS = 3
const FIXED = NAMES.fixed.trade

/** A record of a fixed partition. */
interface Cause {
  readonly k: number
  readonly offset: number
}

/** What a spec wants: some of the fixed records, which follow from its number. */
const wants = (spec: number, { k, offset }: Cause): boolean => (offset * 7 + k) % (spec + 2) !== 0
const keyOf = ({ k, offset }: Cause): string => `${k}:${offset}`

/** A dynamic topic: derived from each partition in order, and late by chance. */
class Topic {
  readonly name: string
  readonly spec: number
  readonly records: StoredRecord[] = []
  readonly derivedTo: number[]
  readonly feed: FollowedTopic

  constructor(name: string, spec: number, start: readonly number[]) {
    this.name = name
    this.spec = spec
    this.derivedTo = [...start]
    this.feed = new FollowedTopic(name, name)
  }

  derive(k: number, end: number): void {
    const offset = this.derivedTo[k] ?? 0
    if (offset >= end) return
    this.derivedTo[k] = offset + 1
    if (!wants(this.spec, { k, offset })) return
    const position = { topic: FIXED, partition: k, offset }
    const headers = { v: 1, kind: 'event', shard: k, epoch: 1, position } as const
    const value = Buffer.from(JSON.stringify({ k, offset }))
    this.records.push({ key: null, value, headers, offset: this.records.length, timestamp: 0 })
  }

  /** So many records from an offset on, as a reader polls them. */
  fetch(from: number, count: number) {
    const records = this.records.slice(from, from + count)
    const nextOffset = from + records.length
    const place = { topic: this.name, topicId: this.name, partition: 0 }
    return { kind: 'records', ...place, records, nextOffset, endOffset: this.records.length } as const
  }

  /** The shared reader begins at the end, and learns from what lies in front of it. */
  follow(): void {
    if (this.feed.isPlaced) return
    const memory = emptyMemory()
    for (const { headers } of this.records) admit(memory, headers)
    this.feed.begin(
      new Map([[this.name, this.records.length]]),
      new Map([[this.name, { memory, isRotten: false }]]),
    )
  }
}

/** One application that reads a lease, on one connection after another, while the lease moves. */
class World {
  readonly #random: Random
  readonly #ends = Array.from({ length: PARTITIONS }, () => 0)
  readonly #topics: Topic[] = []
  readonly specs: number[] = []
  readonly got: Cause[] = []
  #lease: Lease
  #cursor: string
  /** What the gateway has heard of the lease. */
  #heard: Lease
  #subscription: Subscription | undefined

  constructor(random: Random) {
    this.#random = random
    for (let spec = 0; spec < 3; spec++) this.#topics.push(new Topic(`t${spec}`, spec, this.#ends))
    this.specs.push(0)
    this.#lease = {
      ...{ id: 's', app: 'a', spec: { channel: 'trade', symbols: ['*'], exchanges: [] }, ttlMs: 0 },
      ...{ topic: 't0', topicId: 't0', opensTopic: true, createdAt: 0, standing: false },
    }
    this.#heard = this.#lease
    this.#cursor = ''
    this.#connect()
  }

  #any(count: number): number {
    return Math.floor(this.#random() * count)
  }

  #topic(name: string): Topic {
    return this.#topics.find((each) => each.name === name) as Topic
  }

  step(): void {
    const k = this.#any(PARTITIONS)
    const turn = this.#random()
    if (turn < 0.25) this.#ends[k] = (this.#ends[k] ?? 0) + 1 + this.#any(3)
    else if (turn < 0.55) this.#topics[this.#any(this.#topics.length)]?.derive(k, this.#ends[k] ?? 0)
    else if (turn < 0.7) this.#readLive()
    else if (turn < 0.85) this.#catchUp()
    else if (turn < 0.91) this.#hear()
    else if (turn < 0.94) this.#close()
    else if (turn < 0.97) this.#connect()
    else this.#move()
  }

  /** Lets everything come to its end. */
  settle(): void {
    for (let turn = 0; turn < 4 * this.#topics.length + 20; turn++) {
      for (const topic of this.#topics)
        for (const [k, end] of this.#ends.entries())
          while ((topic.derivedTo[k] ?? 0) < end) topic.derive(k, end)
      this.#close()
      this.#hear()
      for (let i = 0; i < 100; i++) this.#catchUp()
      for (let i = 0; i < 100; i++) this.#readLive()
    }
    assert.equal(this.#subscription?.state, 'live')
  }

  /** The leader moves the lease, to a topic that is there or to a new one, never to one that it has had. */
  #move(): void {
    const { topic, topicId, start, begin = 0, former = [], spec } = this.#lease
    if (former.length > 5) return
    const hasHad = new Set([topic, ...former.map((each) => each.topic)])
    const free = this.#topics.filter(({ name }) => !hasHad.has(name))
    let next = free[this.#any(free.length + 1)]
    if (next === undefined) {
      next = new Topic(`t${this.#topics.length}`, this.#any(4), this.#ends)
      this.#topics.push(next)
    }
    this.specs.push(next.spec)
    const left: FormerTopic = {
      ...{ topic, topicId, spec, begin, seam: [...this.#ends], end: null, ...(start && { start }) },
    }
    this.#lease = {
      ...this.#lease,
      ...{ topic: next.name, topicId: next.name, opensTopic: false },
      ...{ start: [...this.#ends], begin: next.records.length, former: [...former, left] },
    }
  }

  /** The leader knows where former topics end once they are derived so far. */
  #close(): void {
    const { former } = this.#lease
    if (former === undefined) return
    const closed = former.map((each) => {
      const { derivedTo, records } = this.#topic(each.topic)
      const hasPassed = each.seam.every((offset, k) => (derivedTo[k] ?? 0) >= offset)
      return hasPassed && each.end === null ? { ...each, end: records.length } : each
    })
    this.#lease = { ...this.#lease, former: closed }
  }

  #hear(): void {
    if (this.#heard === this.#lease) return
    this.#heard = this.#lease
    this.#topic(this.#heard.topic).follow()
    this.#subscription?.moveTo(this.#heard)
    this.#activate()
  }

  #connect(): void {
    const beginning =
      this.#cursor === ''
        ? undefined
        : beginningAt(this.#heard, decodeCursor(this.#cursor, FIXED), NAMES.fixed)
    const endpoint = {
      ...{ id: 'e', pendingBytes: 0, closed: false },
      send: (message: AppMessage) => {
        if ('cursor' in message) this.#cursor = message.cursor
        assert.equal(message.op, 'subscribed')
      },
      sendEncoded: (bytes: Uint8Array, cursor: string) => {
        this.#cursor = cursor
        const { events } = JSON.parse(Buffer.from(bytes).toString()) as { events: Cause[] }
        // Once the gateway has heard of a move, nothing from after the seam comes out of the former topic.
        const seam = this.#subscription?.leg.former?.seam
        for (const { k, offset } of events) assert.ok(seam === undefined || offset < (seam[k] ?? 0))
        this.got.push(...events)
      },
      async drained() {},
    }
    this.#subscription?.end()
    this.#subscription = new Subscription(endpoint, this.#heard, beginning, NAMES.fixed)
    this.#topic(this.#heard.topic).follow()
    this.#activate()
  }

  #activate(): void {
    if (this.#subscription?.state === 'waiting')
      this.#subscription.activate(this.#topic(this.#heard.topic).feed)
  }

  /** The shared reader of a topic goes on. */
  #readLive(): void {
    const topic = this.#topics[this.#any(this.#topics.length)]
    if (!topic?.feed.isPlaced) return
    const take = (batch: Parameters<Subscription['deliver']>[0]): void => {
      if (this.#heard.topic === topic.name) this.#subscription?.deliver(batch, new Map())
    }
    const listener = { take, begin() {} }
    topic.feed.listeners.add(listener)
    topic.feed.take(topic.fetch(topic.feed.nextOffset, 1 + this.#any(5)))
    topic.feed.listeners.delete(listener)
  }

  /** As the catch-up reader does it. */
  #catchUp(): void {
    const subscription = this.#subscription
    if (subscription?.state !== 'behind') return
    const { leg } = subscription
    const { offset, memory = emptyMemory() } = subscription.behindFrom()
    const end = leg.former?.end ?? Number.POSITIVE_INFINITY
    if (offset < end) {
      const fetch = this.#topic(leg.topic).fetch(offset, 1 + this.#any(5))
      for (const batch of toTopicBatches(fetch, offset, memory, boundIn(leg, memory)))
        subscription.send(batch, new Map())
    }
    if (leg.former === undefined) subscription.joinLive(this.#topic(leg.topic).feed)
    else if (subscription.nextOffset >= end) subscription.enterNext()
  }

  /** Why what came of a partition is not what the specs want of it, one after the other. */
  problem(): string | undefined {
    const legs = this.specs.map((spec) => (cause: Cause) => wants(spec, cause))
    for (let k = 0; k < PARTITIONS; k++) {
      const all = Array.from({ length: this.#ends[k] ?? 0 }, (_, offset) => ({ k, offset }))
      const own = this.got.filter((cause) => cause.k === k).map(keyOf)
      // Nothing is missing at its beginning, nor at its end.
      const why = whyNotTheLegs(['first', ...own, 'last'], [FIRST, ...all, LAST], nameOf, [
        ...legs.map((leg) => (cause: Cause) => cause === FIRST || cause === LAST || leg(cause)),
      ])
      if (why !== undefined) return why
    }
    return undefined
  }
}

const FIRST: Cause = { k: -1, offset: -1 }
const LAST: Cause = { k: -1, offset: -2 }
const nameOf = (cause: Cause): string => (cause === FIRST ? 'first' : cause === LAST ? 'last' : keyOf(cause))

test(`a lease that moves gives each record once: ${RUNS} random interleavings from seed ${SEED}`, () => {
  let moves = 0
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    const world = new World(seededRandom(`seams ${seed}`))
    for (let step = 0; step < STEPS; step++) world.step()
    world.settle()
    assert.equal(world.problem(), undefined, `seed ${seed}`)
    moves += world.specs.length - 1
  }
  assert.ok(moves > RUNS, 'leases moved')
})
