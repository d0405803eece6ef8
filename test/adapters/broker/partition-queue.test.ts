import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PartitionQueue } from '../../../src/adapters/broker/kafka/partition-queue.ts'
import type { BatchOutcome } from '../../../src/adapters/broker/kafka/produce-outcome.ts'
import { outcomeOf } from '../../../src/adapters/broker/kafka/produce-outcome.ts'
import { SendCall } from '../../../src/adapters/broker/kafka/send-call.ts'
import { TapelineError } from '../../../src/errors.ts'
import { textRecord } from '../../contract/broker-fixtures.ts'

const FIRST = { id: 7n, epoch: 0 }
const SECOND = { id: 8n, epoch: 0 }
const error = new TapelineError('BROKER_UNAVAILABLE', 'refused')
const stored = (baseOffset: number): BatchOutcome => ({ kind: 'stored', baseOffset })
const inDoubt: BatchOutcome = { kind: 'in-doubt', error }

/** Where a batch has the producer id and the sequence number: https://kafka.apache.org/documentation/#recordbatch */
const idOf = (bytes: Buffer | undefined) => bytes?.readBigInt64BE(43)
const sequenceOf = (bytes: Buffer | undefined) => bytes?.readInt32BE(53)
const countOf = (bytes: Buffer | undefined) => bytes?.readInt32BE(57)

const newQueue = () => new PartitionQueue({ topic: 't', partition: 0, topicId: 'id' }, 'none')

function add(queue: PartitionQueue, ...texts: string[]): SendCall {
  const records = texts.map((text) => textRecord(text))
  const call = new SendCall([{ topic: 't', partition: 0, records }], 1)
  call.result.catch(() => undefined)
  queue.add({ call, entry: 0, records, bytes: 100 * records.length }, 0)
  return call
}

test('what waits meanwhile goes together, and each caller hears where its own begins', async () => {
  const queue = newQueue()
  const first = add(queue, 'a', 'b')
  assert.equal(countOf(queue.seal(FIRST)), 2)
  const [second, third] = [add(queue, 'c'), add(queue, 'd', 'e')]
  queue.settle(stored(10), 0)
  const bytes = queue.seal(FIRST)
  assert.deepEqual([countOf(bytes), sequenceOf(bytes)], [3, 2])
  queue.settle(stored(12), 0)
  const offsets = await Promise.all(
    [first, second, third].map(async (call) => (await call.result)[0]?.baseOffset),
  )
  assert.deepEqual(offsets, [10, 12, 13])
  assert.ok(queue.isIdle)
})

test('a batch in doubt is sent again unchanged, also under a new producer id and without its caller', () => {
  const queue = newQueue()
  const call = add(queue, 'a')
  const bytes = queue.seal(FIRST)
  queue.settle(inDoubt, 0)
  call.fail(error)
  add(queue, 'b')
  queue.dropAbandoned()
  assert.equal(queue.seal(SECOND), bytes)
  queue.settle(stored(0), 0)
  const next = queue.seal(SECOND)
  assert.deepEqual([idOf(next), sequenceOf(next), countOf(next)], [8n, 0, 1])
})

test('what no request has stored is not sent when its caller has given up', () => {
  const queue = newQueue()
  const call = add(queue, 'a')
  queue.seal(FIRST)
  queue.settle(inDoubt, 0)
  queue.settle({ kind: 'out-of-sequence', error }, 0)
  add(queue, 'b')
  call.fail(error)
  queue.dropAbandoned()
  const bytes = queue.seal(SECOND)
  assert.deepEqual([sequenceOf(bytes), countOf(bytes)], [0, 1])
  assert.match(bytes?.toString('latin1') ?? '', /b/)
})

test('what is refused after doubt has an unknown outcome: its shares do not go again one by one', async () => {
  const queue = newQueue()
  const calls = [add(queue, 'a'), add(queue, 'b')]
  queue.seal(FIRST)
  queue.settle(inDoubt, 0)
  assert.equal(queue.settle({ kind: 'refused', error: new TapelineError('INPUT_INVALID', 'x') }, 0), true)
  for (const call of calls) await assert.rejects(call.result, { code: 'BROKER_UNAVAILABLE' })
  assert.ok(queue.isIdle)
})

