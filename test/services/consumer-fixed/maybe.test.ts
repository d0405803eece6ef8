import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../until.ts'
import { NEVER, setUp, TOPICS, tradeRecord } from './consumers.ts'

test('a trade that may be a repeat goes to the store as one that enters again, the others as they are', async (t) => {
  const world = await setUp(t)
  const doubtful = tradeRecord(0, 'doubtful')
  const value = JSON.stringify({ ...JSON.parse(Buffer.from(doubtful.value ?? []).toString()), maybe: true })
  const records = [
    tradeRecord(0, 'first'),
    { ...doubtful, value: Buffer.from(value) },
    tradeRecord(0, 'last'),
  ]
  await world.broker.publish([{ topic: TOPICS.trade, partition: 0, records }], NEVER)
  const segments = new Map<boolean, number>()
  world.store.before = async (writes) => {
    for (const { reentering, rows } of writes.flatMap((write) => write.segments))
      segments.set(reentering, (segments.get(reentering) ?? 0) + rows)
  }
  await world.start()
  await until('all are stored', () => world.store.tradeIds.length === 3)
  assert.deepEqual([segments.get(false), segments.get(true)], [2, 1])
})
