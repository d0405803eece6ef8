import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ControlRecord, ControlRecordOf } from '../../../src/control/control-records.ts'
import { openRegistry } from '../../../src/control/registry.ts'
import type { RegistryBody } from '../../../src/services/coordinator/leader.ts'
import { createRequestQueue } from '../../../src/services/coordinator/requests.ts'
import { NAMES } from '../../names.ts'
import { quietLog } from '../../quiet.ts'
import { until } from '../until.ts'
import { openOffice } from './office.ts'
import { NEVER } from './offices.ts'

const spec = (symbol: string) => ({ channel: 'trade' as const, symbols: [symbol], exchanges: [] })

const create = (leaseId: string, symbol: string): ControlRecord => ({
  ...{ v: 1, instance: 'g', kind: 'CREATE_TOPIC_REQUEST', requestId: `create ${leaseId}`, leaseId, app: 'a' },
  ...{ spec: spec(symbol), ttlMs: 0, standing: false },
})
const end = (leaseId: string, app = 'a'): ControlRecord => ({
  ...{ v: 1, instance: 'g', kind: 'END_LEASE_REQUEST', requestId: `end ${leaseId}`, leaseId, app },
})
const stream = (id: string, symbol: string, state: 'ready' | 'ending' = 'ready'): RegistryBody => ({
  ...{ kind: 'stream', id, state, topic: `app.${id}`, topicId: 'T', spec: spec(symbol) },
  ...{ start: [0, 0], createdAt: 0 },
})
const lease = (id: string, streamId: string): RegistryBody => ({
  ...{ kind: 'lease', id, state: 'live', reason: '', app: 'a', streamId, ttlMs: 0 },
  ...{ standing: false, opensTopic: true, createdAt: 0 },
})

/** The in-tray of a coordinator that leads. */
async function setUp(t: TestContext) {
  const office = await openOffice(t)
  // The topics of the streams lie there, as far as anybody looks.
  office.broker.topicIds = async (names) => new Map(names.map((name) => [name, 'T']))
  await office.lead()
  const queue = createRequestQueue(office.parts)
  t.after(() => queue.close())
  const stop = new AbortController()
  t.after(() => stop.abort())
  const replies = () =>
    office.sent
      .filter((record): record is ControlRecordOf<'REPLY'> => record.kind === 'REPLY')
      .map(({ requestId, failure }) => [requestId, failure?.code ?? 'done'])
  return { ...office, queue, replies, receive: () => queue.receive(stop.signal) }
}

test('requests that have come are one batch; equal ones share a topic, also one that is there', async (t) => {
  const { bus, leader, receive } = await setUp(t)
  await leader.write([stream('s', 'A-B')], [], NEVER)
  await bus.send([create('1', 'A-B'), create('2', 'C-D'), create('3', 'C-D'), create('4', 'E-F')])
  const batch = await receive()
  assert.equal(batch.kind, 'create')
  assert.deepEqual(
    batch.requests.map(({ topicName }) => topicName),
    ['app.s', `${NAMES.dynamic}id1`, `${NAMES.dynamic}id1`, `${NAMES.dynamic}id2`],
  )
  assert.equal(batch.controlOffset, 4)
})

test('moves join the topic of an equal spec, stay where nothing changes, and never go back; the last of several holds', async (t) => {
  const { bus, leader, receive, replies } = await setUp(t)
  const move = (leaseId: string, symbol: string, app = 'a', n = ''): ControlRecord => ({
    ...{ v: 1, instance: 'g', kind: 'MOVE_LEASE_REQUEST', requestId: `move ${leaseId}${n}`, leaseId, app },
    ...{ spec: spec(symbol), ttlMs: 0 },
  })
  const left = { streamId: 'app.s', begin: 0, seam: [0, 0], end: null }
  await leader.write(
    [
      ...[stream('s', 'A-B'), stream('r', 'C-D'), lease('1', 's'), lease('2', 's'), lease('3', 's')],
      ...[
        { ...lease('moved', 'r'), former: [left] } as RegistryBody,
        { ...lease('all', 's'), standing: true } as RegistryBody,
      ],
    ],
    [],
    NEVER,
  )
  await bus.send([
    ...[
      move('1', 'C-D'),
      move('2', 'A-B'),
      move('moved', 'A-B'),
      move('3', 'E-F'),
      move('3', 'C-D', 'a', ' b'),
    ],
    ...[move('all', 'C-D'), move('none', 'C-D'), move('1', 'E-F', 'b')],
  ])
  const batch = await receive()
  assert.equal(batch.kind, 'create')
  const places = batch.requests.map((request) => [
    'requestId' in request && request.requestId,
    request.topicName,
  ])
  assert.deepEqual(places, [
    ['move 1', 'app.r'],
    ['move 2', 'app.s'],
    ['move moved', `${NAMES.dynamic}id1`],
    ['move 3', 'app.r'],
    ['move 3 b', 'app.r'],
  ])
  assert.deepEqual(replies(), [
    ['move all', 'STREAM_STANDING'],
    ['move none', 'STREAM_UNKNOWN'],
    ['move 1', 'STREAM_UNKNOWN'],
  ])
})

