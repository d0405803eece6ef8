import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Admin } from '@platformatic/kafka'
import { TapelineError } from '../../../src/errors.ts'
import type { Broker } from '../../../src/ports/broker.ts'
import {
  deadline,
  makeTopic,
  readToEnd,
  removeTopics,
  textOf,
  textRecord,
  uniqueName,
  until,
} from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { type SharedKafka, shareKafka } from '../../servers/shared.ts'
import { openKafkaFor } from './kafka-fixtures.ts'

describe('sending to Kafka', requireServer(kafkaMissing()), () => {
  let kafka: SharedKafka
  before(async () => {
    kafka = await shareKafka()
  })
  after(() => kafka.close())

  test('a topic that was deleted elsewhere is unknown after a while, and holds up no other', async (t) => {
    const [mine, other] = [await openKafkaFor(t, kafka.bootstrap), await openKafkaFor(t, kafka.bootstrap)]
    const [gone, stays] = [await makeTopic(mine), await makeTopic(mine)]
    const publish = (topic: string, text: string) =>
      mine.publish([{ topic, partition: 0, records: [textRecord(text)] }], deadline())
    await publish(gone, 'x')
    await removeTopics(other, [gone])
    let isRefused = false
    const refused = assert.rejects(publish(gone, 'y'), { code: 'TOPIC_UNKNOWN' }).then(() => {
      isRefused = true
    })
    await publish(stays, 'z')
    assert.equal(isRefused, false, 'the other topic did not wait')
    await refused
    await assert.rejects(publish(gone, 'y'), { code: 'TOPIC_UNKNOWN' })
    assert.deepEqual((await readToEnd(mine, stays)).map(textOf), ['z'])
  })

  test('a topic can be written and read as soon as it is made', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    for (let round = 0; round < 15; round++) {
      const topic = await makeTopic(broker, 3)
      const entries = [0, 1, 2].map((partition) => ({ topic, partition, records: [textRecord('x')] }))
      const reader = await broker.openReader(deadline())
      await reader.assign(
        [0, 1, 2].map((partition) => ({ topic, partition, offset: 0 })),
        deadline(),
      )
      assert.equal((await broker.publish(entries, deadline())).length, 3)
      let count = 0
      while (count < 3) {
        for (const fetch of await reader.poll({ maxRecords: 10, waitMs: 5_000 }, deadline())) {
          assert.ok(fetch.kind === 'records')
          count += fetch.records.length
        }
      }
      await reader.close(deadline())
    }
  })

  test('a record that the broker refuses hurts nobody whose record goes with it', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const topic = uniqueName()
    const admin = new Admin({ clientId: 'setup', bootstrapBrokers: [kafka.bootstrap] })
    const configs = [{ name: 'max.message.bytes', value: '3000' }]
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1, configs })
    await until('it is there', async () => (await broker.listTopics(topic, deadline())).length === 1)
    await admin.close()
    const texts = ['a', 'b', 'x'.repeat(5_000), 'c', 'd']
    const outcomes = await Promise.allSettled(
      texts.map((text) => broker.publish([{ topic, partition: 0, records: [textRecord(text)] }], deadline())),
    )
    assert.deepEqual(
      outcomes.map((each) => (each.status === 'fulfilled' ? each.value[0]?.baseOffset : each.reason.code)),
      [0, 1, 'RECORD_TOO_LARGE', 2, 3],
    )
    assert.deepEqual((await readToEnd(broker, topic)).map(textOf), ['a', 'b', 'c', 'd'])
  })

  /** A topic that takes less than the platform would like to write at once. */
  async function makeSmallTopic(broker: Broker): Promise<string> {
    const topic = uniqueName('small')
    const admin = new Admin({ clientId: 'setup', bootstrapBrokers: [kafka.bootstrap] })
    const configs = [{ name: 'max.message.bytes', value: '20000' }]
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1, configs })
    await admin.close()
    await until('it is there', async () => (await broker.listTopics(topic, deadline())).length === 1)
    return topic
  }

  test('a batch larger than the topic takes goes in smaller ones, in order; a record that alone is larger is named', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const topic = await makeSmallTopic(broker)
    const texts = Array.from({ length: 300 }, (_, i) => `${i}:${'x'.repeat(5_000)}`)
    const publish = (own: readonly string[]) =>
      broker.publish([{ topic, partition: 0, records: own.map((text) => textRecord(text)) }], deadline())
    const acks = await Promise.all([publish(texts.slice(0, 200)), publish(texts.slice(200))])
    assert.deepEqual(
      acks.flat().map(({ baseOffset }) => baseOffset),
      [0, 200],
    )
    assert.deepEqual((await readToEnd(broker, topic)).map(textOf), texts)
    const large = textRecord('y'.repeat(30_000))
    const entry = { topic, partition: 0, records: [textRecord('before'), large, textRecord('after')] }
    await assert.rejects(broker.publish([entry], deadline()), (error) => {
      assert.ok(error instanceof TapelineError)
      assert.equal(error.code, 'RECORD_TOO_LARGE')
      assert.deepEqual(error.partitions, [{ topic, partition: 0 }])
      assert.ok(error.values.length === 1 && error.values[0] === large.value, 'it names the record')
      assert.match(error.message, /30000 bytes/)
      return true
    })
    const after = (await readToEnd(broker, topic)).slice(texts.length).map(textOf)
    assert.deepEqual(after, ['before'], 'what is in front of it, and nothing after it')
    const [ack] = await publish(['next'])
    assert.equal(ack?.baseOffset, texts.length + 1)
  })

  test('a transaction that is too large for one batch goes in several, and is all there or not at all', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const topic = await makeSmallTopic(broker)
    const writer = await broker.takeOver(uniqueName('id'), deadline())
    const texts = Array.from({ length: 50 }, (_, i) => `${i}:${'x'.repeat(5_000)}`)
    const commit = (own: readonly string[]) =>
      writer.commit([{ topic, partition: 0, records: own.map((text) => textRecord(text)) }], deadline())
    await commit(texts)
    await assert.rejects(commit(['a', 'y'.repeat(30_000)]), { code: 'RECORD_TOO_LARGE' })
    await commit(['after'])
    assert.deepEqual((await readToEnd(broker, topic)).map(textOf), [...texts, 'after'])
  })

  test('records of many topics go in few requests, in order', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const prefix = uniqueName('many')
    const names = Array.from({ length: 100 }, (_, i) => `${prefix}.${i}`)
    await broker.createTopics(
      names.map((name) => ({ name, partitions: 1 })),
      deadline(),
    )
    for (const round of ['0', '1', '2']) {
      const entries = names.map((topic) => ({ topic, partition: 0, records: [textRecord(round)] }))
      const acks = await broker.publish(entries, deadline())
      assert.ok(acks.every(({ baseOffset }) => baseOffset === Number(round)))
    }
    const listed = await broker.listTopics(prefix, deadline())
    assert.deepEqual(new Set(listed.map(({ name }) => name)), new Set(names))
    assert.ok(listed.every(({ offsets }) => offsets[0]?.end === 3))
    await removeTopics(broker, names)
  })
})
