import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ReaderMemory } from '../../../src/domain/reader-rules.ts'
import type { Lease } from '../../../src/ports/streams.ts'
import type { AppEndpoint } from '../../../src/ports/transport.ts'
import {
  type ConsumerDynamicServices,
  createApplication,
} from '../../../src/services/consumer-dynamic/application.ts'
import { createReaderPool } from '../../../src/services/consumer-dynamic/reader-pool.ts'
import { Subscription } from '../../../src/services/consumer-dynamic/subscription.ts'
import { openTopicHub } from '../../../src/services/consumer-dynamic/topic-hub.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import { until } from '../until.ts'

const TOPIC = 'app.one'
const FIXED = 'market.trades'
const NEVER = new AbortController().signal

/** What an application remembers that has got all up to these offsets, by shard. */
const upTo = (offsets: Readonly<Record<number, number>>, epoch = 7): ReaderMemory => ({
  epochs: Object.fromEntries(Object.keys(offsets).map((shard) => [shard, epoch])),
  positions: {
    [FIXED]: Object.fromEntries(Object.entries(offsets).map(([shard, offset]) => [shard, [offset, 0]])),
  },
})

/** The topic of a stream with two records, and a gateway that begins to read behind them; the first may be rotten. */
async function openGateway(t: TestContext, isRotten: boolean) {
  const broker = new MemoryBroker(Date.now)
  const [made] = await broker.createTopics([{ name: TOPIC, partitions: 1 }], NEVER)
  const topicId = made?.id ?? ''
  const publish = async (shard: number, offset: number, epoch = 7): Promise<void> => {
    const value = new TextEncoder().encode(JSON.stringify(`${shard}:${offset}`))
    const position = { topic: FIXED, partition: shard, offset }
    const headers = { v: 1, kind: 'event' as const, shard, epoch, position }
    await broker.publish([{ topic: TOPIC, partition: 0, records: [{ key: 'k', value, headers }] }], NEVER)
  }
  await publish(0, 10)
  await publish(1, 20)
  const partition = broker.topics.get(TOPIC)?.partition(0)
  if (isRotten) partition?.rot(1)
  const hub = await openTopicHub(broker, quietLog)
  const stop = new AbortController()
  const quiet = { log: quietLog, meter: quietMeter }
  const run = async (services: ConsumerDynamicServices): Promise<void> => {
    while (!stop.signal.aborted)
      await services.interactWithApp(await services.receiveMessage([], stop.signal))
  }
  const application = createApplication('a', {
    ...{ broker, hub, readers: createReaderPool({ broker, ...quiet }, 16), nowMicros: () => 0, ...quiet },
    spawn(_app, services) {
      run(services).catch((error: unknown) => {
        if (!stop.signal.aborted) throw error
      })
      return { send() {}, stop: () => stop.abort() }
    },
  })
  t.after(async () => {
    application.stop()
    await hub.close()
    await broker.close()
  })
  const spec = { channel: 'trade' as const, symbols: ['*'], exchanges: [] }
  const lease: Lease = {
    ...{ id: 'lease', app: 'a', spec, ttlMs: 0, topic: TOPIC, topicId, createdAt: 0 },
    ...{ opensTopic: true, standing: false },
  }
  return {
    publish,
    /** The log loses what lies from an offset on. */
    cut: (end: number) => partition?.cut(end),
    /** An application goes on at an offset, with what it remembers. */
    goOn(offset: number, memory: ReaderMemory) {
      const got: string[] = []
      const endpoint: AppEndpoint = {
        ...{ id: 'e', pendingBytes: 0, closed: false, drained: async () => {} },
        send: ({ op }) => got.push(op),
        sendEncoded: (bytes) =>
          got.push(...(JSON.parse(Buffer.from(bytes).toString()) as { events: string[] }).events),
      }
      const subscription = new Subscription(endpoint, lease, { topicId, offset, memory }, NAMES.fixed)
      application.add(subscription)
      return {
        subscription,
        async gets(...expected: readonly string[]): Promise<void> {
          await until(`${expected.length} messages`, () => got.length >= expected.length)
          assert.deepEqual(got, expected)
        },
      }
    },
  }
}

test('what comes again of records that a gateway could not read is not sent to who has read them', async (t) => {
  const gateway = await openGateway(t, true)
  const known = gateway.goOn(2, upTo({ 0: 10, 1: 20 }))
  const other = gateway.goOn(2, upTo({ 1: 20 }))
  await known.gets('subscribed')
  await gateway.publish(0, 10)
  await gateway.publish(1, 21)
  await known.gets('subscribed', '1:21')
  await other.gets('subscribed', '0:10', '1:21')
})

test('what a former owner wrote too late is not sent to who has read the record of a later one that a gateway could not', async (t) => {
  const gateway = await openGateway(t, true)
  const known = gateway.goOn(2, { ...upTo({ 1: 20 }), epochs: { 0: 8, 1: 7 } })
  await known.gets('subscribed')
  await gateway.publish(0, 11, 7)
  await gateway.publish(1, 21)
  await known.gets('subscribed', '1:21')
})

test('who remembers more than a gateway gets live what comes once the gateway has read as far', async (t) => {
  const gateway = await openGateway(t, true)
  const known = gateway.goOn(2, upTo({ 0: 10, 1: 20 }))
  await known.gets('subscribed')
  assert.equal(known.subscription.state, 'behind')
  await gateway.publish(0, 11)
  await known.gets('subscribed', '0:11')
  await until('it is live', () => known.subscription.state === 'live')
  await gateway.publish(1, 21)
  await known.gets('subscribed', '0:11', '1:21')
})

test('what was lost with the end of a log and comes again is sent to who had read it, after the reset', async (t) => {
  const gateway = await openGateway(t, false)
  const live = gateway.goOn(2, upTo({ 0: 10, 1: 20 }))
  await gateway.publish(0, 11)
  await gateway.publish(0, 12)
  await live.gets('subscribed', '0:11', '0:12')
  gateway.cut(3)
  await live.gets('subscribed', '0:11', '0:12', 'reset')
  // An owner that knows nothing of the loss goes on behind what the topic holds, and repeats a record of it.
  await gateway.publish(0, 11)
  await gateway.publish(0, 12)
  await live.gets('subscribed', '0:11', '0:12', 'reset', '0:12')
})

test('what was lost with the end of a log and comes again is sent to whose cursor lies beyond the end, behind the reset', async (t) => {
  const gateway = await openGateway(t, false)
  await gateway.publish(0, 11)
  await gateway.publish(0, 12)
  gateway.cut(3)
  const late = gateway.goOn(4, upTo({ 0: 12, 1: 20 }))
  await late.gets('subscribed', 'reset')
  await gateway.publish(0, 11)
  await gateway.publish(0, 12)
  await late.gets('subscribed', 'reset', '0:12')
})
