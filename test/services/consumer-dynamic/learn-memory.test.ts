import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Broker, OutgoingRecord, Reader } from '../../../src/ports/broker.ts'
import { learnMemories } from '../../../src/services/consumer-dynamic/learn-memory.ts'
import { quietLog } from '../../quiet.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'

const NEVER = new AbortController().signal
const FIXED = 'market.trades'

const event = (shard: number, epoch: number, offset: number): OutgoingRecord => ({
  ...{ key: 'k', value: Buffer.from('{}') },
  headers: { v: 1, kind: 'event', shard, epoch, position: { topic: FIXED, partition: shard, offset } },
})

async function brokerOf(topics: Readonly<Record<string, readonly OutgoingRecord[]>>) {
  const broker = new MemoryBroker(Date.now)
  const names = Object.keys(topics)
  await broker.createTopics(
    names.map((name) => ({ name, partitions: 1 })),
    NEVER,
  )
  for (const [topic, records] of Object.entries(topics))
    if (records.length > 0) await broker.publish([{ topic, partition: 0, records }], NEVER)
  return broker
}

/** The same broker, with how many records its readers have given of each topic. */
function counting(broker: MemoryBroker) {
  const read: Record<string, number> = {}
  const openReader: Broker['openReader'] = async (signal) => {
    const reader = await broker.openReader(signal)
    const poll: Reader['poll'] = async (options, stop) => {
      const fetches = await reader.poll(options, stop)
      for (const fetch of fetches)
        if (fetch.kind === 'records') read[fetch.topic] = (read[fetch.topic] ?? 0) + fetch.records.length
      return fetches
    }
    return {
      poll,
      assign: (positions, stop) => reader.assign(positions, stop),
      unassign: (partitions, stop) => reader.unassign(partitions, stop),
      close: (stop) => reader.close(stop),
    }
  }
  const describeTopics: Broker['describeTopics'] = (...call) => broker.describeTopics(...call)
  return { broker: { openReader, describeTopics }, read }
}

test('a reader that begins at an end remembers the epochs and positions in front of it', async () => {
  const broker = await brokerOf({
    one: [event(0, 3, 10), event(1, 4, 20), event(0, 3, 11), event(0, 2, 12), event(0, 3, 99)],
    none: [],
  })
  const memories = await learnMemories(
    { broker, log: quietLog },
    new Map([
      ['one', 4],
      ['none', 0],
    ]),
    NEVER,
  )
  assert.deepEqual(memories.get('one'), {
    memory: { epochs: { 0: 3, 1: 4 }, positions: { [FIXED]: { 0: [11, 0], 1: [20, 0] } } },
    isRotten: false,
  })
  assert.deepEqual(memories.get('none'), { memory: { epochs: {}, positions: {} }, isRotten: false })
})

test('only what lies closely in front of the end is read', async () => {
  const records = Array.from({ length: 3_000 }, (_, i) => event(i < 900 ? 7 : 0, 1, i))
  const { broker, read } = counting(await brokerOf({ one: records, short: records.slice(0, 30) }))
  const ends = new Map([
    ['one', 3_000],
    ['short', 30],
  ])
  const learned = await learnMemories({ broker, log: quietLog }, ends, NEVER)
  assert.deepEqual(read, { one: 2_000, short: 30 })
  assert.deepEqual(learned.get('one')?.memory, {
    epochs: { 0: 1 },
    positions: { [FIXED]: { 0: [2_999, 0] } },
  })
})

test('an owner that wrote last long before is known, so that what its former one writes late does not count', async () => {
  const quiet = Array.from({ length: 1_500 }, (_, i) => event(0, 1, i))
  const broker = await brokerOf({ one: [event(1, 9, 100), ...quiet, event(1, 8, 101)] })
  const learned = await learnMemories({ broker, log: quietLog }, new Map([['one', 1_502]]), NEVER)
  const { epochs, positions } = learned.get('one')?.memory ?? assert.fail()
  assert.deepEqual([epochs[1], positions[FIXED]?.[1]], [9, [100, 0]])
})

test('a topic that is not there is an error', async () => {
  const broker = await brokerOf({})
  await assert.rejects(learnMemories({ broker, log: quietLog }, new Map([['gone', 5]]), NEVER), {
    code: 'TOPIC_UNKNOWN',
  })
})

test('a batch that nobody can read is told with its offsets', async () => {
  const broker = await brokerOf({ one: [event(0, 3, 10)] })
  await broker.publish([{ topic: 'one', partition: 0, records: [event(0, 3, 11)] }], NEVER)
  broker.topics.get('one')?.partition(0).rot(0)
  const errors: object[] = []
  const log = { ...quietLog, error: (fields: object) => errors.push(fields) }
  const learned = await learnMemories({ broker, log }, new Map([['one', 2]]), NEVER)
  assert.deepEqual(learned.get('one')?.isRotten, true)
  assert.deepEqual(errors, [
    { topic: 'one', offset: 1, nextOffset: 2, code: 'BATCH_UNDECODABLE', reason: 'its checksum is wrong' },
  ])
})
