import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PartitionQueue } from '../../../src/adapters/broker/kafka/partition-queue.ts'
import { PartitionQueues } from '../../../src/adapters/broker/kafka/partition-queues.ts'
import { SendCall } from '../../../src/adapters/broker/kafka/send-call.ts'

const HOUR_MS = 3_600_000
const place = (i: number) => ({ topic: `app.${i}`, partition: 0 })
const queueOf = (i: number): PartitionQueue => new PartitionQueue({ ...place(i), topicId: `T${i}` }, 'none')

const setUp = (count: number) => {
  const clock = { now: 0 }
  const queues = new PartitionQueues(() => clock.now)
  const made = Array.from({ length: count }, (_, i) => queueOf(i))
  for (const queue of made) queues.set(queue)
  return { clock, queues, made }
}

test('20,000 partitions that are written in turn keep their queues, and ask for no other producer id', () => {
  const { clock, queues, made } = setUp(20_000)
  let renewals = 0
  for (let round = 0; round < 10; round++) {
    clock.now += HOUR_MS / 2
    for (const [i, queue] of made.entries()) {
      assert.equal(queues.get(place(i)), queue)
      if (queues.forgetUnused()) renewals++
    }
  }
  assert.equal(renewals, 0)
})

test('partitions that nobody writes any more go, and only then another producer id is needed', () => {
  const { clock, queues, made } = setUp(100)
  const renewals = [1, 2, 3].map(() => {
    clock.now += HOUR_MS
    for (let i = 0; i < 10; i++) queues.get(place(i))
    return queues.forgetUnused()
  })
  assert.deepEqual(renewals, [false, true, false])
  assert.deepEqual([...queues.values()], made.slice(0, 10))
  assert.equal(queues.get(place(10)), undefined)
})

test('what waits to be sent stays, however long that takes', () => {
  const { clock, queues, made } = setUp(1)
  const call = new SendCall([{ ...place(0), records: [] }], 1)
  call.result.catch(() => undefined)
  made[0]?.add({ call, entry: 0, records: [], bytes: 0 }, 0)
  for (let hour = 0; hour < 3; hour++) {
    clock.now += HOUR_MS
    assert.equal(queues.forgetUnused(), false)
  }
  assert.equal(queues.get(place(0)), made[0])
})
