import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { spoilEmbedded } from '../../adapters/broker/spoil-embedded.ts'
import { temporaryFolder } from '../../adapters/broker/temporary-folder.ts'
import { hasten } from '../fast-time.ts'
import { until } from '../until.ts'
import { range, setUp } from './gateways.ts'

test('a topic that the broker does not show for a while falls silent, and goes on without a hole or a repeat', async (t) => {
  const world = await setUp(t)
  const { state } = world
  await world.makeStreams(['app.one', 'app.two'])
  const app = world.connect()
  for (const topic of ['app.one', 'app.two']) {
    app.subscribe(`lease-${topic}`)
    await app.says(topic, 'subscribed')
    await world.publish(topic, 0, 10)
    await app.gets(topic, range(0, 10))
  }
  state.hidden.add('app.one')
  state.notices.push({ kind: 'deleted', topic: 'app.one' })
  await until('the reader was told', () => state.notices.length === 0)
  await world.publish('app.one', 10, 20)
  await world.publish('app.two', 10, 20)
  await app.gets('app.two', range(0, 20))
  assert.equal(
    app.client.ops('lease-app.one').includes('end'),
    false,
    'the registry ends streams, nothing else',
  )
  state.hidden.clear()
  await app.gets('app.one', range(0, 20))
  assert.deepEqual(app.client.ops('lease-app.one'), ['subscribed'])
})

test('a topic that is not shown when it is opened is waited for, and keeps no other waiting', async (t) => {
  const world = await setUp(t)
  const { state } = world
  const topics = Array.from({ length: 20 }, (_, n) => `app.t${n}`)
  await world.makeStreams(topics)
  await world.makeStreams(['app.late', 'app.stuck'])
  const known = [...topics, 'app.late', 'app.stuck']
  state.described.length = 0
  state.hidden.add('app.late')
  state.stuck.add('app.stuck')
  hasten(t, 10)
  const app = world.connect()
  for (const topic of ['app.stuck', 'app.late', ...topics]) app.subscribe(`lease-${topic}`)
  for (const topic of topics) {
    await app.says(topic, 'subscribed')
    await world.publish(topic, 0, 3)
    await app.gets(topic, range(0, 3))
  }
  assert.deepEqual([app.client.ops('lease-app.late'), app.client.ops('lease-app.stuck')], [[], []])
  await world.publish('app.late', 0, 3)
  state.hidden.clear()
  state.stuck.clear()
  await app.says('app.late', 'subscribed')
  await app.says('app.stuck', 'subscribed')
  await world.publish('app.late', 3, 6)
  await app.gets('app.late', range(3, 6))
  assert.deepEqual(
    [...new Set(state.described.flat())].toSorted(),
    known.toSorted(),
    'only these are asked for',
  )
  assert.equal(state.listed, 0, 'nobody asks for the whole cluster')
})

test('the one topic of an application that cannot be opened is visible in its machine', async (t) => {
  const world = await setUp(t)
  const { state } = world
  await world.makeStreams(['app.one'])
  state.hidden.add('app.one')
  const app = world.connect()
  app.subscribe('lease-app.one')
  await until('it shows', () => world.machines().some(({ code }) => code === 'TOPIC_MISSING'))
  state.hidden.clear()
  await app.says('app.one', 'subscribed')
  await until('it is over', () => world.machines().every(({ state, code }) => state === 'consuming' && !code))
})

test('a topic that others made anew is told as reset; nothing of it is delivered, and the end of its lease is the end', async (t) => {
  const world = await setUp(t)
  const { state } = world
  await world.makeStreams(['app.one', 'app.two'])
  const app = world.connect()
  const resuming = world.connect()
  app.subscribe('lease-app.one')
  await app.says('app.one', 'subscribed')
  await world.publish('app.one', 0, 10)
  await app.gets('app.one', range(0, 10))
  const cursor = app.client.cursors.get('lease-app.one')

  state.replaced.add('app.one')
  state.notices.push({ kind: 'deleted', topic: 'app.one' })
  await app.says('app.one', 'reset')
  await world.publish('app.one', 10, 20)
  resuming.subscribe('lease-app.one', cursor)
  await resuming.says('app.one', 'reset')

  app.subscribe('lease-app.two')
  await app.says('app.two', 'subscribed')
  await world.publish('app.two', 0, 5)
  await app.gets('app.two', range(0, 5))
  await app.gets('app.one', range(0, 10))
  await world.endLease('app.one')
  await app.says('app.one', 'end')
  assert.deepEqual(app.client.ops('lease-app.one'), ['subscribed', 'reset', 'end'])
  assert.deepEqual(resuming.client.ops('lease-app.one'), ['subscribed', 'reset', 'end'])
})

