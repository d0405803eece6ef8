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
import { openKafkaFor, type ProxiedKafka, startProxiedKafka } from './kafka-fixtures.ts'

describe('sending to Kafka', requireServer(kafkaMissing()), () => {
  let kafka: ProxiedKafka
  before(async () => {
    kafka = await startProxiedKafka()
  })
  after(() => kafka.close())

  /** Publishes numbered records, one call after the other, until told to end; a call that fails is made again. */
  async function publishUntil(broker: Broker, topic: string, isOver: () => boolean): Promise<number> {
    let next = 0
    while (!isOver()) {
      const records = Array.from({ length: 20 }, (_, i) => textRecord(String(next + i)))
      await broker.publish([{ topic, partition: 0, records }], AbortSignal.timeout(60_000))
      next += records.length
    }
    return next
  }

  test('one batch a partition in flight: the broker is killed twice, and nothing is lost, doubled or out of order', async (t) => {
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
    const topic = await makeTopic(broker)
    let isOver = false
    // Calls that hear of the outage go on: what they sent may be stored, and then must not be twice.
    const acknowledged: string[] = []
    const publishing = (async () => {
      for (let n = 0; !isOver; n++) {
        const text = String(n)
        const outcome = await Promise.allSettled([
          broker.publish([{ topic, partition: 0, records: [textRecord(text)] }], deadline()),
        ])
        if (outcome[0].status === 'fulfilled') acknowledged.push(text)
      }
    })()
    for (const round of [1, 2]) {
      await until('some are stored', () => acknowledged.length > round * 50)
      await kafka.server.kill()
      await kafka.server.restart()
    }
    const seen = acknowledged.length
    await until('it goes on', () => acknowledged.length > seen + 50)
    isOver = true
    await publishing
    const stored = (await readToEnd(broker, topic)).map(textOf)
    assert.equal(new Set(stored).size, stored.length, 'nothing is stored twice')
    const order = stored.map(Number)
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
      'in the order of the calls',
    )
    const missing = acknowledged.filter((text) => !stored.includes(text))
    assert.deepEqual(missing, [], 'everything acknowledged is there')
  })

  test('a cut connection loses and doubles nothing', async (t) => {
    const broker = await openKafkaFor(t, kafka.through)
    const topic = await makeTopic(broker)
    let cuts = 0
    const cutting = setInterval(() => {
      cuts++
      kafka.proxy.cut()
    }, 60)
    t.after(() => clearInterval(cutting))
    const count = await publishUntil(broker, topic, () => cuts >= 12)
    clearInterval(cutting)
    const stored = (await readToEnd(broker, topic)).map(textOf)
    assert.deepEqual(
      stored,
      Array.from({ length: count }, (_, i) => String(i)),
    )
  })

  test('a stalled connection: the caller hears of it, what it sent comes before all that follows, and once', async (t) => {
    const broker = await openKafkaFor(t, kafka.through)
    const topic = await makeTopic(broker)
    const publish = (text: string, signal = deadline()) =>
      broker.publish([{ topic, partition: 0, records: [textRecord(text)] }], signal)
    await publish('before')
    kafka.proxy.stall()
    const given = new AbortController()
    const aborted = publish('given up', given.signal)
    const reported = publish('reported')
    setTimeout(() => given.abort(), 50)
    await assert.rejects(aborted, { name: 'AbortError' })
    await assert.rejects(reported, { code: 'BROKER_UNAVAILABLE' })
    kafka.proxy.resume()
    await publish('after')
    const stored = (await readToEnd(broker, topic)).map(textOf)
    // Both were on their way in one batch when the connection stalled.
    assert.deepEqual(stored, ['before', 'given up', 'reported', 'after'])
  })

  test('a deadline that passes is a TIMEOUT', async (t) => {
    const broker = await openKafkaFor(t, kafka.through)
    const topic = await makeTopic(broker)
    kafka.proxy.stall()
    const publishing = broker.publish(
      [{ topic, partition: 0, records: [textRecord('x')] }],
      AbortSignal.timeout(100),
    )
    await assert.rejects(publishing, { code: 'TIMEOUT' })
    kafka.proxy.resume()
  })

  test('a topic that was deleted elsewhere is unknown after a while, and holds up no other', async (t) => {
    const [mine, other] = [
      await openKafkaFor(t, kafka.server.bootstrap),
      await openKafkaFor(t, kafka.server.bootstrap),
    ]
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
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
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
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
    const topic = uniqueName()
    const admin = new Admin({ clientId: 'setup', bootstrapBrokers: [kafka.server.bootstrap] })
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
    const admin = new Admin({ clientId: 'setup', bootstrapBrokers: [kafka.server.bootstrap] })
    const configs = [{ name: 'max.message.bytes', value: '20000' }]
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1, configs })
    await admin.close()
    await until('it is there', async () => (await broker.listTopics(topic, deadline())).length === 1)
    return topic
  }

  test('a batch larger than the topic takes goes in smaller ones, in order; a record that alone is larger is named', async (t) => {
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
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
    assert.deepEqual(after, ['before'], 'what is in front of it, and nothing behind it')
    const [ack] = await publish(['next'])
    assert.equal(ack?.baseOffset, texts.length + 1)
  })

  test('a transaction that is too large for one batch goes in several, and is all there or not at all', async (t) => {
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
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
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
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
  })
})
