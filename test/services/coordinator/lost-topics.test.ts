import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LeaseChange } from '../../../src/ports/streams.ts'
import { disturb } from '../disturbances.ts'
import { until } from '../until.ts'
import { NEVER, setUp, tradesOf } from './offices.ts'

type World = Awaited<ReturnType<typeof setUp>>
type Process = Awaited<ReturnType<World['start']>>

/** The half minute of looks passes in half a second. */
const speed = 60

const ask = ({ desk }: Process, leaseId: string, symbol: string) =>
  desk.request({ leaseId, app: 'app', ...tradesOf(symbol) }, NEVER)

const topicsOf = async ({ broker }: World): Promise<string[]> =>
  (await broker.listTopics('app.', NEVER)).map(({ name }) => name)

test('a topic that somebody deleted ends its leases with a reason, raises an alert, and the next request makes a new one', async (t) => {
  const world = await setUp(t)
  const process = await world.start('a', { speed })
  const [lost, kept] = [await ask(process, 'lost', 'A-USD'), await ask(process, 'kept', 'B-USD')]
  const shared = await ask(process, 'shared', 'A-USD')
  assert.equal(shared.topic, lost.topic)
  const changes: LeaseChange[] = []
  process.desk.watch((change) => changes.push(change))
  await world.broker.deleteTopics([{ name: lost.topic, id: lost.topicId }], NEVER)

  await until('an alert is raised', () => process.alerts.list().some(({ code }) => code === 'TOPIC_MISSING'))
  await until('both leases have ended', () => changes.filter(({ kind }) => kind === 'ended').length === 2)
  assert.deepEqual(
    changes.map((change) => (change.kind === 'ended' ? [change.leaseId, change.reason] : [])),
    [
      ['lost', 'somebody else removed its topic'],
      ['shared', 'somebody else removed its topic'],
    ],
  )
  assert.match(process.alerts.list()[0]?.message ?? '', new RegExp(lost.topic), 'it goes on to tell')
  const again = await ask(process, 'again', 'A-USD')
  assert.notEqual(again.topic, lost.topic)
  assert.deepEqual((await topicsOf(world)).toSorted(), [again.topic, kept.topic].toSorted())
  assert.equal(process.desk.get('kept')?.topic, kept.topic)
  await until('nothing of it is left', () => process.registry.view.stream(lost.topic) === undefined)
})

test('a topic that the broker does not show for some looks, or whose looks fail, is waited for', async (t) => {
  const world = await setUp(t)
  const process = await world.start('a', { speed })
  const state = disturb(process.broker)
  const lease = await ask(process, 'lease', 'A-USD')
  const { topicIds } = process.broker
  let looks = 0
  process.broker.topicIds = (...call) => {
    looks++
    return topicIds(...call)
  }
  state.hidden.add(lease.topic)
  await until('it is told', () => process.alerts.list().length > 0)
  // Looks that fail in between prove nothing, however many.
  let failures = 0
  process.broker.topicIds = async () => {
    failures++
    throw new Error('the broker is away')
  }
  await until('many have failed', () => failures > 10)
  process.broker.topicIds = topicIds
  state.hidden.clear()
  await until('it is over', () => process.alerts.list().length === 0)
  assert.ok(looks > 1 && looks < 15, `${looks}`)
  assert.equal(process.desk.get('lease')?.topic, lease.topic)
})

test('a topic that others made anew ends its stream, and is left alone', async (t) => {
  const world = await setUp(t)
  const process = await world.start('a', { speed })
  const state = disturb(process.broker)
  const lease = await ask(process, 'lease', 'A-USD')
  const deleted: string[] = []
  const { deleteTopics } = process.broker
  process.broker.deleteTopics = async (topics, signal) => {
    // The port passes over topics of another identity; here it is the broker that only says so.
    deleted.push(...topics.filter(({ name }) => !state.replaced.has(name)).map(({ name }) => name))
    await deleteTopics([], signal)
  }
  state.replaced.add(lease.topic)
  await until('an alert is raised', () => process.alerts.list().some(({ code }) => code === 'TOPIC_REPLACED'))
  await until('the lease has ended', () => process.desk.get('lease') === undefined)
  const again = await ask(process, 'again', 'A-USD')
  assert.notEqual(again.topic, lease.topic)
  assert.deepEqual(deleted, [])
  assert.ok((await topicsOf(world)).includes(lease.topic))
})
