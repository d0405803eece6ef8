import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ControlBus } from '../../../src/control/bus.ts'
import type { ControlRecord } from '../../../src/control/control-records.ts'
import type { Registry } from '../../../src/control/registry.ts'
import { encodeCursor } from '../../../src/domain/cursor.ts'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import type { Lease, LeaseChange, StreamDesk } from '../../../src/ports/streams.ts'
import type { AppMessage } from '../../../src/ports/transport.ts'
import { createDelivery } from '../../../src/services/consumer-dynamic/consumer-dynamic.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import { until } from '../until.ts'

const NEVER = new AbortController().signal

function leaseOf(id: string, change: Partial<Lease> = {}): Lease {
  return {
    ...{ id, app: 'mine', spec: { channel: 'trade', symbols: ['*'], exchanges: [] }, ttlMs: 0 },
    ...{ topic: `app.${id}`, topicId: '', opensTopic: true, createdAt: 0, standing: false, ...change },
  }
}

/** A delivery over leases that the test has, whose machines do nothing by themselves. */
async function setUp(t: TestContext) {
  const broker = new MemoryBroker(Date.now)
  const leases = new Map<string, Lease>()
  /** Leases that only a look into the registry shows. */
  const elsewhere = new Map<string, Lease>()
  const read: string[] = []
  const sent: ControlRecord[] = []
  const notices: ((notice: { notificationId: string; registryOffset: number }) => void)[] = []
  const watchers: ((change: LeaseChange) => void)[] = []
  let readers: () => Iterable<string> = () => []
  const registry = { reached: async () => {} } satisfies Partial<Registry> as Partial<Registry> as Registry
  const desk = {
    get: (id) => leases.get(id),
    find: async (id) => elsewhere.get(id) ?? leases.get(id),
    noteRead: (id) => void read.push(id),
    reading(source) {
      readers = source
    },
    watch(watcher) {
      watchers.push(watcher)
      return () => {}
    },
  } satisfies Partial<StreamDesk> as Partial<StreamDesk> as StreamDesk
  const bus = {
    on(_kind: string, listener: (typeof notices)[number]) {
      notices.push(listener)
      return () => {}
    },
    send: async (records: readonly ControlRecord[]) => void sent.push(...records),
  } as unknown as ControlBus
  const spawned: string[] = []
  const delivery = await createDelivery({
    ...{ broker, names: NAMES, desk, bus, registry, instance: 'g', log: quietLog, meter: quietMeter },
    nowMicros: () => 0,
    spawn(app) {
      spawned.push(app)
      return { send() {}, stop: () => void spawned.push(`${app} stopped`) }
    },
  })
  t.after(async () => {
    await delivery.close()
    await broker.close()
  })
  return {
    ...{ delivery, leases, elsewhere, read, sent, notices, spawned },
    reading: () => [...readers()],
    change: (change: LeaseChange) => {
      for (const watcher of watchers) watcher(change)
    },
    async add(id: string, change: Partial<Lease> = {}) {
      const [topic] = await broker.createTopics([{ name: `app.${id}`, partitions: 1 }], NEVER)
      const lease = leaseOf(id, { topicId: topic?.id ?? '', ...change })
      leases.set(id, lease)
      return lease
    },
    connect(app = 'mine') {
      const got: AppMessage[] = []
      const endpoint = {
        ...{ id: app, pendingBytes: 0, closed: false, sendEncoded() {}, async drained() {} },
        send: (message: AppMessage) => void got.push(message),
      }
      const said = () => got.map((message) => ('code' in message ? message.code : message.op))
      return { said, ...delivery.connect(app, endpoint) }
    },
  }
}

test('an application reads its own streams and standing ones, and no others; the administrator reads all', async (t) => {
  const { add, connect } = await setUp(t)
  await add('own')
  await add('standing', { app: 'standing', standing: true })
  await add('foreign', { app: 'another' })
  const { subscribe, said } = connect()
  for (const id of ['foreign', 'nobodys']) subscribe(id)
  await until('both are refused', () => said().length === 2)
  assert.deepEqual(said(), ['STREAM_UNKNOWN', 'STREAM_UNKNOWN'])
  for (const id of ['own', 'standing']) subscribe(id)
  await until('both are read', () => said().length === 4)
  assert.deepEqual(said().slice(2), ['subscribed', 'subscribed'])
  const admin = connect('admin')
  admin.subscribe('foreign')
  await until('it is read', () => admin.said().length > 0)
  assert.deepEqual(admin.said(), ['subscribed'])
})

