import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import type { OutgoingRecord } from '../../src/ports/broker.ts'
import {
  deadline,
  makeTopic,
  type OpenBroker,
  openFor,
  readToEnd,
  textOf,
  textRecord,
  uniqueName,
  until,
} from './broker-fixtures.ts'
import { describeGroups } from './broker-groups.ts'
import { describeReaders } from './broker-readers.ts'
import { describeTransactions } from './broker-transactions.ts'

/**
 * Every promise of the Broker port, for any adapter. Topic names are unique, so that a broker may be shared. Kafka does not
 * remember the names of topics that are gone: there only their ids tell them apart.
 */
export function describeBroker(name: string, open: OpenBroker, { remembersNames = true } = {}): void {
  describe(name, () => {
    describeTopics(open, remembersNames)
    describePublishing(open)
    describeReaders(open)
    describeTransactions(open)
    describeGroups(open)
    describeClosing(open)
  })
}

function describeTopics(open: OpenBroker, remembersNames: boolean): void {
  test('topics are made with their settings, and listed by prefix', async (t) => {
    const broker = await openFor(t, open)
    const prefix = uniqueName('prefix')
    const made = await broker.createTopics(
      [
        { name: `${prefix}.a`, partitions: 3, retentionMs: 3_600_000 },
        { name: `${prefix}.b`, partitions: 1, compacted: true },
      ],
      deadline(),
    )
    const zero = { earliest: 0, end: 0 }
    const [a, b] = made
    assert.deepEqual(a, {
      name: `${prefix}.a`,
      id: a?.id,
      partitions: 3,
      compacted: false,
      retentionMs: 3_600_000,
      offsets: [zero, zero, zero],
    })
    assert.deepEqual(b, { name: `${prefix}.b`, id: b?.id, partitions: 1, compacted: true, offsets: [zero] })
    assert.notEqual(a?.id, b?.id)
    const listed = await broker.listTopics(prefix, deadline())
    assert.deepEqual(
      [...listed].sort((x, y) => x.name.localeCompare(y.name)),
      made,
    )
    assert.deepEqual(await broker.listTopics(`${prefix}.b`, deadline()), [b])
    const named = [`${prefix}.b`, prefix, `${prefix}.missing`]
    assert.deepEqual(await broker.describeTopics(named, deadline()), [b], 'whole names count, not beginnings')
    assert.deepEqual(await broker.describeTopics([], deadline()), [])
    assert.deepEqual([...(await broker.topicIds(named, deadline()))], [[`${prefix}.b`, b?.id]])
  })

  test('a topic that exists with equal settings is left as it is, with others it is an error', async (t) => {
    const broker = await openFor(t, open)
    const name = uniqueName()
    const [first] = await broker.createTopics([{ name, partitions: 2 }], deadline())
    await broker.publish([{ topic: name, partition: 0, records: [textRecord('kept')] }], deadline())
    const [again] = await broker.createTopics([{ name, partitions: 2 }], deadline())
    assert.equal(again?.id, first?.id)
    assert.equal(again?.offsets[0]?.end, 1)
    await assert.rejects(broker.createTopics([{ name, partitions: 3 }], deadline()), { code: 'TOPIC_EXISTS' })
    await assert.rejects(broker.createTopics([{ name, partitions: 2, compacted: true }], deadline()), {
      code: 'TOPIC_EXISTS',
    })
  })

  test('a deleted topic is gone, and its name is never used again', async (t) => {
    const broker = await openFor(t, open)
    const name = await makeTopic(broker)
    const [made] = await broker.describeTopics([name], deadline())
    const other = await makeTopic(broker)
    const [kept] = await broker.describeTopics([other], deadline())
    assert.ok(made && kept)
    // One that is another topic of its name by now stays, and one that is not there holds up no other.
    const never = { name: uniqueName('never-there'), id: randomUUID() }
    await broker.deleteTopics([{ name: other, id: randomUUID() }, never, made], deadline())
    assert.deepEqual(await broker.describeTopics([other], deadline()), [kept])
    await broker.deleteTopics([], deadline())
    await until('the topic is gone', async () => (await broker.listTopics(name, deadline())).length === 0)
    await assert.rejects(
      broker.publish([{ topic: name, partition: 0, records: [textRecord('x')] }], deadline()),
      { code: 'TOPIC_UNKNOWN', partitions: [{ topic: name, partition: 0 }] },
    )
    if (!remembersNames) return
    await assert.rejects(broker.createTopics([{ name, partitions: 1 }], deadline()), { code: 'TOPIC_EXISTS' })
  })

  test('offsetAt finds the first record published at or after a time', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    const started = Date.now()
    for (let batch = 0; batch < 5; batch++) {
      const records = [textRecord(`${batch}a`), textRecord(`${batch}b`)]
      await broker.publish([{ topic, partition: 0, records }], deadline())
      const published = Date.now()
      await until('the clock moves on', () => Date.now() > published)
    }
    const records = await readToEnd(broker, topic)
    assert.equal(records.length, 10)
    for (const { timestamp } of records) {
      const expected = records.find((record) => record.timestamp >= timestamp)?.offset
      assert.equal(await broker.offsetAt(topic, 0, timestamp, deadline()), expected)
      const after = records.find((record) => record.timestamp >= timestamp + 1)?.offset ?? 10
      assert.equal(await broker.offsetAt(topic, 0, timestamp + 1, deadline()), after)
    }
    assert.equal(await broker.offsetAt(topic, 0, started - 60_000, deadline()), 0)
    assert.equal(await broker.offsetAt(topic, 0, Date.now() + 60_000, deadline()), 10)
    await assert.rejects(broker.offsetAt(uniqueName(), 0, 0, deadline()), { code: 'TOPIC_UNKNOWN' })
  })
}

