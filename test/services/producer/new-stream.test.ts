import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { openControlBus } from '../../../src/control/bus.ts'
import { claimOwnership } from '../../../src/control/claim.ts'
import { registryEntry } from '../../../src/control/records.ts'
import { openRegistry } from '../../../src/control/registry.ts'
import { ensureTopics, findTopic } from '../../../src/control/topics.ts'
import type { Trade } from '../../../src/domain/events.ts'
import type { PartitionRecords, StoredRecord } from '../../../src/ports/broker.ts'
import { createProducerServices } from '../../../src/services/producer/producer.ts'
import { spoilEmbedded } from '../../adapters/broker/spoil-embedded.ts'
import { temporaryFolder } from '../../adapters/broker/temporary-folder.ts'
import { NAMES } from '../../names.ts'
import { quietAlerts, quietLog, quietMeter } from '../../quiet.ts'
import { idleSource } from './idle-source.ts'

const NEVER = new AbortController().signal
const TOPICS = NAMES.fixed
const LEADER = { v: 1, instance: 'test', kind: 'stream', state: 'ready' } as const

const trades = (symbol: string, ...ids: string[]) => ({
  items: ids.map((id, n) => {
    const event: Trade = {
      exchange: 'x',
      symbol,
      id,
      side: 'buy',
      price: 1,
      size: 1,
      ts: 1_000 + n,
      recvTs: 1_000,
    }
    return { channel: 'trade' as const, event }
  }),
})

/** A producer that owns the only shard, over a broker whose publishes can be watched. */
async function setUp(t: TestContext, folder = ':memory:') {
  const broker = await openEmbeddedBroker({ folder })
  await ensureTopics(
    broker,
    { names: NAMES, partitions: 1, retentionMs: 1e9, deadLetterRetentionMs: 1e9 },
    NEVER,
  )
  const leader = await claimOwnership(broker, NAMES, NAMES.leaderId, 'test', 0, NEVER)
  const registry = await openRegistry(broker, NAMES, quietLog, NEVER)
  const bus = await openControlBus(broker, NAMES, registry, quietLog, NEVER)
  /** Called before what is to be published is sent. */
  let onPublish: (entries: readonly PartitionRecords[]) => Promise<void> = async () => undefined
  const services = await createProducerServices(
    {
      alerts: quietAlerts,
      names: NAMES,
      ...{ source: idleSource, markets: [], registry, bus, instance: 'producer', topics: TOPICS },
      broker: {
        createTopics: (specs, signal) => broker.createTopics(specs, signal),
        deleteTopics: (names, signal) => broker.deleteTopics(names, signal),
        listTopics: (prefix, signal) => broker.listTopics(prefix, signal),
        describeTopics: (names, signal) => broker.describeTopics(names, signal),
        topicIds: (names, signal) => broker.topicIds(names, signal),
        offsetAt: (topic, partition, at, signal) => broker.offsetAt(topic, partition, at, signal),
        takeOver: (id, signal) => broker.takeOver(id, signal),
        openReader: (signal) => broker.openReader(signal),
        joinGroup: (options, signal) => broker.joinGroup(options, signal),
        ping: (signal) => broker.ping(signal),
        close: () => broker.close(),
        async publish(entries, signal) {
          await onPublish(entries)
          return broker.publish(entries, signal)
        },
      },
      ...{ partitions: 1, standing: new Map(), lingerMs: 0, now: Date.now, newId: () => 'id' },
      ...{ log: quietLog, meter: quietMeter },
    },
    NEVER,
  )
  t.after(async () => {
    await services.close(NEVER)
    await registry.close()
    await bus.close()
    await broker.close()
  })

  /** Makes a stream that starts where the fixed topic ended at `start`, and tells the producer. */
  const announce = async (name: string, symbols: readonly string[], start: number): Promise<void> => {
    const [topic] = await broker.createTopics([{ name, partitions: 1 }], NEVER)
    const spec = { channel: 'trade' as const, symbols: [...symbols], exchanges: [] }
    const record = registryEntry({
      ...{ ...LEADER, epoch: leader.epoch, id: name, topic: name, topicId: topic?.id ?? '' },
      ...{ spec, start: [start], createdAt: 0 },
    })
    const [ack] = await leader.writer.commit(
      [{ topic: NAMES.registry, partition: 0, records: [record] }],
      NEVER,
    )
    await registry.reached((ack?.baseOffset ?? 0) + 1, NEVER)
    services.applyNotification({ ready: [name], ended: [] })
  }
  const endOfTrades = async (): Promise<number> =>
    (await findTopic(broker, TOPICS.trade, NEVER))?.offsets[0]?.end ?? 0

  /** The ids of the trades in a topic, and in between what its readers are told of holes. */
  const idsIn = async (name: string): Promise<string[]> => {
    const reader = await broker.openReader(AbortSignal.timeout(30_000))
    try {
      await reader.assign([{ topic: name, partition: 0, offset: 0 }], AbortSignal.timeout(30_000))
      const records: StoredRecord[] = []
      for (const fetch of await reader.poll({ maxRecords: 1_000, waitMs: 0 }, NEVER))
        if (fetch.kind === 'records') records.push(...fetch.records)
      return records.flatMap(({ value }) => {
        if (value === null) return []
        const body = JSON.parse(Buffer.from(value).toString()) as Trade | { reset: string }
        return 'reset' in body ? body.reset : body.id
      })
    } finally {
      await reader.close(AbortSignal.timeout(30_000))
    }
  }
  const derive = async (): Promise<void> => {
    while ((await services.publishDynamic(NEVER)).dynamicWaiting);
  }
  return {
    ...{ services, announce, endOfTrades, idsIn, derive },
    /** Runs once, in front of the next publish to a topic. */
    before(topic: string, act: () => Promise<void>) {
      onPublish = async (entries) => {
        if (!entries.some((entry) => entry.topic === topic)) return
        onPublish = async () => undefined
        await act()
      }
    },
  }
}

