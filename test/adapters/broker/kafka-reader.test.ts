import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Admin, Producer } from '@platformatic/kafka'
import type { PartitionFetch, Reader } from '../../../src/ports/broker.ts'
import {
  deadline,
  makeTopic,
  pollUntil,
  recordsOf,
  removeTopics,
  textOf,
  textRecord,
  uniqueName,
} from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { type SharedKafka, shareKafka } from '../../servers/shared.ts'
import { openKafkaFor, publishTexts } from './kafka-fixtures.ts'

const POLL = { maxRecords: 1_000, waitMs: 1_000 }

describe('reading from Kafka', requireServer(kafkaMissing()), () => {
  let kafka: SharedKafka
  before(async () => {
    kafka = await shareKafka()
  })
  after(() => kafka.close())

  /** Transactions of somebody else: of the library, whose id -1 asks for a new epoch. */
  const foreignProducer = () =>
    new Producer({
      clientId: 'test',
      bootstrapBrokers: [kafka.bootstrap],
      idempotent: true,
      transactionalId: uniqueName('id'),
      producerId: -1n,
      producerEpoch: -1,
      retryDelay: 5,
      retries: 200,
    })

  test('control batches and aborted transactions are passed over, and the position goes beyond them', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const topic = await makeTopic(broker)
    const producer = foreignProducer()
    for (const [text, isKept] of [
      ['first', true],
      ['aborted', false],
      ['second', true],
      ['aborted too', false],
    ] as const) {
      const transaction = await producer.beginTransaction()
      await transaction.send({ messages: [{ topic, partition: 0, value: Buffer.from(text) }] })
      await (isKept ? transaction.commit() : transaction.abort())
    }
    await producer.close()
    await publishTexts(broker, topic, 'plain')
    const reader = await broker.openReader(deadline())
    await reader.assign([{ topic, partition: 0, offset: 0 }], deadline())
    const fetches = await pollUntil(reader, (all) => recordsOf(all).length >= 3)
    assert.deepEqual(
      recordsOf(fetches).map((record) => [record.offset, textOf(record)]),
      [
        [0, 'first'],
        [4, 'second'],
        [8, 'plain'],
      ],
    )
    const last = fetches.at(-1)
    assert.ok(last?.kind === 'records')
    assert.deepEqual([last.nextOffset, last.endOffset], [9, 9])
    await reader.close(deadline())
  })

  test('an open transaction is not read, and what follows it waits', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const topic = await makeTopic(broker)
    const producer = foreignProducer()
    await publishTexts(broker, topic, 'before')
    const transaction = await producer.beginTransaction()
    await transaction.send({ messages: [{ topic, partition: 0, value: Buffer.from('open') }] })
    await publishTexts(broker, topic, 'after')
    const [description] = await broker.listTopics(topic, deadline())
    assert.equal(description?.offsets[0]?.end, 1, 'the end is what a reader comes to')
    const reader = await broker.openReader(deadline())
    await reader.assign([{ topic, partition: 0, offset: 0 }], deadline())
    const early = await pollUntil(reader, (all) => recordsOf(all).length > 0)
    assert.deepEqual(recordsOf(early).map(textOf), ['before'])
    assert.deepEqual(await reader.poll({ maxRecords: 10, waitMs: 300 }, deadline()), [])
    await transaction.commit()
    const late = await pollUntil(reader, (all) => recordsOf(all).length >= 2)
    assert.deepEqual(recordsOf(late).map(textOf), ['open', 'after'])
    await producer.close()
    await reader.close(deadline())
  })

  test('retention that passes the position is told, and reading goes on from the earliest', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const topic = await makeTopic(broker)
    for (let n = 0; n < 10; n++) await publishTexts(broker, topic, String(n))
    const admin = new Admin({ clientId: 'setup', bootstrapBrokers: [kafka.bootstrap] })
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 6n }] }] })
    await admin.close()
    const reader = await broker.openReader(deadline())
    await reader.assign([{ topic, partition: 0, offset: 2 }], deadline())
    const fetches = await pollUntil(reader, (all) => recordsOf(all).length >= 4)
    assert.deepEqual(fetches[0], { kind: 'truncated', topic, partition: 0, position: 2, earliest: 6 })
    assert.deepEqual(recordsOf(fetches).map(textOf), ['6', '7', '8', '9'])
    await reader.close(deadline())
  })

  test('a topic that is made again under its name is another one', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const topic = await makeTopic(broker)
    await publishTexts(broker, topic, 'old')
    const reader = await broker.openReader(deadline())
    await reader.assign([{ topic, partition: 0, offset: 0 }], deadline())
    assert.deepEqual(recordsOf(await reader.poll(POLL, deadline())).map(textOf), ['old'])
    const [old] = await broker.listTopics(topic, deadline())
    await removeTopics(broker, [topic])
    const [made] = await broker.createTopics([{ name: topic, partitions: 1 }], deadline())
    assert.notEqual(made?.id, old?.id)
    await publishTexts(broker, topic, 'new 0', 'new 1')
    const told = await pollUntil(reader, (all) => all.length > 0)
    assert.deepEqual(told, [{ kind: 'deleted', topic }])
    assert.deepEqual(await reader.poll({ maxRecords: 10, waitMs: 200 }, deadline()), [])
    await reader.assign([{ topic, partition: 0, offset: 1 }], deadline())
    const fetches = await pollUntil(reader, (all) => recordsOf(all).length > 0)
    assert.deepEqual(recordsOf(fetches).map(textOf), ['new 1'])
    assert.ok(fetches[0]?.kind === 'records' && fetches[0].topicId === made?.id)
    await reader.close(deadline())
  })

  test('that a topic is gone is told after all that was fetched of it', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const topic = await makeTopic(broker, 3)
    const positions = [0, 1, 2].map((partition) => ({ topic, partition, offset: 0 }))
    const [reader, witness] = [await broker.openReader(deadline()), await broker.openReader(deadline())]
    for (const each of [reader, witness]) await each.assign(positions, deadline())
    const records = Array.from({ length: 20 }, (_, i) => textRecord(`${i}`))
    for (const { partition } of positions) await broker.publish([{ topic, partition, records }], deadline())
    await pollUntil(witness, (all) => recordsOf(all).length === 60)
    const [description] = await broker.describeTopics([topic], deadline())
    await broker.deleteTopics([{ name: topic, id: description?.id ?? '' }], deadline())
    await pollUntil(witness, (all) => all.some(({ kind }) => kind === 'deleted'))
    const told: string[] = []
    while (told.at(-1) !== 'deleted') {
      for (const fetch of await reader.poll({ maxRecords: 7, waitMs: 1_000 }, deadline()))
        told.push(fetch.kind)
    }
    assert.deepEqual(await reader.poll({ maxRecords: 7, waitMs: 0 }, deadline()), [])
    assert.equal(told.filter((kind) => kind === 'deleted').length, 1)
    assert.ok(told.length > 9, 'what was fetched before comes in any case')
    await Promise.all([reader.close(deadline()), witness.close(deadline())])
  })

  test('one reader reads hundreds of topics, and many readers the same one', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const prefix = uniqueName('many')
    const names = Array.from({ length: 200 }, (_, i) => `${prefix}.${i}`)
    await broker.createTopics(
      names.map((name) => ({ name, partitions: 1 })),
      deadline(),
    )
    const readers = [
      await broker.openReader(deadline()),
      await broker.openReader(deadline()),
      await broker.openReader(deadline()),
    ]
    for (const reader of readers)
      await reader.assign(
        names.map((topic) => ({ topic, partition: 0, offset: 0 })),
        deadline(),
      )
    const rounds = 3
    for (let round = 0; round < rounds; round++) {
      const entries = names.map((topic) => ({ topic, partition: 0, records: [textRecord(`${round}`)] }))
      await broker.publish(entries, deadline())
    }
    for (const reader of readers) {
      const seen = new Map<string, string[]>()
      await pollUntil(reader, (all) => {
        seen.clear()
        for (const fetch of all) {
          if (fetch.kind !== 'records') continue
          const texts = fetch.records.map((record) => textOf(record) ?? '')
          seen.set(fetch.topic, [...(seen.get(fetch.topic) ?? []), ...texts])
        }
        return [...seen.values()].flat().length >= names.length * rounds
      })
      assert.equal(seen.size, names.length)
      for (const texts of seen.values()) assert.deepEqual(texts, ['0', '1', '2'])
    }
    // One of many that gets something is all that the next answer is about.
    const [reader] = readers as [Reader]
    await publishTexts(broker, names[77] as string, 'one')
    const fetches: PartitionFetch[] = await pollUntil(reader, (all) => recordsOf(all).length > 0)
    assert.deepEqual(
      fetches.map((fetch) => fetch.topic),
      [names[77]],
    )
    await Promise.all(readers.map((each) => each.close(deadline())))
    await removeTopics(broker, names)
  })

  test('partitions that are added while a fetch waits are read soon, and nothing of the others is lost or comes twice', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const [quiet, ...added] = await Promise.all(Array.from({ length: 6 }, () => makeTopic(broker)))
    assert.ok(quiet)
    for (const topic of added) await publishTexts(broker, topic, topic)
    const reader = await broker.openReader(deadline())
    await reader.assign([{ topic: quiet, partition: 0, offset: 0 }], deadline())
    const seen: (string | null)[] = []
    const waits: number[] = []
    const expected: string[] = []
    for (const [n, topic] of added.entries()) {
      // The fetch of what is quiet is held by the broker.
      assert.deepEqual(await reader.poll({ maxRecords: 10, waitMs: 200 }, deadline()), [])
      const addedAt = performance.now()
      await reader.assign([{ topic, partition: 0, offset: 0 }], deadline())
      const writing = n % 2 === 0 ? undefined : publishTexts(broker, quiet, `quiet ${n}`)
      expected.push(topic, ...(writing === undefined ? [] : [`quiet ${n}`]))
      while (seen.length < expected.length) {
        seen.push(...recordsOf(await reader.poll({ maxRecords: 10, waitMs: 1_000 }, deadline())).map(textOf))
        if (seen.at(-1) === topic) waits.push(performance.now() - addedAt)
      }
      await writing
    }
    assert.deepEqual(seen.toSorted(), expected.toSorted())
    t.diagnostic(`they came after ${waits.map(Math.round).join(', ')} ms`)
    await reader.close(deadline())
  })
})