test('out of sequence: the same records go again from 0 under a new producer id', () => {
  const queue = newQueue()
  add(queue, 'a')
  queue.seal(FIRST)
  queue.settle(stored(0), 0)
  add(queue, 'b')
  assert.equal(sequenceOf(queue.seal(FIRST)), 1)
  assert.equal(queue.settle({ kind: 'out-of-sequence', error }, 0), true)
  queue.dropAbandoned()
  const bytes = queue.seal(SECOND)
  assert.deepEqual([idOf(bytes), sequenceOf(bytes), countOf(bytes)], [8n, 0, 1])
})

test('where one of several is refused, the others are stored, and the sequence has no hole', async () => {
  const queue = newQueue()
  const calls = [add(queue, 'a'), add(queue, 'bad'), add(queue, 'c')]
  assert.equal(countOf(queue.seal(FIRST)), 3)
  queue.settle({ kind: 'refused', error }, 0)
  for (const offset of [0, 1]) {
    const bytes = queue.seal(FIRST)
    assert.equal(countOf(bytes), 1)
    assert.equal(sequenceOf(bytes), offset)
    const isBad = /bad/.test(bytes?.toString('latin1') ?? '')
    if (!isBad) {
      queue.settle(stored(offset), 0)
      continue
    }
    queue.settle({ kind: 'refused', error }, 0)
    assert.equal(sequenceOf(queue.seal(FIRST)), offset)
    queue.settle(stored(offset), 0)
  }
  const outcomes = await Promise.allSettled(calls.map(({ result }) => result))
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.ok(queue.isIdle)
})

test('an outcome that is never known ends the batch for its callers, and the next begins a new producer id', async () => {
  const queue = newQueue()
  const call = add(queue, 'a')
  queue.seal(FIRST)
  assert.equal(queue.settle({ kind: 'unknown', error }, 0), true)
  await assert.rejects(call.result, { code: 'BROKER_UNAVAILABLE' })
  add(queue, 'b')
  assert.equal(sequenceOf(queue.seal(SECOND)), 0)
})

test('a writer in between is told: the records of a call no longer follow each other', async () => {
  const call = new SendCall([{ topic: 't', partition: 0, records: [textRecord('a'), textRecord('b')] }], 2)
  call.stored(0, 5, 1)
  call.stored(0, 7, 1)
  await assert.rejects(call.result, { code: 'BROKER_UNAVAILABLE', message: /another writer/ })
})

for (const [errorCode, name] of [
  [10, 'MESSAGE_TOO_LARGE'],
  [18, 'RECORD_LIST_TOO_LARGE'],
] as const) {
  test(`${name}: the batch goes in halves under the same numbers, and only the record that alone is too large fails`, async () => {
    const part = { index: 0, errorCode, baseOffset: -1n, logAppendTimeMs: -1n }
    const refused = outcomeOf('t', 0, { responses: [{ name: 't', partitionResponses: [part] }] })
    const queue = newQueue()
    const [first, second] = [add(queue, 'a', 'b', 'c', 'd'), add(queue, 'large')]
    const sizes: number[] = []
    let stores = 0
    for (let round = 0; !queue.isIdle && round < 20; round++) {
      const bytes = queue.seal(FIRST)
      const count = countOf(bytes) ?? 0
      sizes.push(count)
      assert.equal(sequenceOf(bytes), stores, 'what was refused has used no number')
      const isTooLarge = count > 2 || bytes?.includes('large') === true
      queue.settle(isTooLarge ? refused : stored(stores), 0)
      if (!isTooLarge) stores += count
    }
    assert.deepEqual(await first.result, [{ topic: 't', partition: 0, baseOffset: 0 }])
    await assert.rejects(second.result, { code: 'RECORD_TOO_LARGE' })
    assert.ok(sizes[0] === 5 && stores === 4 && queue.isIdle, `${sizes}`)
    const next = add(queue, 'next')
    queue.seal(FIRST)
    queue.settle(stored(4), 0)
    assert.equal((await next.result)[0]?.baseOffset, 4)
  })
}