test('a stream that is announced while a step is on its way into the dynamic topics misses nothing of that step', async (t) => {
  const { services, announce, endOfTrades, idsIn, derive, before } = await setUp(t)
  await announce('app.all', ['*'], 0)
  await services.publishFixed(trades('A-A', 'a1'), NEVER)
  await derive()
  const start = await endOfTrades()
  await services.publishFixed(trades('A-A', 'a2', 'a3'), NEVER)
  before('app.all', () => announce('app.new', ['A-*'], start))
  await derive()
  await services.publishFixed(trades('A-A', 'a4'), NEVER)
  await derive()
  assert.deepEqual(await idsIn('app.all'), ['a1', 'a2', 'a3', 'a4'])
  assert.deepEqual(await idsIn('app.new'), ['a2', 'a3', 'a4'])
})

test('a stream that is announced after a step of the fixed topics gets what no other stream wanted of it', async (t) => {
  const { services, announce, endOfTrades, idsIn, derive } = await setUp(t)
  await announce('app.other', ['B-*'], 0)
  await services.publishFixed(trades('A-A', 'a1'), NEVER)
  await derive()
  const start = await endOfTrades()
  await services.publishFixed({ items: [...trades('A-A', 'a2').items, ...trades('B-B', 'b1').items] }, NEVER)
  await announce('app.new', ['A-*'], start)
  await derive()
  await services.publishFixed(trades('A-A', 'a3'), NEVER)
  await derive()
  assert.deepEqual(await idsIn('app.other'), ['b1'])
  assert.deepEqual(await idsIn('app.new'), ['a2', 'a3'])
})

test('a stream that is derived over a batch that nobody can read tells its readers of the hole', async (t) => {
  const folder = await temporaryFolder(t)
  const { services, announce, endOfTrades, idsIn, derive } = await setUp(t, folder)
  await services.publishFixed(trades('A-A', 'a1'), NEVER)
  const first = await endOfTrades()
  await services.publishFixed(trades('A-A', 'a2-spoilt', 'a3'), NEVER)
  await services.publishFixed(trades('A-A', 'a4'), NEVER)
  spoilEmbedded(folder, 'a2-spoilt')
  await announce('app.late', ['*'], 0)
  await derive()
  await services.publishFixed(trades('A-A', 'a5'), NEVER)
  await derive()
  const [a1, hole, ...others] = await idsIn('app.late')
  assert.deepEqual([a1, ...others], ['a1', 'a4', 'a5'])
  assert.match(
    hole ?? '',
    new RegExp(`^fixed records ${first} to ${first + 1} of shard 0 are gone: they cannot be read`),
  )
})