function describePublishing(open: OpenBroker): void {
  test('records come back as they were published, with offsets and publication times', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker, 2)
    const position = { topic: 'market.trades', partition: 3, offset: 123_456_789_012 }
    const records: OutgoingRecord[] = [
      {
        key: 'coinbase:BTC-USD',
        value: Buffer.from('{"price":1}'),
        headers: { v: 1, kind: 'event', shard: 1, epoch: 7 },
      },
      { key: null, value: null, headers: { v: 1, kind: 'marker', shard: 0, epoch: 9_007_199_254_740_991 } },
      { key: 'ключ 🗝', value: new Uint8Array(0), headers: { v: 2, kind: 'control' } },
      { key: 'k', value: Buffer.from([0, 255, 128]), headers: { v: 1, kind: 'event', position } },
      {
        key: 'k',
        value: Buffer.from('n'),
        headers: { v: 1, kind: 'event', position: { ...position, n: 0 } },
      },
      {
        key: 'k',
        value: Buffer.from('r'),
        headers: { v: 1, kind: 'event', shard: 2, epoch: 1, reentering: true },
      },
      {
        key: 'k',
        value: Buffer.from('t'),
        headers: { v: 1, kind: 'event', position, trace: `00-${'ab'.repeat(16)}-${'12'.repeat(8)}-01` },
      },
    ]
    const before = Date.now()
    const acks = await broker.publish([{ topic, partition: 1, records }], deadline())
    assert.deepEqual(acks, [{ topic, partition: 1, baseOffset: 0 }])
    const stored = await readToEnd(broker, topic, 1)
    assert.deepEqual(
      stored.map(({ timestamp, value, ...rest }) => ({ ...rest, value: value && [...value] })),
      records.map(({ value, ...rest }, offset) => ({ ...rest, offset, value: value && [...value] })),
    )
    for (const { timestamp } of stored) {
      assert.ok(timestamp >= before - 1 && timestamp <= Date.now() + 1, `published at ${timestamp}`)
    }
  })

  test('acknowledgements come in the order of the entries, without a hole', async (t) => {
    const broker = await openFor(t, open)
    const [a, b] = [await makeTopic(broker, 2), await makeTopic(broker)]
    const records = ['0', '1', '2'].map((text) => textRecord(text))
    const entries = [
      { topic: b, partition: 0, records },
      { topic: a, partition: 1, records: records.slice(0, 1) },
      { topic: a, partition: 0, records },
    ]
    for (const round of [0, 1, 2]) {
      assert.deepEqual(await broker.publish(entries, deadline()), [
        { topic: b, partition: 0, baseOffset: 3 * round },
        { topic: a, partition: 1, baseOffset: round },
        { topic: a, partition: 0, baseOffset: 3 * round },
      ])
    }
    assert.deepEqual(await broker.publish([], deadline()), [])
  })

  test('a call without records is answered at once', async (t) => {
    const broker = await openFor(t, open)
    const [topic, other] = [await makeTopic(broker), await makeTopic(broker)]
    const nothing = { topic, partition: 0, records: [] }
    assert.equal((await broker.publish([nothing], deadline())).length, 1)
    const acks = await broker.publish(
      [nothing, { topic: other, partition: 0, records: [textRecord('x')] }],
      deadline(),
    )
    assert.deepEqual(acks[1], { topic: other, partition: 0, baseOffset: 0 })
  })

  test('concurrent calls keep their order', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker, 2)
    const calls = Array.from({ length: 100 }, (_, call) =>
      broker.publish(
        [0, 1].map((partition) => ({
          topic,
          partition,
          records: [textRecord(`${call}a`), textRecord(`${call}b`)],
        })),
        deadline(),
      ),
    )
    const acks = await Promise.all(calls)
    const expected = Array.from({ length: 100 }, (_, call) => [`${call}a`, `${call}b`]).flat()
    for (const partition of [0, 1]) {
      assert.deepEqual(
        acks.map((ack) => ack[partition]?.baseOffset),
        Array.from({ length: 100 }, (_, call) => call * 2),
      )
      assert.deepEqual((await readToEnd(broker, topic, partition)).map(textOf), expected)
    }
  })

  test('a publish that is refused writes nothing', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    const good = { topic, partition: 0, records: [textRecord('good')] }
    const huge = {
      key: null,
      value: new Uint8Array(1024 * 1024 + 1),
      headers: { v: 1, kind: 'event' },
    } as const
    const refused = [
      {
        entries: [good, { topic: uniqueName(), partition: 0, records: [textRecord('x')] }],
        code: 'TOPIC_UNKNOWN',
      },
      { entries: [good, { topic, partition: 1, records: [textRecord('x')] }], code: 'TOPIC_UNKNOWN' },
      { entries: [good, { topic, partition: 0, records: [huge] }], code: 'RECORD_TOO_LARGE' },
    ]
    for (const { entries, code } of refused)
      await assert.rejects(broker.publish(entries, deadline()), { code })
    const aborted = AbortSignal.abort()
    await assert.rejects(broker.publish([good], aborted), { name: 'AbortError' })
    assert.deepEqual(await broker.publish([good], deadline()), [{ topic, partition: 0, baseOffset: 0 }])
    assert.deepEqual((await readToEnd(broker, topic)).map(textOf), ['good'])
  })

  test('large records and large calls pass', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    const large = {
      key: 'k',
      value: Buffer.alloc(900 * 1024, 'x'),
      headers: { v: 1, kind: 'event' },
    } as const
    const many = Array.from({ length: 3_000 }, (_, index) =>
      textRecord(`record ${index}`, `key ${index % 70}`),
    )
    const acks = await broker.publish(
      [
        { topic, partition: 0, records: [large] },
        { topic, partition: 0, records: many },
      ],
      deadline(),
    )
    assert.deepEqual(
      acks.map(({ baseOffset }) => baseOffset),
      [0, 1],
    )
    const stored = await readToEnd(broker, topic)
    assert.equal(stored.length, 3_001)
    assert.ok(large.value.equals(stored[0]?.value ?? new Uint8Array()))
    assert.deepEqual(
      stored.slice(1).map(({ offset, key, value }) => [offset, key, Buffer.from(value ?? []).toString()]),
      many.map(({ key, value }, index) => [index + 1, key, Buffer.from(value ?? []).toString()]),
    )
  })

  test('a compacted topic keeps the last record of each key, and takes no record without a key', async (t) => {
    const broker = await openFor(t, open)
    const topic = uniqueName()
    await broker.createTopics([{ name: topic, partitions: 1, compacted: true }], deadline())
    const records = ['a1', 'b1', 'a2', 'c1', 'a3'].map((text) => textRecord(text, text.slice(0, 1)))
    await broker.publish([{ topic, partition: 0, records }], deadline())
    const last = new Map((await readToEnd(broker, topic)).map((record) => [record.key, textOf(record)]))
    assert.deepEqual(Object.fromEntries(last), { a: 'a3', b: 'b1', c: 'c1' })
    await assert.rejects(
      broker.publish(
        [{ topic, partition: 0, records: [textRecord('d', 'd'), textRecord('no key')] }],
        deadline(),
      ),
      { code: 'INPUT_INVALID' },
    )
    assert.equal((await broker.listTopics(topic, deadline()))[0]?.offsets[0]?.end, 5)
  })
}

