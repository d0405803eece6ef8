import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { emptyMemory, type ReaderMemory } from '../../../src/domain/reader-rules.ts'
import type { AppEndpoint, AppMessage } from '../../../src/ports/transport.ts'
import { catchUp } from '../../../src/services/consumer-dynamic/catch-up.ts'
import { createReaderPool } from '../../../src/services/consumer-dynamic/reader-pool.ts'
import { Subscription } from '../../../src/services/consumer-dynamic/subscription.ts'
import { openTopicHub } from '../../../src/services/consumer-dynamic/topic-hub.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'

const TOPIC = 'app.one'
const NEXT = 'app.next'
const FIXED = 'market.trades'
const NEVER = new AbortController().signal

/** The topic of a stream, and applications that go on in it by what a cursor says. */
async function openLog(t: TestContext) {
  const broker = new MemoryBroker(Date.now)
  t.after(() => broker.close())
  const [topic] = await broker.createTopics([{ name: TOPIC, partitions: 1 }], NEVER)
  const topicId = topic?.id ?? ''
  const [next] = await broker.createTopics([{ name: NEXT, partitions: 1 }], NEVER)
  const partition = broker.topics.get(TOPIC)?.partition(0)
  return {
    partition,
    /** Says that the fixed partition begins anew, as a producer does that finds the end of the topic gone. */
    async beginAnew(): Promise<void> {
      const position = { topic: FIXED, partition: 0, offset: 0 }
      const headers = { v: 1, kind: 'marker' as const, shard: 0, epoch: 7, position }
      const value = new TextEncoder().encode('{"reset":"its end is lost"}')
      await broker.publish([{ topic: TOPIC, partition: 0, records: [{ key: null, value, headers }] }], NEVER)
    },
    /** Events of the fixed records from one to another, of one shard. */
    async publish(from: number, to: number, shard = 0): Promise<void> {
      const records = Array.from({ length: to - from }, (_, i) => ({
        key: 'x:A-B',
        value: new TextEncoder().encode(String(from + i)),
        headers: {
          ...{ v: 1, kind: 'event' as const, shard, epoch: 7 },
          position: { topic: FIXED, partition: shard, offset: from + i },
        },
      }))
      await broker.publish([{ topic: TOPIC, partition: 0, records }], NEVER)
    },
    /** What an application gets over a gateway that has just begun, until it is live. */
    async goOn(
      offset: number,
      memory: ReaderMemory | undefined,
      /** Where its lease has left the topic for another one. */
      left?: { readonly seam: readonly number[]; readonly end: number },
    ) {
      const hub = await openTopicHub(broker, quietLog)
      const messages: AppMessage[] = []
      const got: number[] = []
      const endpoint: AppEndpoint = {
        ...{ id: 'e', pendingBytes: 0, closed: false, drained: async () => {} },
        send: (message) => messages.push(message),
        sendEncoded: (bytes) =>
          got.push(...(JSON.parse(Buffer.from(bytes).toString()) as { events: number[] }).events),
      }
      const present = left && next ? { topic: NEXT, topicId: next.id } : { topic: TOPIC, topicId }
      hub.follow(present.topic, present.topicId, { take() {}, begin() {} })
      const feed = await hub.opened(present.topic, NEVER)
      const spec = { channel: 'trade' as const, symbols: ['*'], exchanges: [] }
      const former = left && [{ topic: TOPIC, topicId, spec, begin: 0, ...left }]
      const lease = {
        ...{ id: 'lease', app: 'local', spec, ttlMs: 0, ...present, createdAt: 0 },
        ...(left && former && { former, start: left.seam }),
      }
      const subscription = new Subscription(
        endpoint,
        { ...lease, opensTopic: true, standing: false },
        { topicId, offset, memory },
        NAMES.fixed,
      )
      subscription.activate(feed)
      const quiet = { log: quietLog, meter: quietMeter }
      await catchUp(subscription, {
        broker,
        readers: createReaderPool({ broker, ...quiet }, 16),
        hub,
        ...quiet,
      })
      await hub.close()
      return { ops: messages.map(({ op }) => op), got }
    },
  }
}

