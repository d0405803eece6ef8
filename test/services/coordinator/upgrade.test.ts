import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Broker } from '../../../src/ports/broker.ts'
import { NAMES } from '../../names.ts'
import { until } from '../until.ts'
import { NEVER, setUp, tradesOf } from './offices.ts'

type Process = Awaited<ReturnType<Awaited<ReturnType<typeof setUp>>['start']>>

/** Writes a record as a newer version may; null removes it. */
async function write(broker: Broker, topic: string, key: string, body: object | null): Promise<void> {
  const value = body && Buffer.from(JSON.stringify(body))
  const records = [{ key, value, headers: { v: 1, kind: 'control' as const } }]
  await broker.publish([{ topic, partition: 0, shared: true, records }], NEVER)
}

const ask = ({ desk }: Process, leaseId: string, symbol: string) =>
  desk.request({ leaseId, app: 'app', ...tradesOf(symbol) }, NEVER)

const stateOf = ({ machine }: Process) => machine?.report()

test('who does not understand a record of the registry does not lead, deletes nothing, says so, and goes on with the rest', async (t) => {
  const world = await setUp(t, { graceMs: 0 })
  const [first, gateway] = [await world.start('a'), await world.start('b', { coordinates: false })]
  const kept = await ask(first, 'kept', 'A-USD')
  const ended = await ask(first, 'ended', 'B-USD')

  // Whatever it is, the topic of `ended` may depend on it.
  await write(world.broker, NAMES.registry, 'wish:1', { v: 2, kind: 'wish', keeps: ended.topic })
  await until('it stands back', () => stateOf(first)?.errorInfo?.code === 'UPGRADE_NEEDED')
  assert.equal(stateOf(first)?.state, 'error')
  assert.equal(first.leader.leading, false)
  assert.equal(first.desk.get('kept')?.topic, kept.topic, 'what it understands it serves')
  assert.equal((await gateway.desk.find('ended', NEVER))?.topic, ended.topic)

  await write(world.broker, NAMES.registry, 'wish:1', null)
  const more = await ask(first, 'later', 'D-USD')
  assert.ok(more.topic)
  assert.equal(first.leader.leading, true, 'it leads again')
  assert.equal(first.registry.view.unreadable.size, 0)
})

test('the office goes to a process that understands', async (t) => {
  const world = await setUp(t)
  const [older, newer] = [await world.start('a'), await world.start('b')]
  await ask(older, 'one', 'A-USD')
  assert.equal(older.leader.leading, true)
  // Here only one of the two meets the record: the other one stands for the newer version.
  older.registry.view.withhold(older.registry.view.nextOffset - 1, 'wish:1', 'a newer version wrote it')
  const lease = await ask(newer, 'two', 'B-USD')
  assert.ok(lease.topic)
  assert.deepEqual([older.leader.leading, newer.leader.leading], [false, true])
})

test('a stream whose record is not understood: its leases are told why, the others are served', async (t) => {
  const world = await setUp(t)
  const process = await world.start('a')
  const other = await ask(process, 'other', 'A-USD')
  const lease = await ask(process, 'lease', 'B-USD')
  const told: unknown[] = []
  process.desk.watch((change) => told.push(change))
  const spec = { channel: 'trade', symbols: ['B-USD'], exchanges: [], colour: 'blue' }
  await write(world.broker, NAMES.registry, `stream:${lease.topic}`, {
    ...{ v: 1, kind: 'stream', instance: 'n', epoch: process.registry.view.leaderEpoch, id: lease.topic },
    ...{ state: 'ready', topic: lease.topic, topicId: lease.topicId, spec, start: [0, 0], createdAt: 0 },
  })
  await process.registry.catchUp(NEVER)
  assert.equal(process.desk.get('lease'), undefined)
  await assert.rejects(process.desk.find('lease', NEVER), { code: 'UPGRADE_NEEDED' })
  assert.equal((await process.desk.find('other', NEVER))?.topic, other.topic)
  assert.deepEqual(
    told.map((change) => Object.values(change as object).slice(0, 2)),
    [['withheld', 'lease']],
  )
})

test('a request that the leader does not understand is answered, and makes nothing', async (t) => {
  const world = await setUp(t)
  const process = await world.start('a')
  await ask(process, 'first', 'A-USD')
  const topics = (await world.broker.listTopics(NAMES.dynamic, NEVER)).length
  const replied = process.bus.first(
    'REPLY',
    ({ requestId }) => requestId === 'r1',
    AbortSignal.timeout(10_000),
  )
  await write(world.broker, NAMES.control, 'newer', {
    ...{ v: 1, instance: 'newer', kind: 'CREATE_TOPIC_REQUEST', requestId: 'r1', leaseId: 'l1', app: 'a' },
    ...{ spec: { ...tradesOf('B-USD').spec, colour: 'blue' }, ttlMs: 0, standing: false },
  })
  assert.equal((await replied).failure?.code, 'UPGRADE_NEEDED')
  await ask(process, 'second', 'A-USD')
  assert.equal((await world.broker.listTopics(NAMES.dynamic, NEVER)).length, topics)
  assert.equal(process.desk.get('l1'), undefined)
})

test('no lease ends while a process says in a way that is not understood what it reads', async (t) => {
  const world = await setUp(t)
  const process = await world.start('a')
  const { spec } = tradesOf('A-USD')
  const heartbeat = () =>
    write(world.broker, NAMES.control, 'newer', { v: 2, instance: 'newer', kind: 'HEARTBEAT', reads: ['x'] })
  await heartbeat()
  await until('it is heard of', () => process.membership.live().some(({ reading }) => reading === undefined))
  await process.desk.request({ leaseId: 'short', app: 'app', spec, ttlMs: 1 }, NEVER)
  await process.desk.request({ leaseId: 'long', app: 'app', spec, ttlMs: 0 }, NEVER)
  // Requests are answered in the same look at the control topic in which leases end.
  for (let n = 0; n < 5; n++) {
    await heartbeat()
    await ask(process, `more-${n}`, 'B-USD')
  }
  assert.notEqual(process.desk.get('short'), undefined)
})
