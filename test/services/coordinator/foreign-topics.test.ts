import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prefixFindings } from '../../../src/cli/doctor/prefixes.ts'
import { loadConfig } from '../../../src/config.ts'
import { claimOwnership } from '../../../src/control/claim.ts'
import { platformNames, type TopicPrefixes } from '../../../src/control/names.ts'
import { type RegistryRecord, registryEntry } from '../../../src/control/registry-records.ts'
import { createTopicDesk } from '../../../src/control/topic-desk.ts'
import { ensureTopics } from '../../../src/control/topics.ts'
import type { TapelineError } from '../../../src/errors.ts'
import type { Broker } from '../../../src/ports/broker.ts'
import type { Store } from '../../../src/ports/store.ts'
import { createMeter } from '../../../src/telemetry/meter.ts'
import { StartedParts } from '../../../src/topology/closing.ts'
import { layOn } from '../../../src/topology/foundation.ts'
import { NAMES } from '../../names.ts'
import { quietLog } from '../../quiet.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import { until } from '../until.ts'
import { NEVER, setUp, tradesOf } from './offices.ts'

/** As many leaders one after the other as a bad day has. */
const LEADERS = 5

/** Writes a stream to the registry as a leader of before did, without a lease. */
async function register(
  broker: Broker,
  topic: string,
  state: 'creating' | 'ready' | 'ending',
  topicId: string,
): Promise<void> {
  const { epoch, writer } = await claimOwnership(broker, NAMES, NAMES.leaderId, 'before', 0, NEVER)
  const record: RegistryRecord = {
    ...{ v: 1, instance: 'before', epoch, kind: 'stream', id: topic, topic, topicId, state },
    ...{ spec: { channel: 'trade', symbols: ['*'], exchanges: [] }, start: [0, 0], createdAt: 0 },
  }
  await writer.commit([{ topic: NAMES.registry, partition: 0, records: [registryEntry(record)] }], NEVER)
  await writer.close()
}

const namesOf = async (broker: Broker): Promise<string[]> =>
  (await broker.listTopics('', NEVER)).map(({ name }) => name).sort()

test('topics that the registry does not know stay through all leaders, whatever their names', async (t) => {
  const world = await setUp(t, { graceMs: 0 })
  const foreign = [
    'app.orders',
    'app.events',
    'app.01aaaaaaaaaaaaaaaaaaaaaaaa',
    'application',
    'tapeline-notes',
  ]
  const made = await world.broker.createTopics(
    foreign.map((name) => ({ name, partitions: 3, compacted: true })),
    NEVER,
  )
  for (let n = 0; n < LEADERS; n++) {
    const leader = await world.start(`leader-${n}`)
    const lease = await leader.desk.request({ leaseId: `l${n}`, app: 'a', ...tradesOf(`S${n}-USD`) }, NEVER)
    assert.equal(leader.leader.leading, true)
    await leader.desk.end(`l${n}`, 'a', NEVER)
    await until('the topic of its own stream is removed', async () => {
      return (await world.broker.topicIds([lease.topic], NEVER)).size === 0
    })
    await leader.broker.kill()
  }
  assert.deepEqual(await world.broker.describeTopics(foreign, NEVER), made)
})

test('a stream ends, and the topic that others have under its name by now stays', async (t) => {
  const world = await setUp(t, { graceMs: 0 })
  const name = `${NAMES.dynamic}${world.newId()}`
  const [made] = await world.broker.createTopics([{ name, partitions: 1 }], NEVER)
  await register(world.broker, name, 'ready', 'another-identity')
  const { registry } = await world.start('leader')
  await until('the stream is gone', () => registry.view.stream(name) === undefined)
  assert.deepEqual(await world.broker.describeTopics([name], NEVER), [made])
})

