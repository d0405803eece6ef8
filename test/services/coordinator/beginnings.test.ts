import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeCursor } from '../../../src/domain/cursor.ts'
import { parseStreamRequest, type StreamFrom } from '../../../src/domain/stream-spec.ts'
import { beginningOf } from '../../../src/gateway/beginning.ts'
import { NAMES } from '../../names.ts'
import { NEVER, setUp } from './offices.ts'

const FIXED = NAMES.fixed.trade

/** A platform whose fixed topic of trades has two partitions, and the streams that are asked of it. */
async function openOffice(t: Parameters<typeof setUp>[0]) {
  const world = await setUp(t)
  const { desk, registry } = await world.start('a')
  let leases = 0
  return {
    ...world,
    async publish(partition: number, records: number): Promise<void> {
      const record = { key: 'k', value: Buffer.from('{}'), headers: { v: 1, kind: 'event' } } as const
      const entry = { topic: FIXED, partition, records: Array.from({ length: records }, () => record) }
      await world.broker.publish([entry], NEVER)
    },
    /** Asks for a stream; gives its lease, and where its topic begins. */
    async ask(from?: StreamFrom, symbol = 'BTC-USD') {
      const { spec } = parseStreamRequest({ channel: 'trade', symbols: [symbol] }, 0)
      const wanted = { leaseId: `lease-${leases++}`, app: 'app', spec, ttlMs: 0 }
      const lease = await desk.request({ ...wanted, ...(from !== undefined && { from }) }, NEVER)
      return { ...lease, topicStart: registry.view.stream(lease.topic)?.start }
    },
  }
}

/** A time that lies after all that was published before, and in front of all that comes. */
async function between(): Promise<number> {
  const before = Date.now()
  while (Date.now() <= before) await new Promise(setImmediate)
  return Date.now()
}

test('a stream begins at the first record of each partition that was published at its time or later', async (t) => {
  const { publish, ask } = await openOffice(t)
  await publish(0, 3)
  await publish(1, 2)
  const time = await between()
  await publish(0, 4)
  const { topicStart, opensTopic, start } = await ask(time)
  assert.deepEqual(topicStart, [3, 2])
  assert.deepEqual([opensTopic, start], [true, undefined], 'the whole topic is its own')
})

test('earliest is all that the fixed topics have, and live what comes next', async (t) => {
  const { publish, ask } = await openOffice(t)
  await publish(0, 3)
  assert.deepEqual((await ask('earliest', 'A-USD')).topicStart, [0, 0])
  assert.deepEqual((await ask(undefined, 'B-USD')).topicStart, [3, 0])
})

test('an equal stream that reaches back far enough is shared, and the lease begins in the middle of it', async (t) => {
  const { publish, ask } = await openOffice(t)
  await publish(0, 3)
  const time = await between()
  await publish(0, 2)
  const whole = await ask('earliest')
  const later = await ask(time)
  assert.equal(later.topic, whole.topic)
  assert.deepEqual([later.opensTopic, later.start], [false, [3, 0]])
  const cursor = decodeCursor(beginningOf(later, NAMES.fixed) ?? assert.fail(), FIXED)
  assert.deepEqual(
    cursor.topics.map(({ offset, memory }) => ({ offset, positions: memory?.positions })),
    [{ offset: 0, positions: { [FIXED]: { 0: [2, Number.MAX_SAFE_INTEGER] } } }],
  )
  const live = await ask()
  assert.equal(live.topic, whole.topic)
  assert.equal(beginningOf(live, NAMES.fixed), undefined)
})

test('one that does not reach back far enough is left alone, and further requests share the one that does', async (t) => {
  const { publish, ask } = await openOffice(t)
  await publish(0, 3)
  const live = await ask()
  const whole = await ask('earliest')
  assert.notEqual(whole.topic, live.topic)
  assert.equal((await ask('earliest')).topic, whole.topic)
  assert.equal((await ask()).topic, whole.topic)
})

test('a topic that has lost its first records is not shared with who asks for them', async (t) => {
  const { publish, ask, broker } = await openOffice(t)
  await publish(0, 3)
  const whole = await ask('earliest')
  const describe = broker.describeTopics.bind(broker)
  broker.describeTopics = async (names, signal) =>
    (await describe(names, signal)).map((topic) =>
      topic.name === whole.topic ? { ...topic, offsets: [{ earliest: 5, end: 9 }] } : topic,
    )
  const again = await ask('earliest')
  assert.notEqual(again.topic, whole.topic)
  assert.deepEqual(again.topicStart, [0, 0])
})
