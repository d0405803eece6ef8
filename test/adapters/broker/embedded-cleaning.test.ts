import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TOMBSTONE_RETENTION_MS } from '../../../src/adapters/broker/embedded/log-cleaner.ts'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import type { Broker } from '../../../src/ports/broker.ts'
import {
  deadline,
  pollUntil,
  readToEnd,
  recordsOf,
  removeTopics,
  textOf,
  textRecord,
  until,
} from '../../contract/broker-fixtures.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** A clock that is set by hand. */
class Clock {
  time = 1_700_000_000_000
  readonly now = () => this.time
}

async function offsetsOf(broker: Broker, topic: string) {
  return (await broker.listTopics(topic, deadline()))[0]?.offsets[0]
}

const publish = (broker: Broker, topic: string, records: readonly ReturnType<typeof textRecord>[]) =>
  broker.publish([{ topic, partition: 0, records }], deadline())

test('retention removes whole batches by their publication time, and readers are told', async (t) => {
  const clock = new Clock()
  const folder = await temporaryFolder(t)
  const settings = { folder, now: clock.now, cleanEveryMs: 5 }
  const broker = await openEmbeddedBroker(settings)
  const specs = [
    { name: 'kept', partitions: 1 },
    { name: 'short', partitions: 1, retentionMs: 1_000 },
  ]
  await broker.createTopics(specs, deadline())
  const started = clock.time
  for (let batch = 0; batch < 200; batch++) {
    clock.time = started + batch
    for (const { name } of specs)
      await publish(broker, name, [textRecord(`${batch}a`), textRecord(`${batch}b`)])
  }
  const reader = await broker.openReader(deadline())
  await reader.assign(
    specs.map(({ name }) => ({ topic: name, partition: 0, offset: 3 })),
    deadline(),
  )

  clock.time = started + 1_000 + 150
  await until('150 batches are gone', async () => (await offsetsOf(broker, 'short'))?.earliest === 300)
  assert.deepEqual(await offsetsOf(broker, 'short'), { earliest: 300, end: 400 })
  assert.deepEqual(await offsetsOf(broker, 'kept'), { earliest: 0, end: 400 })
  assert.equal(await broker.offsetAt('short', 0, 0, deadline()), 300)
  assert.equal(await broker.offsetAt('short', 0, started + 160, deadline()), 320)
  const fetches = await pollUntil(reader, (all) => recordsOf(all).length >= 397 + 100)
  assert.deepEqual(
    fetches.find(({ kind }) => kind === 'truncated'),
    { kind: 'truncated', topic: 'short', partition: 0, position: 3, earliest: 300 },
  )
  const short = fetches.filter((fetch) => fetch.kind === 'records' && fetch.topic === 'short')
  assert.deepEqual(recordsOf(short).map(textOf).slice(0, 2), ['150a', '150b'])

  clock.time = started + 10_000
  await until('all are gone', async () => (await offsetsOf(broker, 'short'))?.earliest === 400)
  await broker.close()

  const again = await openEmbeddedBroker(settings)
  t.after(() => again.close())
  assert.deepEqual(await offsetsOf(again, 'short'), { earliest: 400, end: 400 })
  assert.deepEqual(await publish(again, 'short', [textRecord('on')]), [
    { topic: 'short', partition: 0, baseOffset: 400 },
  ])
})

