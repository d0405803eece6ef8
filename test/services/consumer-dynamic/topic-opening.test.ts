import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { delay } from '../../../src/async/timers.ts'
import { TapelineError } from '../../../src/errors.ts'
import { FollowedTopic, type TopicListener } from '../../../src/services/consumer-dynamic/topic-hub.ts'
import { createTopicOpening } from '../../../src/services/consumer-dynamic/topic-opening.ts'
import { quietLog } from '../../quiet.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import { hasten } from '../fast-time.ts'

const NEVER = new AbortController().signal

/** Topics on a broker, the first of which somebody follows, and what the broker is asked for. */
async function setUp(t: TestContext, names: readonly string[]) {
  hasten(t, 10)
  const broker = new MemoryBroker(Date.now)
  await broker.createTopics(
    names.map((name) => ({ name, partitions: 1 })),
    NEVER,
  )
  const looks: (readonly string[])[] = []
  const { describeTopics } = broker
  const refused = new Set<string>()
  broker.describeTopics = async (asked, signal) => {
    looks.push(asked)
    if (asked.some((name) => refused.has(name))) throw new TapelineError('BROKER_UNAVAILABLE', 'no answer')
    return describeTopics.call(broker, asked, signal)
  }
  const stop = new AbortController()
  const reader = broker.openMemoryReader()
  const followed = new Map<string, FollowedTopic>()
  const opening = createTopicOpening({
    ...{ broker, log: quietLog, stop: stop.signal, reader: () => reader },
    followed: (topic) => followed.get(topic),
  })
  t.after(async () => {
    stop.abort()
    await opening.close()
    await broker.close()
  })
  const begun: string[] = []
  const resets: (string | null)[] = []
  const listener: TopicListener = {
    begin: ({ topic, nextOffset }) => void begun.push(`${topic}@${nextOffset}`),
    take: ({ reset }) => void resets.push(reset),
  }
  const follow = (name: string, id = broker.topics.get(name)?.id ?? ''): FollowedTopic => {
    const topic = new FollowedTopic(name, id)
    topic.listeners.add(listener)
    followed.set(name, topic)
    opening.add(topic)
    return topic
  }
  return { broker, opening, looks, refused, followed, begun, resets, follow }
}

test('what is asked for in one go is opened together, each from its end on', async (t) => {
  const { broker, opening, looks, begun, follow } = await setUp(t, ['a', 'b', 'c'])
  const record = { key: null, value: Buffer.from('1'), headers: { v: 1, kind: 'event' } } as const
  await broker.publish([{ topic: 'b', partition: 0, records: [record, record] }], NEVER)
  for (const name of ['a', 'b', 'c']) follow(name)
  const outcomes = await Promise.all(['a', 'b', 'c'].map((name) => opening.outcome(name, NEVER)))
  assert.deepEqual(outcomes, [undefined, undefined, undefined])
  assert.deepEqual(looks, [['a', 'b', 'c']])
  assert.deepEqual(begun, ['a@0', 'b@2', 'c@0'])
})

test('after a failure together each is tried by itself, and one that fails keeps no other waiting', async (t) => {
  const { opening, looks, refused, begun, follow } = await setUp(t, ['good', 'bad'])
  refused.add('bad')
  follow('good')
  follow('bad')
  assert.equal((await opening.outcome('good', NEVER))?.code, 'BROKER_UNAVAILABLE')
  assert.equal(await opening.outcome('good', NEVER), undefined)
  assert.equal((await opening.outcome('bad', NEVER))?.code, 'BROKER_UNAVAILABLE')
  assert.deepEqual(begun, ['good@0'])
  assert.deepEqual(looks.slice(0, 3), [['good', 'bad'], ['good'], ['bad']])
  refused.clear()
  assert.equal(await opening.outcome('bad', NEVER), undefined)
  assert.deepEqual(begun, ['good@0', 'bad@0'])
})

test('one of a hundred that fails has the others go in smaller groups, not each by itself', async (t) => {
  const names = Array.from({ length: 100 }, (_, i) => `t${i}`)
  const { opening, looks, refused, begun, follow } = await setUp(t, names)
  refused.add('t42')
  for (const name of names) follow(name)
  for (const name of names) {
    if (name === 't42') continue
    while ((await opening.outcome(name, NEVER)) !== undefined);
  }
  assert.equal(begun.length, 99)
  assert.ok(
    looks.filter((asked) => !(asked.length === 1 && refused.has(asked[0] ?? ''))).length < 30,
    `${looks.length} looks`,
  )
})

test('a broker that answers slowly is given more time with each try', async (t) => {
  const { broker, opening, begun, follow } = await setUp(t, ['a'])
  const { describeTopics } = broker
  broker.describeTopics = async (asked, signal) => {
    await delay(12_000, signal)
    return describeTopics.call(broker, asked, signal)
  }
  follow('a')
  const outcomes: (string | undefined)[] = []
  do outcomes.push((await opening.outcome('a', NEVER))?.code)
  while (outcomes.at(-1) !== undefined && outcomes.length < 5)
  assert.deepEqual(outcomes, ['BROKER_UNAVAILABLE', 'BROKER_UNAVAILABLE', undefined])
  assert.deepEqual(begun, ['a@0'])
})

test('a topic that the broker does not show is missing, one of another identity is not ours', async (t) => {
  const { opening, begun, follow } = await setUp(t, ['made anew'])
  follow('missing', 'some id')
  follow('made anew', 'another id')
  assert.equal((await opening.outcome('missing', NEVER))?.code, 'TOPIC_MISSING')
  assert.equal((await opening.outcome('made anew', NEVER))?.code, 'TOPIC_REPLACED')
  assert.deepEqual(begun, [])
})

test('the readers of a topic that was made anew are told once, and where it went on', async (t) => {
  const { opening, broker, resets, follow } = await setUp(t, ['a'])
  const topic = follow('a')
  await opening.outcome('a', NEVER)
  const [former] = await broker.describeTopics(['a'], NEVER)
  assert.ok(former)
  await broker.deleteTopics([former], NEVER)
  await broker.createTopics([{ name: 'a', partitions: 1 }], NEVER)
  for (let times = 0; times < 2; times++) {
    opening.add(topic)
    assert.equal((await opening.outcome('a', NEVER))?.code, 'TOPIC_REPLACED')
  }
  assert.deepEqual([resets.length, topic.isReplaced], [1, true])
})

test('whoever leaves a topic, or gives up, waits no longer', async (t) => {
  const { opening, refused, follow } = await setUp(t, ['a'])
  refused.add('a')
  const topic = follow('a')
  const stop = new AbortController()
  const givenUp = opening.outcome('a', stop.signal)
  stop.abort()
  await assert.rejects(givenUp, { name: 'AbortError' })
  const left = opening.outcome('a', NEVER)
  opening.remove(topic)
  assert.equal(await left, undefined)
  assert.equal(await opening.outcome('a', NEVER), undefined, 'nothing is under way')
})