test('a batch is given again until it is done, and what comes meanwhile waits', async (t) => {
  const { bus, receive } = await setUp(t)
  await bus.send([create('1', 'A-B')])
  const batch = await receive()
  await bus.send([create('2', 'C-D')])
  assert.equal(await receive(), batch)
  batch.done()
  const next = await receive()
  assert.deepEqual(
    next.requests.map((request) => 'leaseId' in request && request.leaseId),
    ['2'],
  )
})

test('a lease is ended for its application alone, and whoever asks is answered', async (t) => {
  const { bus, leader, registry, receive, replies } = await setUp(t)
  await leader.write([stream('s', 'A-B'), lease('mine', 's'), lease('other', 's')], [], NEVER)
  await bus.send([end('mine'), end('other', 'b'), end('nobody'), create('1', 'A-B')])
  await receive()
  assert.deepEqual(
    ['mine', 'other'].map((id) => registry.view.lease(id)?.id),
    [undefined, 'other'],
  )
  assert.deepEqual(replies(), [
    ['end mine', 'done'],
    ['end other', 'STREAM_UNKNOWN'],
    ['end nobody', 'STREAM_UNKNOWN'],
  ])
})

test('a lease that was deleted is known as deleted after the registry was compacted, and the last thousand stay', async (t) => {
  const { broker, bus, leader, registry, receive } = await setUp(t)
  const compacted = broker.topics.get(NAMES.registry)?.partition(0)
  const deleteAll = async (ids: readonly string[]): Promise<void> => {
    await leader.write(
      ids.map((id) => lease(id, 's')),
      [],
      NEVER,
    )
    await bus.send([...ids.map((id) => end(id)), create(`after ${ids[0]}`, 'A-B')])
    // What is asked for after them is in hand once they have ended.
    const batch = await receive()
    batch.done()
    assert.equal(registry.view.counts.leases, 0)
  }
  await leader.write([stream('s', 'A-B')], [], NEVER)
  await deleteAll(['first', 'second'])
  compacted?.compact(Number.POSITIVE_INFINITY)
  const next = await openRegistry(broker, NAMES, quietLog, NEVER)
  assert.equal(next.view.ownerOfEnded('first'), 'a')
  await next.close()

  const many = (from: number): string[] => Array.from({ length: 150 }, (_, i) => `lease-${from + i}`)
  for (let from = 0; from < 1_050; from += 150) await deleteAll(many(from))
  assert.deepEqual(
    registry.view.endedBefore(0).map(({ id }) => id),
    Array.from({ length: 1_000 }, (_, i) => `lease-${50 + i}`),
  )
})

test('a request that is not understood is refused, not left without an answer', async (t) => {
  const { broker, bus, receive, replies } = await setUp(t)
  const body = { v: 99, kind: 'CREATE_TOPIC_REQUEST', requestId: 'new', instance: 'g' }
  const record = {
    key: 'g',
    value: Buffer.from(JSON.stringify(body)),
    headers: { v: 99, kind: 'control' },
  } as const
  await broker.publish([{ topic: NAMES.control, partition: 0, records: [record] }], NEVER)
  await bus.send([create('1', 'A-B')])
  await receive()
  assert.deepEqual(replies(), [['new', 'UPGRADE_NEEDED']])
})

test('a stream that a leader before began to end is ended, and one without leases after its grace', async (t) => {
  const { leader, bus, clock, receive } = await setUp(t)
  await leader.write([stream('ending', 'A-B', 'ending'), stream('left', 'C-D')], [], NEVER)
  const first = await receive()
  assert.deepEqual(
    [first.kind, first.requests],
    ['delete', [{ topicName: 'app.ending', streamId: 'ending' }]],
  )
  first.done()
  await leader.write([], [{ v: 1, instance: 'me', epoch: 0, ...stream('ending', 'A-B') } as never], NEVER)
  const waiting = receive()
  let isOver = false
  void waiting.then(() => {
    isOver = true
  })
  await until('its grace is over', async () => {
    // At most some seconds count from one look to the next; what comes ends a look.
    clock.ms += 4_000
    await bus.send([end('nobody')])
    return isOver
  })
  const second = await waiting
  assert.deepEqual([second.kind, second.requests], ['delete', [{ topicName: 'app.left', streamId: 'left' }]])
})

test('requests that come one after the other have it look at the leases once a second, not each time', async (t) => {
  const { bus, clock, registry, sent, receive } = await setUp(t)
  const { view } = registry
  let looks = 0
  const leases = view.leases.bind(view)
  view.leases = () => {
    looks++
    return leases()
  }
  const received = receive()
  for (let i = 0; i < 20; i++) {
    await bus.send([end(`nobody ${i}`)])
    await until('it is answered', () => sent.filter(({ kind }) => kind === 'REPLY').length > i)
  }
  assert.equal(looks, 1)
  clock.ms += 1_000
  await bus.send([create('1', 'A-B')])
  await received
  assert.equal(looks, 2)
})
