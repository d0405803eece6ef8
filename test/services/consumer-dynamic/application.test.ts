import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { StreamBatch } from '../../../src/ports/pipeline.ts'
import type { Lease } from '../../../src/ports/streams.ts'
import type { AppEndpoint, AppMessage } from '../../../src/ports/transport.ts'
import {
  type ConsumerDynamicServices,
  createApplication,
} from '../../../src/services/consumer-dynamic/application.ts'
import { createReaderPool } from '../../../src/services/consumer-dynamic/reader-pool.ts'
import { Subscription } from '../../../src/services/consumer-dynamic/subscription.ts'
import type { TopicFeed, TopicHub, TopicListener } from '../../../src/services/consumer-dynamic/topic-hub.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'

const NEVER = new AbortController().signal
const TOPIC = 'app.s'

/** An application over a hub and a machine that the test plays. */
function setUp() {
  const told: string[] = []
  let listener: TopicListener | undefined
  let feed: TopicFeed | undefined
  let failures: readonly TapelineError[] = []
  let services: ConsumerDynamicServices | undefined
  const hub: TopicHub = {
    follow(topic, _id, given) {
      told.push(`follow ${topic}`)
      listener = given
    },
    feed: () => feed,
    opened: async () => assert.fail('nobody waits for it'),
    settled: async () => failures,
    leave: (topic) => void told.push(`leave ${topic}`),
    async close() {},
  }
  const broker = new MemoryBroker(Date.now)
  const readers = createReaderPool({ broker, log: quietLog, meter: quietMeter }, 16)
  const application = createApplication('a', {
    ...{ broker, readers, hub, nowMicros: () => 0, log: quietLog, meter: quietMeter },
    spawn(_app, given) {
      services = given
      return {
        send: ({ type, topic }) => void told.push(`${type} ${topic}`),
        stop: () => void told.push('stop'),
      }
    },
  })
  assert.ok(services)
  return {
    ...{ application, services, told },
    /** The topic is read from this offset on. */
    open(nextOffset: number) {
      feed = {
        topic: TOPIC,
        topicId: 'T',
        nextOffset,
        memory: emptyMemory(),
        isRotten: false,
        rewinds: 0,
        rewoundTo: 0,
        rewoundMemory: emptyMemory(),
        isReplaced: false,
      }
      listener?.begin(feed)
    },
    fail(code: 'TOPIC_MISSING') {
      failures = [new TapelineError(code, 'the broker does not show it')]
    },
    take: (batch: StreamBatch) => listener?.take(batch),
  }
}

function batch(from: number, next: number, reset: string | null = null): StreamBatch {
  const events = Array.from({ length: next - from }, (_, i) => ({
    ...{ offset: from + i, value: Buffer.from(`{"n":${from + i}}`) },
  }))
  return { topic: TOPIC, topicId: 'T', from, next, after: emptyMemory(), events, reset }
}

/** A socket, with what it got. */
function socketOf(id: string) {
  const got: string[] = []
  const endpoint: AppEndpoint = {
    ...{ id, pendingBytes: 0, closed: false },
    send: ({ op }: AppMessage) => void got.push(op),
    sendEncoded: (bytes: Uint8Array) => {
      const { events } = JSON.parse(Buffer.from(bytes).toString()) as { events: { n: number }[] }
      got.push(events.map(({ n }) => n).join())
    },
    async drained() {},
  }
  return { endpoint, got }
}

/** A socket's subscription of a stream, with what the socket got. */
function subscriptionOf(socket: string | ReturnType<typeof socketOf>, stream = 's', topic = TOPIC) {
  const { endpoint, got } = typeof socket === 'string' ? socketOf(socket) : socket
  const lease: Lease = {
    ...{ id: stream, app: 'a', spec: { channel: 'trade', symbols: ['*'], exchanges: [] }, ttlMs: 0 },
    ...{ topic, topicId: 'T', opensTopic: true, createdAt: 0, standing: false },
  }
  return { got, subscription: new Subscription(endpoint, lease, undefined, NAMES.fixed) }
}

/** One cycle of the machine. */
async function deliver({ services }: ReturnType<typeof setUp>) {
  const message = await services.receiveMessage([TOPIC], NEVER)
  await services.processMessage(message)
  return services.interactWithApp(message)
}

/** What was asked for in one go is told to the machine. */
const toldJoins = () => Promise.resolve()

