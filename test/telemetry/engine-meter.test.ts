import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openEmbeddedBroker } from '../../src/adapters/broker/embedded.ts'
import { TupleMemory } from '../../src/adapters/store/tuple-memory.ts'
import { TapelineError } from '../../src/errors.ts'
import type { Store } from '../../src/ports/store.ts'
import { meterBroker, meterStore } from '../../src/telemetry/engine-meter.ts'
import { createMeter } from '../../src/telemetry/meter.ts'

const NEVER = new AbortController().signal

test('failures of the broker are counted by code, and passed on; an abort is none', async (t) => {
  const meter = createMeter()
  const inner = await openEmbeddedBroker({ folder: ':memory:' })
  t.after(() => inner.close())
  const broker = meterBroker(inner, meter)
  const entry = { topic: 'nowhere', partition: 0, records: [] }
  await assert.rejects(broker.publish([{ ...entry, records: [RECORD] }], NEVER), { code: 'TOPIC_UNKNOWN' })
  const reader = await broker.openReader(AbortSignal.timeout(30_000))
  await assert.rejects(
    reader.assign([{ topic: 'nowhere', partition: 0, offset: 0 }], AbortSignal.timeout(30_000)),
    {
      code: 'TOPIC_UNKNOWN',
    },
  )
  await broker.createTopics([{ name: 'here', partitions: 1 }], NEVER)
  await reader.assign([{ topic: 'here', partition: 0, offset: 0 }], AbortSignal.timeout(30_000))
  const stop = new AbortController()
  const polling = reader.poll({ maxRecords: 1, waitMs: 10_000 }, stop.signal)
  stop.abort()
  await assert.rejects(polling, { name: 'AbortError' })
  await reader.close(AbortSignal.timeout(30_000))
  const former = await broker.takeOver('id', NEVER)
  await broker.takeOver('id', NEVER)
  await assert.rejects(former.commit([{ ...entry, topic: 'here', records: [RECORD] }], NEVER), {
    code: 'FENCED',
  })
  const text = await meter.render()
  assert.match(text, /^tapeline_broker_errors_total\{code="TOPIC_UNKNOWN"\} 2$/m)
  assert.match(text, /^tapeline_broker_errors_total\{code="FENCED"\} 1$/m)
  assert.equal(text.match(/^tapeline_broker_errors_total\{/gm)?.length, 2)
})

test('what a group gives is counted and shown', async (t) => {
  const meter = createMeter()
  const inner = await openEmbeddedBroker({ folder: ':memory:' })
  t.after(() => inner.close())
  const broker = meterBroker(inner, meter)
  await broker.createTopics([{ name: 'here', partitions: 3 }], NEVER)
  const given = Promise.withResolvers<number>()
  const onAssignment = async (partitions: readonly object[]): Promise<void> =>
    given.resolve(partitions.length)
  const member = await broker.joinGroup({ group: 'g', topics: ['here'], onAssignment }, NEVER)
  assert.equal(await given.promise, 3)
  const text = await meter.render()
  assert.match(text, /^tapeline_rebalances_total\{group="g"\} 1$/m)
  assert.match(text, /^tapeline_partitions_assigned\{group="g"\} 3$/m)
  await member.leave()
})

test('failures of the store are counted by code, but not what only the caller did wrong', async () => {
  const meter = createMeter()
  let thrown: unknown
  const fail = async (): Promise<never> => {
    throw thrown
  }
  const failing: Store = {
    ...{ lanes: 3, chunkMicros: 1, migrate: fail, claim: fail, write: fail, query: fail },
    ...{ trades: fail, quotes: fail, candles: fail, markets: fail },
    rowMemory: () => new TupleMemory(),
    ping: fail,
    tendJobs: fail,
    close: async () => {},
  }
  const store = meterStore(failing, meter)
  assert.equal(store.lanes, 3)
  for (const error of [
    new TapelineError('STORE_UNAVAILABLE', 'away'),
    new TapelineError('SQL_INVALID', 'no'),
    new DOMException('late', 'TimeoutError'),
    new DOMException('given up', 'AbortError'),
    new Error('a defect'),
  ]) {
    thrown = error
    await assert.rejects(store.query('select', { maxRows: 1, timeoutMs: 1 }, NEVER), error)
    await assert.rejects(store.write([], NEVER), error)
  }
  const lines = (await meter.render()).match(/^tapeline_store_errors_total\{.*/gm)
  assert.deepEqual(lines?.sort(), [
    'tapeline_store_errors_total{code="INTERNAL"} 2',
    'tapeline_store_errors_total{code="STORE_UNAVAILABLE"} 2',
    'tapeline_store_errors_total{code="TIMEOUT"} 2',
  ])
})

const RECORD = { key: 'k', value: new Uint8Array(1), headers: { v: 1, kind: 'event' as const } }