test('a stream that was not finished is removed with its topic, made or not', async (t) => {
  const world = await setUp(t, { graceMs: 0 })
  const before = await namesOf(world.broker)
  const [made, unmade, ending] = [1, 2, 3].map(() => `${NAMES.dynamic}${world.newId()}`) as [
    string,
    string,
    string,
  ]
  await world.broker.createTopics(
    [made, ending].map((name) => ({ name, partitions: 1, retentionMs: 1e9 })),
    NEVER,
  )
  await register(world.broker, made, 'creating', '')
  await register(world.broker, unmade, 'creating', '')
  await register(world.broker, ending, 'ending', '')
  const { registry } = await world.start('leader')
  await until('the streams are gone', () => [...registry.view.streams()].length === 0)
  assert.deepEqual(await namesOf(world.broker), before)
})

test('a topic that is there otherwise under the name of a stream that was not finished is left alone', async (t) => {
  const world = await setUp(t, { graceMs: 0 })
  const name = `${NAMES.dynamic}${world.newId()}`
  const [made] = await world.broker.createTopics([{ name, partitions: 7 }], NEVER)
  await register(world.broker, name, 'creating', '')
  const { registry } = await world.start('leader')
  await until('the stream is gone', () => registry.view.stream(name) === undefined)
  assert.deepEqual(await world.broker.describeTopics([name], NEVER), [made])
})

test('a person removes by name what belongs to no stream, and nothing else', async (t) => {
  const world = await setUp(t)
  const { registry, desk: streams } = await world.start('leader')
  const desk = createTopicDesk({ broker: world.broker, names: NAMES, registry })
  const lease = await streams.request({ leaseId: 'l', app: 'a', ...tradesOf('A-USD') }, NEVER)
  const [left, foreign] = [`${NAMES.dynamic}${world.newId()}`, 'app.orders']
  await world.broker.createTopics(
    [left, foreign].map((name) => ({ name, partitions: 1 })),
    NEVER,
  )
  assert.deepEqual(
    (await desk.unknown(NEVER)).map(({ name }) => name),
    [left],
  )
  await assert.rejects(desk.remove(foreign, NEVER), { code: 'INPUT_INVALID' })
  await assert.rejects(desk.remove(NAMES.registry, NEVER), { code: 'INPUT_INVALID' })
  await assert.rejects(desk.remove(lease.topic, NEVER), { code: 'TOPIC_IN_USE' })
  await assert.rejects(desk.remove(`${NAMES.dynamic}${world.newId()}`, NEVER), { code: 'TOPIC_UNKNOWN' })
  const removed = await desk.remove(left, NEVER)
  assert.equal(removed.name, left)
  assert.deepEqual(await desk.unknown(NEVER), [])
  assert.equal((await world.broker.describeTopics([foreign, lease.topic], NEVER)).length, 2)
})

test('a platform does not begin where another one has what its prefixes name; with others it does', async (t) => {
  const world = await setUp(t)
  const first = await world.start('leader')
  const lease = await first.desk.request({ leaseId: 'l', app: 'a', ...tradesOf('A-USD') }, NEVER)
  const begin = (prefixes: TopicPrefixes) =>
    ensureTopics(
      world.broker,
      { names: platformNames(prefixes), partitions: 2, retentionMs: 1e9, deadLetterRetentionMs: 1e9 },
      NEVER,
    )
  const second = { prefix: 'market-b', dynamicPrefix: 'app-b', controlPrefix: 'tapeline-b' }
  await assert.rejects(begin({ ...second, dynamicPrefix: 'app' }), { code: 'PREFIX_TAKEN' })
  await world.broker.publish(
    [{ topic: NAMES.fixed.trade, partition: 0, shared: true, records: [MARKER] }],
    NEVER,
  )
  await assert.rejects(begin({ ...second, prefix: 'market' }), { code: 'PREFIX_TAKEN' })
  assert.deepEqual(await world.broker.listTopics('tapeline-b', NEVER), [], 'nothing is made')

  await begin(second)
  await begin(second)
  assert.equal((await world.broker.describeTopics([lease.topic], NEVER)).length, 1)
  assert.equal(first.leader.leading, true)
})