/** What an application remembers that has got all up to a fixed record. */
const upTo = (offset: number): ReaderMemory => ({
  epochs: { 0: 7 },
  positions: { [FIXED]: { 0: [offset, 0] } },
})

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

test('a log that has lost its end and has grown beyond a cursor: its application is told', async (t) => {
  const log = await openLog(t)
  await log.publish(0, 20)
  log.partition?.cut(10)
  await log.publish(20, 40)
  const { ops, got } = await log.goOn(20, upTo(19))
  assert.deepEqual(ops, ['subscribed', 'reset'])
  assert.deepEqual(got, numbers(30, 40))
})

test('a log that has lost its end and has grown again exactly to a cursor: its application is told', async (t) => {
  const log = await openLog(t)
  await log.publish(0, 20)
  log.partition?.cut(10)
  await log.publish(20, 30)
  assert.deepEqual(await log.goOn(20, upTo(19)), { ops: ['subscribed', 'reset'], got: [] })
})

test('a log that has lost its end, in which the same comes again in front of a cursor: its application is told', async (t) => {
  const log = await openLog(t)
  await log.publish(0, 20)
  log.partition?.cut(10)
  await log.publish(20, 21)
  await log.beginAnew()
  await log.publish(10, 21)
  assert.deepEqual(await log.goOn(20, upTo(19)), { ops: ['subscribed', 'reset'], got: numbers(18, 21) })
})

test('a log that has lost its end, in whose place lie records of a shard that the application has got nothing of: it is told', async (t) => {
  const log = await openLog(t)
  await log.publish(0, 10)
  log.partition?.cut(0)
  await log.publish(0, 10, 1)
  await log.publish(0, 12)
  assert.deepEqual(await log.goOn(10, upTo(9)), { ops: ['subscribed', 'reset'], got: numbers(0, 12) })
})

test('a log in which a partition began anew, and that lost nothing since, goes on without a word', async (t) => {
  const log = await openLog(t)
  await log.publish(0, 10)
  await log.publish(20, 21)
  await log.beginAnew()
  await log.publish(10, 21)
  assert.deepEqual(await log.goOn(20, upTo(17)), { ops: ['subscribed'], got: numbers(18, 21) })
})

for (const { what, offset, before } of [
  { what: 'in the middle', offset: 150, before: 0 },
  { what: 'at its end', offset: 300, before: 0 },
  { what: 'of which only a part is left', offset: 150, before: 100 },
  { what: 'whose next record is the first that is left', offset: 150, before: 150 },
])
  test(`a cursor in a log that lost nothing, ${what}, goes on without a word`, async (t) => {
    const log = await openLog(t)
    await log.publish(0, 300)
    log.partition?.removeBefore(before)
    const { ops, got } = await log.goOn(offset, upTo(offset - 1))
    assert.deepEqual(ops, ['subscribed'])
    assert.deepEqual(got, numbers(offset, 300))
  })

test('who goes on without a memory, after records that nobody can read, is told', async (t) => {
  const log = await openLog(t)
  await log.publish(0, 10)
  await log.publish(10, 20)
  log.partition?.rot(0)
  await log.publish(20, 30)
  assert.deepEqual(await log.goOn(20, undefined), { ops: ['subscribed', 'reset'], got: numbers(20, 30) })
  assert.deepEqual(await log.goOn(20, { ...emptyMemory() }), {
    ops: ['subscribed'],
    got: numbers(20, 30),
  })
})

test('what follows the end of a topic that the lease has left is not its own, though it comes from in front of the seam', async (t) => {
  const log = await openLog(t)
  await log.publish(0, 5)
  await log.beginAnew()
  await log.publish(2, 4)
  const { ops, got } = await log.goOn(0, emptyMemory(), { seam: [9], end: 5 })
  assert.deepEqual({ ops, got }, { ops: ['subscribed', 'subscribed'], got: [0, 1, 2, 3, 4] })
})