test('a stream that was made through another process is looked up', async (t) => {
  const { add, connect, leases, elsewhere } = await setUp(t)
  elsewhere.set('new', await add('new'))
  leases.clear()
  const { subscribe, said } = connect()
  subscribe('new')
  await until('it is read', () => said().length > 0)
  assert.deepEqual(said(), ['subscribed'])
})

test('a cursor of a topic to which another process has just moved the stream goes on there', async (t) => {
  const { add, connect, elsewhere } = await setUp(t)
  const before = await add('s')
  const { topic, topicId } = await add('moved')
  const { spec } = before
  const former = [
    { topic: before.topic, topicId: before.topicId, spec, begin: 0, seam: [0, 0, 0, 0], end: 0 },
  ]
  elsewhere.set('s', { ...before, topic, topicId, former })
  const { subscribe, said } = connect()
  subscribe('s', encodeCursor({ lease: 's', topics: [{ topicId, offset: 0, memory: emptyMemory() }] }))
  await until('it goes on', () => said().length > 0)
  subscribe('s')
  await until('it begins with what comes', () => said().length > 1)
  assert.deepEqual(said(), ['subscribed', 'subscribed'])
})

test('a cursor goes on where it stands; one of another stream is refused, one of a topic that is over is reset', async (t) => {
  const { add, connect } = await setUp(t)
  const lease = await add('s')
  const cursor = (of: string, topicId: string): string =>
    encodeCursor({ lease: of, topics: [{ topicId, offset: 0, memory: emptyMemory() }] })
  const { subscribe, said } = connect()
  subscribe('s', cursor('another', lease.topicId))
  assert.deepEqual(said(), ['CURSOR_INVALID'])
  subscribe('s', cursor('s', lease.topicId))
  await until('it goes on', () => said().length === 2)
  const late = connect()
  late.subscribe('s', cursor('s', 'a topic that is over'))
  await until('it was answered', () => late.said().length === 2)
  assert.deepEqual([said()[1], late.said()], ['subscribed', ['subscribed', 'reset']])
})

test('what is read is told, until the application leaves; its machine ends with its last connection', async (t) => {
  const { add, connect, reading, read, spawned } = await setUp(t)
  await add('s')
  const [one, two] = [connect(), connect()]
  one.subscribe('s')
  assert.deepEqual([reading(), read], [['s'], ['s']])
  one.unsubscribe('s')
  assert.deepEqual([reading(), read], [[], ['s', 's']])
  two.subscribe('s')
  one.close()
  assert.deepEqual(spawned, ['mine'])
  two.close()
  assert.deepEqual([reading(), spawned], [[], ['mine', 'mine stopped']])
})

test('the end of a lease is told to whoever reads it, and what is not understood any more', async (t) => {
  const { add, connect, change, reading } = await setUp(t)
  await add('ends')
  await add('newer')
  const { subscribe, said } = connect()
  for (const id of ['ends', 'newer']) subscribe(id)
  change({ kind: 'ended', leaseId: 'ends', topic: 'app.ends', reason: 'deleted' })
  change({ kind: 'withheld', leaseId: 'newer', reason: 'of a later version' })
  assert.deepEqual([said(), reading()], [['end', 'UPGRADE_NEEDED'], []])
})

test('a notification is acknowledged once the registry is as far as it says', async (t) => {
  const { notices, sent } = await setUp(t)
  for (const notice of notices) notice({ notificationId: 'n', registryOffset: 7 })
  await until('it is acknowledged', () => sent.length > 0)
  assert.deepEqual(sent, [{ v: 1, kind: 'ACKNOWLEDGE', instance: 'g', notificationId: 'n', role: 'gateway' }])
})