test('a topic is read from its first subscription on and left with the last', async () => {
  const { application, told } = setUp()
  const [one, two] = [subscriptionOf('1'), subscriptionOf('2')]
  application.add(one.subscription)
  application.add(two.subscription)
  await toldJoins()
  assert.deepEqual([...application.subscriptions()], [one.subscription, two.subscription])
  application.remove([one.subscription])
  assert.equal(one.subscription.ended.aborted, true)
  application.remove([two.subscription])
  assert.deepEqual(told, [
    `follow ${TOPIC}`,
    `SUBSCRIBE_TO_TOPIC ${TOPIC}`,
    `leave ${TOPIC}`,
    `UNSUBSCRIBE_FROM_TOPIC ${TOPIC}`,
  ])
})

test('the streams of a socket that closes leave the machine in one step', async () => {
  const { application, told } = setUp()
  const all = Array.from({ length: 1_000 }, (_, n) => subscriptionOf('1', `s${n}`, `app.${n}`).subscription)
  const { subscription: other } = subscriptionOf('2', 's0', 'app.0')
  for (const subscription of [...all, other]) application.add(subscription)
  await toldJoins()
  assert.deepEqual(application.ofLease('s0'), [all[0], other])
  told.length = 0
  application.remove(all)
  const left = all.slice(1).map(({ lease }) => lease.topic)
  assert.deepEqual(told, [...left.map((topic) => `leave ${topic}`), `UNSUBSCRIBE_FROM_TOPIC ${left}`])
  assert.deepEqual([...application.subscriptions()], [other])
  assert.deepEqual([application.ofLease('s0'), application.ofLease('s1')], [[other], []])
})

test('the streams that a socket asks for in one go join the machine in one step, without those that have left by then', async () => {
  const { application, told } = setUp()
  const all = Array.from({ length: 1_000 }, (_, n) => subscriptionOf('1', `s${n}`, `app.${n}`).subscription)
  for (const subscription of all) application.add(subscription)
  application.remove(all.slice(0, 1))
  await toldJoins()
  const joined = all.slice(1).map(({ lease }) => lease.topic)
  const events = told.filter((each) => each.includes('SUBSCRIBE'))
  assert.deepEqual(events, [`SUBSCRIBE_TO_TOPIC ${joined}`])
  for (const subscription of all.slice(1, 2))
    application.move(subscription, { ...subscription.lease, topic: 'app.moved' })
  assert.deepEqual(told.slice(-2), ['SUBSCRIBE_TO_TOPIC app.moved', 'UNSUBSCRIBE_FROM_TOPIC app.1'])
})

test('what arrives goes to all subscriptions of the topic, in one cycle, and is done then', async () => {
  const world = setUp()
  const second = socketOf('2')
  const [one, two, again] = [subscriptionOf('1'), subscriptionOf(second), subscriptionOf(second, 'again')]
  for (const { subscription } of [one, two, again]) world.application.add(subscription)
  world.open(5)
  world.take(batch(5, 7))
  world.take(batch(7, 8))
  assert.deepEqual(await deliver(world), { endpoints: 2, events: 9 })
  assert.deepEqual(one.got, ['subscribed', '5,6', '7'])
  assert.deepEqual(second.got, ['subscribed', 'subscribed', '5,6', '5,6', '7', '7'])
  world.take(batch(8, 9))
  assert.deepEqual(await deliver(world), { endpoints: 2, events: 3 })
})

test('a socket that joins a topic that is read begins with what comes next', async () => {
  const world = setUp()
  const [one, two] = [subscriptionOf('1'), subscriptionOf('2')]
  world.application.add(one.subscription)
  world.open(5)
  world.application.add(two.subscription)
  world.take(batch(5, 6))
  await deliver(world)
  assert.deepEqual(two.got, ['subscribed', '5'])
})

test('subscribing ends with the first topic that is read, and fails where none can be', async () => {
  const world = setUp()
  await world.services.subscribeTopics([TOPIC], NEVER)
  const { subscription } = subscriptionOf('1')
  world.application.add(subscription)
  world.fail('TOPIC_MISSING')
  await assert.rejects(world.services.subscribeTopics([TOPIC], NEVER), { code: 'TOPIC_MISSING' })
  world.open(0)
  await world.services.subscribeTopics([TOPIC], NEVER)
})

test('its end ends every subscription, leaves the topics and stops the machine', () => {
  const { application, told } = setUp()
  const { subscription } = subscriptionOf('1')
  application.add(subscription)
  application.stop()
  assert.equal(subscription.ended.aborted, true)
  assert.deepEqual(told.slice(-2), [`leave ${TOPIC}`, 'stop'])
})
