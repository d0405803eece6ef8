import assert from 'node:assert/strict'
import { test } from 'node:test'
import { claimOwnership } from '../../../src/control/claim.ts'
import { type RegistryRecord, registryEntry } from '../../../src/control/records.ts'
import type { Broker } from '../../../src/ports/broker.ts'
import { NAMES } from '../../names.ts'
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