test('a socket that leaves while its topic is opened leaves nothing, and ends no other wait', async (t) => {
  const world = await setUp(t)
  const { state } = world
  await world.makeStreams(['app.one'])
  state.stuck.add('app.one')
  hasten(t, 10)
  const first = world.connect()
  first.subscribe('lease-app.one')
  await until('it is being opened', () => state.described.some((names) => names.includes('app.one')))
  const second = world.connect()
  second.subscribe('lease-app.one')
  first.close()
  state.stuck.clear()
  await second.says('app.one', 'subscribed')
  await world.publish('app.one', 0, 5)
  await second.gets('app.one', range(0, 5))
  assert.deepEqual(first.client.messages, [])
})

test('a log that lost its end is told as reset to whoever had read it, and what comes then is delivered', async (t) => {
  const world = await setUp(t)
  const { state } = world
  await world.makeStreams(['app.one'])
  const app = world.connect()
  app.subscribe('lease-app.one')
  await app.says('app.one', 'subscribed')
  await world.publish('app.one', 0, 12)
  await app.gets('app.one', range(0, 12))
  // What comes from 10 on is another log: it counts, whatever was read before.
  state.notices.push({ kind: 'truncated', topic: 'app.one', partition: 0, position: 12, earliest: 10 })
  await app.says('app.one', 'reset')
  await world.publish('app.one', 12, 20)
  await app.gets('app.one', [...range(0, 12), ...range(10, 20)])
  assert.deepEqual(app.client.ops('lease-app.one'), ['subscribed', 'reset'])
})

test('a batch that nobody can read is told as reset, live and to whoever catches up, and all others are delivered', async (t) => {
  const folder = await temporaryFolder(t)
  const world = await setUp(t, folder)
  const { state } = world
  await world.makeStreams(['app.one'])
  const app = world.connect()
  app.subscribe('lease-app.one')
  await app.says('app.one', 'subscribed')
  await world.publish('app.one', 0, 10)
  await app.gets('app.one', range(0, 10))
  const cursor = app.client.cursors.get('lease-app.one')
  const all = [...range(0, 20), 987_654, ...range(987_655, 987_665)]
  await world.publish('app.one', 10, 20)
  await world.publish('app.one', 987_654, 987_655)
  await world.publish('app.one', 987_655, 987_665)
  await app.gets('app.one', all)
  spoilEmbedded(folder, '987654')

  const late = world.connect()
  late.subscribe('lease-app.one', cursor)
  const others = all.filter((number) => number >= 10 && number !== 987_654)
  await late.gets('app.one', others)
  assert.deepEqual(late.client.ops('lease-app.one'), ['subscribed', 'reset'])

  const [topic] = await world.broker.describeTopics(['app.one'], AbortSignal.timeout(5_000))
  const end = topic?.offsets[0]?.end ?? 0
  const place = { topic: 'app.one', topicId: '', partition: 0, offset: end, nextOffset: end, endOffset: end }
  state.notices.push({ kind: 'undecodable', ...place, bytes: Buffer.alloc(0), reason: 'spoilt' })
  await app.says('app.one', 'reset')
  assert.deepEqual(app.client.ops('lease-app.one'), ['subscribed', 'reset'])
})

test('catching up while no topic is read waits, and holds up nothing else', async (t) => {
  const world = await setUp(t)
  const { state } = world
  await world.makeStreams(['app.one'])
  await world.publish('app.one', 0, 10)
  const app = world.connect()
  app.subscribe('lease-app.one')
  await app.says('app.one', 'subscribed')
  const cursor = app.client.cursors.get('lease-app.one')
  await world.publish('app.one', 10, 5_000)
  await app.gets('app.one', range(10, 5_000))
  const late = world.connect()
  state.notices.push({ kind: 'deleted', topic: 'app.one' })
  state.hidden.add('app.one')
  late.subscribe('lease-app.one', cursor)
  for (let turns = 0; turns < 50; turns++) await nextTurn()
  await world.publish('app.one', 5_000, 5_001)
  state.hidden.clear()
  await late.gets('app.one', range(10, 5_001))
  assert.deepEqual(late.client.ops('lease-app.one'), ['subscribed'])
})
