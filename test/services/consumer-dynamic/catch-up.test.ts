import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import type { Broker } from '../../../src/ports/broker.ts'
import type { StreamBatch } from '../../../src/ports/pipeline.ts'
import type { Lease } from '../../../src/ports/streams.ts'
import type { AppEndpoint, AppMessage } from '../../../src/ports/transport.ts'
import { catchUp } from '../../../src/services/consumer-dynamic/catch-up.ts'
import { createReaderPool } from '../../../src/services/consumer-dynamic/reader-pool.ts'
import { Subscription } from '../../../src/services/consumer-dynamic/subscription.ts'
import { openTopicHub } from '../../../src/services/consumer-dynamic/topic-hub.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'

const TOPIC = 'app.one'
const RETENTION_MS = 60_000
const NEVER = new AbortController().signal

/** An endpoint that keeps the events it gets; `pendingBytes` can be set. */
function createEndpoint() {
  const got: number[] = []
  const messages: AppMessage[] = []
  const endpoint: AppEndpoint & { got: number[]; messages: AppMessage[]; pendingBytes: number } = {
    id: 'e',
    got,
    messages,
    pendingBytes: 0,
    closed: false,
    send: (message) => messages.push(message),
    sendEncoded(bytes) {
      const { events } = JSON.parse(Buffer.from(bytes).toString()) as { events: number[] }
      got.push(...events)
    },
    drained: async () => {},
  }
  return endpoint
}

/** A dynamic topic, the shared reader on it, and what it has handed out. */
async function openStream(t: TestContext) {
  let now = 1_000_000
  const broker = await openEmbeddedBroker({ folder: ':memory:', now: () => now, cleanEveryMs: 10 })
  const [topic] = await broker.createTopics(
    [{ name: TOPIC, partitions: 1, retentionMs: RETENTION_MS }],
    NEVER,
  )
  const hub = await openTopicHub(broker, quietLog)
  t.after(async () => {
    await hub.close()
    await broker.close()
  })
  const batches: StreamBatch[] = []
  let handedOut = () => {}
  hub.follow(TOPIC, topic?.id ?? '', {
    take(batch) {
      batches.push(batch)
      handedOut()
    },
    begin() {},
  })
  await hub.opened(TOPIC, NEVER)
  const lease: Lease = {
    id: 'lease',
    app: 'local',
    spec: { channel: 'trade', symbols: ['*'], exchanges: [] },
    ttlMs: 0,
    topic: TOPIC,
    topicId: topic?.id ?? '',
    createdAt: 0,
    opensTopic: true,
    standing: false,
  }
  /** Publishes numbered events of one shard and gives the batch that the shared reader makes of them. */
  const publish = async (from: number, to: number): Promise<StreamBatch> => {
    const arrived = new Promise<void>((resolve) => {
      handedOut = resolve
    })
    await publishEvents(broker, from, to)
    await arrived
    return batches.at(-1) as StreamBatch
  }
  const passTime = (ms: number): void => {
    now += ms
  }
  const quiet = { log: quietLog, meter: quietMeter }
  const readers = createReaderPool({ broker, ...quiet }, 16)
  return { broker, hub, passTime, lease, publish, parts: { broker, readers, hub, ...quiet } }
}

async function publishEvents(broker: Broker, from: number, to: number): Promise<void> {
  const records = Array.from({ length: to - from }, (_, i) => ({
    key: 'x:A-B',
    value: new TextEncoder().encode(String(from + i)),
    headers: {
      v: 1,
      kind: 'event' as const,
      shard: 0,
      epoch: 7,
      position: { topic: 'market.trades', partition: 0, offset: from + i },
    },
  }))
  await broker.publish([{ topic: TOPIC, partition: 0, records }], NEVER)
}

const numbers = (to: number): number[] => Array.from({ length: to }, (_, i) => i)

test('a batch that found no room costs nothing of what came before it and was not delivered yet', async (t) => {
  const { hub, lease, publish, parts } = await openStream(t)
  const endpoint = createEndpoint()
  const subscription = new Subscription(endpoint, lease, undefined, NAMES.fixed)
  const feed = hub.feed(TOPIC)
  assert.ok(feed)
  subscription.activate(feed)
  const first = await publish(0, 10)
  subscription.deliver(first, new Map())
  const waiting = await publish(10, 20)
  const refused = await publish(20, 30)

  subscription.fallBehind(refused)
  subscription.deliver(waiting, new Map())
  await catchUp(subscription, parts)

  assert.deepEqual(endpoint.got, numbers(30))
  assert.equal(subscription.state, 'live')
})

test('a socket that takes nothing is served from the log, and joins the live batches without a hole or a repeat', async (t) => {
  const { hub, lease, publish, parts } = await openStream(t)
  const endpoint = createEndpoint()
  const subscription = new Subscription(endpoint, lease, undefined, NAMES.fixed)
  const feed = hub.feed(TOPIC)
  assert.ok(feed)
  subscription.activate(feed)
  subscription.deliver(await publish(0, 10), new Map())
  endpoint.pendingBytes = 64 * 1024 * 1024
  const refused = subscription.deliver(await publish(10, 20), new Map())
  assert.equal(refused.kind, 'behind')
  endpoint.pendingBytes = 0
  const late = await publish(20, 30)
  await catchUp(subscription, parts)
  subscription.deliver(late, new Map())
  subscription.deliver(await publish(30, 40), new Map())

  assert.deepEqual(endpoint.got, numbers(40))
})

test('a reader whose history is gone is told so, and gets what is left', async (t) => {
  const { broker, hub, lease, passTime, publish, parts } = await openStream(t)
  await publish(0, 10)
  passTime(2 * RETENTION_MS)
  await publish(10, 20)
  for (let earliest = 0; earliest === 0; await nextTurn()) {
    const [topic] = await broker.listTopics(TOPIC, NEVER)
    earliest = topic?.offsets[0]?.earliest ?? 0
  }
  const endpoint = createEndpoint()
  const cursor = { lease: lease.id, topicId: lease.topicId, offset: 4, memory: emptyMemory() }
  const subscription = new Subscription(endpoint, lease, cursor, NAMES.fixed)
  const feed = hub.feed(TOPIC)
  assert.ok(feed)
  subscription.activate(feed)
  await catchUp(subscription, parts)

  assert.deepEqual(
    endpoint.messages.map(({ op }) => op),
    ['subscribed', 'reset'],
  )
  assert.deepEqual(endpoint.got, numbers(20).slice(10))
})

test('a cursor beyond the end of the log is answered with a reset, and new events follow', async (t) => {
  const { hub, lease, publish, parts } = await openStream(t)
  await publish(0, 10)
  const endpoint = createEndpoint()
  const cursor = { lease: lease.id, topicId: lease.topicId, offset: 1_000, memory: emptyMemory() }
  const subscription = new Subscription(endpoint, lease, cursor, NAMES.fixed)
  const feed = hub.feed(TOPIC)
  assert.ok(feed)
  assert.equal(subscription.activate(feed), true, 'it is looked into')
  await catchUp(subscription, parts)
  subscription.deliver(await publish(10, 20), new Map())

  assert.deepEqual(
    endpoint.messages.map(({ op }) => op),
    ['subscribed', 'reset'],
  )
  assert.deepEqual(endpoint.got, numbers(20).slice(10))
})