test('a process whose control topics are those of a platform with other prefixes is refused, and names the setting', async (t) => {
  const world = await setUp(t)
  const first = await world.start('leader')
  await until('the leader leads', () => first.leader.leading)
  let migrations = 0
  const unused = (): never => assert.fail('it only migrates')
  const store: Store = {
    ...{ lanes: 1, chunkMicros: 1, rowMemory: unused, claim: unused, write: unused, trades: unused },
    ...{ quotes: unused, candles: unused, markets: unused, query: unused, tendJobs: unused },
    migrate: async () => {
      migrations++
      return { applied: [], current: '', missing: [] }
    },
    ping: async () => {},
    close: async () => {},
  }
  const begin = async (prefixes: Partial<TopicPrefixes>): Promise<void> => {
    const started = new StartedParts(quietLog)
    const config = loadConfig({ environment: {}, flags: { topics: { ...prefixes, partitions: 2 } } })
    const ground = {
      config,
      instance: 'second',
      mayStart: async () => {},
      onTransition() {},
      tracer: undefined,
    }
    try {
      const engines = { broker: world.broker, store }
      await layOn(engines, { ...ground, started, log: quietLog, meter: createMeter() }, NEVER)
    } finally {
      await started.close()
    }
  }
  const before = await namesOf(world.broker)
  await assert.rejects(begin({ prefix: 'theirs' }), (error: TapelineError) => {
    assert.equal(error.code, 'PREFIX_TAKEN')
    assert.match(error.message, /tapeline\.registry .* topics\.prefix is market, and here it is theirs$/)
    assert.match(error.remedy, /set topics\.prefix to market\..*another topics\.controlPrefix than tapeline/)
    return true
  })
  await assert.rejects(begin({ dynamicPrefix: 'theirs' }), {
    code: 'PREFIX_TAKEN',
    message:
      'tapeline.registry is that of a platform whose topics.dynamicPrefix is app, and here it is theirs',
  })
  assert.deepEqual(await namesOf(world.broker), before, 'nothing is made')
  assert.equal(migrations, 0, 'nor anything in the database')
  const config = (prefixes: Partial<TopicPrefixes>) =>
    loadConfig({ environment: {}, flags: { topics: prefixes } })
  const [foreseen] = await prefixFindings(config({ prefix: 'theirs' }), world.broker, NEVER)
  assert.match(
    foreseen?.detail ?? '',
    /^PREFIX_TAKEN: tapeline\.registry .* topics\.prefix is market, and here/,
  )
  assert.match(foreseen?.remedy ?? '', /set topics\.prefix to market\./)
  assert.deepEqual(await prefixFindings(config({}), world.broker, NEVER), [])
  await begin({})
  assert.equal(migrations, 1)
  await begin({ prefix: 'theirs', dynamicPrefix: 'their-streams', controlPrefix: 'their-control' })
  assert.equal(first.leader.leading, true)
})

test('a registry that was emptied or made anew beside fixed topics in use is refused', async (t) => {
  const broker = new MemoryBroker(Date.now)
  t.after(() => broker.close())
  const begin = () =>
    ensureTopics(broker, { names: NAMES, partitions: 2, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }, NEVER)
  await begin()
  await begin()
  await broker.publish([{ topic: NAMES.fixed.trade, partition: 0, records: [MARKER] }], NEVER)
  await assert.rejects(begin(), {
    code: 'PREFIX_TAKEN',
    message: 'market.trades is in use, but nothing was ever written to tapeline.registry',
  })
})

const MARKER = { key: null, value: null, headers: { v: 1, kind: 'marker', shard: 0, epoch: 0 } } as const

test('a process that looked before another one began the platform, and goes on later, takes its part', async (t) => {
  const world = await setUp(t)
  const { broker } = world
  const leader = await world.start('leader')
  await leader.desk.request({ leaseId: 'l', app: 'a', ...tradesOf('A-USD') }, NEVER)
  let looks = 0
  const late = Object.assign(Object.create(broker) as Broker, {
    describeTopics: async (...call: Parameters<Broker['describeTopics']>) =>
      looks++ === 0 ? [] : broker.describeTopics(...call),
    listTopics: broker.listTopics.bind(broker),
    createTopics: broker.createTopics.bind(broker),
  })
  const settings = { names: NAMES, partitions: 2, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  const topics = await ensureTopics(late, settings, NEVER)
  assert.ok(topics.has(NAMES.registry))
})