test('compaction leaves the last record of each key, and tombstones for a while', async (t) => {
  const clock = new Clock()
  const folder = await temporaryFolder(t)
  const settings = { folder, now: clock.now, cleanEveryMs: 5 }
  const broker = await openEmbeddedBroker(settings)
  await broker.createTopics([{ name: 'registry', partitions: 1, compacted: true }], deadline())
  const keys = ['a', 'b', '', 'd\0e', 'd']
  for (let round = 0; round < 300; round++) {
    await publish(
      broker,
      'registry',
      keys.map((key) => textRecord(`${key}${round}`, key)),
    )
  }
  await publish(broker, 'registry', [{ ...textRecord('', 'd'), value: null }])
  const kept = ['a299', 'b299', '299', 'd\0e299', null]
  await until('five records are left', async () => (await readToEnd(broker, 'registry')).length === 5)
  assert.deepEqual((await readToEnd(broker, 'registry')).map(textOf), kept)
  assert.deepEqual(await offsetsOf(broker, 'registry'), { earliest: 0, end: 1_501 })

  const reader = await broker.openReader(deadline())
  await reader.assign([{ topic: 'registry', partition: 0, offset: 1_500 }], deadline())
  clock.time += TOMBSTONE_RETENTION_MS
  await publish(broker, 'registry', [textRecord('a300', 'a')])
  await until('compaction has run', async () => (await readToEnd(broker, 'registry'))[0]?.key === 'b')
  assert.equal((await readToEnd(broker, 'registry')).filter(({ value }) => value === null).length, 1)
  clock.time += 1
  await until('the tombstone is gone', async () => (await readToEnd(broker, 'registry')).length === 4)
  const [fetch] = await reader.poll({ maxRecords: 10, waitMs: 0 }, deadline())
  assert.ok(fetch?.kind === 'records')
  assert.deepEqual([fetch.nextOffset, fetch.records.map(textOf)], [1_502, ['a300']])

  await publish(broker, 'registry', [{ ...textRecord('', 'last'), value: null }])
  await reader.assign([{ topic: 'registry', partition: 0, offset: 1_502 }], deadline())
  clock.time += TOMBSTONE_RETENTION_MS + 1
  await until('the last record is gone', async () => (await readToEnd(broker, 'registry')).length === 4)
  const [beyond] = await reader.poll({ maxRecords: 10, waitMs: 0 }, deadline())
  assert.ok(beyond?.kind === 'records')
  assert.deepEqual([beyond.nextOffset, beyond.endOffset, beyond.records], [1_503, 1_503, []])
  await broker.close()

  const again = await openEmbeddedBroker(settings)
  t.after(() => again.close())
  assert.deepEqual(await offsetsOf(again, 'registry'), { earliest: 0, end: 1_503 })
})

test('times are found where compaction has left holes', async (t) => {
  const clock = new Clock()
  const broker = await openEmbeddedBroker({ folder: ':memory:', now: clock.now, cleanEveryMs: 5 })
  t.after(() => broker.close())
  await broker.createTopics([{ name: 'registry', partitions: 1, compacted: true }], deadline())
  const started = clock.time
  for (let offset = 0; offset < 100; offset++) {
    clock.time = started + offset
    const key = [7, 20, 21, 60].includes(offset) ? `kept ${offset}` : 'often'
    await publish(broker, 'registry', [textRecord('', key)])
  }
  await until('five are left', async () => (await readToEnd(broker, 'registry')).length === 5)
  const left = [7, 20, 21, 60, 99]
  for (let time = 0; time < 102; time++) {
    const expected = left.find((offset) => offset >= time) ?? 100
    assert.equal(await broker.offsetAt('registry', 0, started + time, deadline()), expected, `time ${time}`)
  }
})

test('publication times never go back, even if the clock does', async (t) => {
  const clock = new Clock()
  const broker = await openEmbeddedBroker({ folder: ':memory:', now: clock.now })
  t.after(() => broker.close())
  await broker.createTopics([{ name: 'topic', partitions: 1 }], deadline())
  const started = clock.time
  for (const step of [0, 10, 5, 12]) {
    clock.time = started + step
    await publish(broker, 'topic', [textRecord(String(step))])
  }
  const records = await readToEnd(broker, 'topic')
  assert.deepEqual(
    records.map(({ timestamp }) => timestamp - started),
    [0, 10, 10, 12],
  )
  assert.equal(await broker.offsetAt('topic', 0, started + 11, deadline()), 3)
})

test('the space of removed records is used again, and given back', async (t) => {
  const clock = new Clock()
  const folder = await temporaryFolder(t)
  const broker = await openEmbeddedBroker({ folder, now: clock.now, cleanEveryMs: 5 })
  t.after(() => broker.close())
  const size = () => statSync(join(folder, 'broker.db')).size
  const value = Buffer.alloc(200_000, 'x')
  const fill = async (topic: string) => {
    const records = Array.from({ length: 10 }, () => ({ ...textRecord(''), value }))
    for (let call = 0; call < 10; call++) await publish(broker, topic, records)
  }
  await broker.createTopics([{ name: 'ring', partitions: 1, retentionMs: 1_000 }], deadline())
  for (let round = 0; round < 4; round++) {
    await fill('ring')
    clock.time += 1_001
    const end = (await offsetsOf(broker, 'ring'))?.end
    await until('all are gone', async () => (await offsetsOf(broker, 'ring'))?.earliest === end)
  }
  assert.ok(size() < 50_000_000, `80 MB went through a log of ${size()} bytes`)

  await broker.createTopics([{ name: 'large', partitions: 1 }], deadline())
  for (let round = 0; round < 3; round++) await fill('large')
  const full = size()
  await removeTopics(broker, ['large'])
  await until('the space is given back', async () => {
    // The file shrinks at a checkpoint, which comes with later writes.
    await publish(broker, 'ring', [{ ...textRecord(''), value }])
    clock.time += 1_001
    return size() < full / 2
  })
})