function describeClosing(open: OpenBroker): void {
  test('a broker answers a ping until it is closed', async (t) => {
    const broker = await openFor(t, open)
    await broker.ping(deadline())
    await broker.close()
    await assert.rejects(broker.ping(deadline()), { code: 'SHUTTING_DOWN' })
  })

  test('close waits for what is in flight, and refuses everything afterwards', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    const quiet = await makeTopic(broker)
    const reader = await broker.openReader(deadline())
    await reader.assign([{ topic: quiet, partition: 0, offset: 0 }], deadline())
    const writer = await broker.takeOver(uniqueName('id'), deadline())
    const entries = [{ topic, partition: 0, records: [textRecord('x')] }]
    const waiting = assert.rejects(reader.poll({ maxRecords: 10, waitMs: 20_000 }, deadline()), {
      code: 'SHUTTING_DOWN',
    })
    const publishing = broker.publish(Array(50).fill(entries[0]), deadline())
    await Promise.all([broker.close(), broker.close()])
    assert.equal((await publishing).length, 50)
    await waiting
    const refused = { code: 'SHUTTING_DOWN' }
    await assert.rejects(broker.publish(entries, deadline()), refused)
    await assert.rejects(writer.commit(entries, deadline()), refused)
    await assert.rejects(broker.createTopics([], deadline()), refused)
    await assert.rejects(broker.listTopics('', deadline()), refused)
    await assert.rejects(broker.openReader(deadline()), refused)
    await assert.rejects(reader.poll({ maxRecords: 1, waitMs: 0 }, deadline()), refused)
    await reader.close(deadline())
    await writer.close()
  })
}
