import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { TransactionalWriter } from '../../../src/ports/broker.ts'
import {
  deadline,
  makeTopic,
  readToEnd,
  removeTopics,
  textOf,
  textRecord,
  uniqueName,
} from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { openKafkaFor, type ProxiedKafka, startProxiedKafka } from './kafka-fixtures.ts'

describe('transactions on Kafka', requireServer(kafkaMissing()), () => {
  let kafka: ProxiedKafka
  before(async () => {
    kafka = await startProxiedKafka()
  })
  after(() => kafka.close())

  const commit = (writer: TransactionalWriter, topic: string, text: string, signal = deadline()) =>
    writer.commit([{ topic, partition: 0, records: [textRecord(text)] }], signal)

  test('a second holder of a transactional id fences the first, whichever process asks, and as often as one likes', async (t) => {
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
    const [topic, id] = [await makeTopic(broker), uniqueName('id')]
    for (let round = 0; round < 5; round++) {
      const process = await openKafkaFor(t, kafka.server.bootstrap)
      const former = await broker.takeOver(id, deadline())
      const writer = await process.takeOver(id, deadline())
      await assert.rejects(commit(former, topic, 'fenced'), { code: 'FENCED' })
      await assert.rejects(commit(former, topic, 'fenced'), { code: 'FENCED' })
      await commit(writer, topic, String(round))
    }
    assert.deepEqual((await readToEnd(broker, topic)).map(textOf), ['0', '1', '2', '3', '4'])
  })

  test('a transaction that stands still in the middle is aborted by who takes over, and its zombie changes nothing', async (t) => {
    const [slow, other] = [
      await openKafkaFor(t, kafka.through),
      await openKafkaFor(t, kafka.server.bootstrap),
    ]
    const [topic, id] = [await makeTopic(other), uniqueName('id')]
    const zombie = await slow.takeOver(id, deadline())
    await commit(zombie, topic, 'first')
    kafka.proxy.stall()
    const stale = assert.rejects(commit(zombie, topic, 'stale'), { code: 'FENCED' })
    const owner = await other.takeOver(id, deadline())
    await commit(owner, topic, 'second')
    kafka.proxy.resume()
    await stale
    await assert.rejects(commit(zombie, topic, 'stale'), { code: 'FENCED' })
    await commit(owner, topic, 'third')
    assert.deepEqual((await readToEnd(other, topic)).map(textOf), ['first', 'second', 'third'])
  })

  test('after an unknown outcome the writer is of no use, and who takes over goes on', async (t) => {
    const broker = await openKafkaFor(t, kafka.through)
    const [topic, id] = [await makeTopic(broker), uniqueName('id')]
    const writer = await broker.takeOver(id, deadline())
    await commit(writer, topic, 'first')
    kafka.proxy.stall()
    await assert.rejects(commit(writer, topic, 'unknown', AbortSignal.timeout(200)), { code: 'TIMEOUT' })
    kafka.proxy.resume()
    await assert.rejects(commit(writer, topic, 'refused'), { code: 'BROKER_UNAVAILABLE' })
    const next = await broker.takeOver(id, deadline())
    await commit(next, topic, 'last')
    const stored = (await readToEnd(broker, topic)).map(textOf).filter((text) => text !== 'unknown')
    assert.deepEqual(stored, ['first', 'last'])
  })

  test('what the broker refuses is aborted as a whole, and the writer goes on', async (t) => {
    const [broker, other] = [
      await openKafkaFor(t, kafka.server.bootstrap),
      await openKafkaFor(t, kafka.server.bootstrap),
    ]
    const [topic, gone] = [await makeTopic(broker), await makeTopic(broker)]
    const compacted = uniqueName()
    await other.createTopics([{ name: compacted, partitions: 1, compacted: true }], deadline())
    const writer = await broker.takeOver(uniqueName('id'), deadline())
    const entry = (name: string, text: string) => ({ topic: name, partition: 0, records: [textRecord(text)] })
    await assert.rejects(writer.commit([entry(topic, 'no'), entry(compacted, 'no key')], deadline()), {
      code: 'INPUT_INVALID',
    })
    await writer.commit([entry(topic, 'yes')], deadline())
    assert.deepEqual((await readToEnd(broker, topic)).map(textOf), ['yes'])
    await broker.publish([entry(gone, 'known')], deadline())
    await removeTopics(other, [gone])
    await assert.rejects(writer.commit([entry(topic, 'no'), entry(gone, 'no')], deadline()), {
      code: 'TOPIC_UNKNOWN',
    })
    await writer.commit([entry(topic, 'again')], deadline())
    assert.deepEqual((await readToEnd(broker, topic)).map(textOf), ['yes', 'again'])
  })

  test('the broker is killed between and in transactions: each is there as a whole or not at all', async (t) => {
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
    const [a, b, id] = [await makeTopic(broker), await makeTopic(broker), uniqueName('id')]
    let writer = await broker.takeOver(id, deadline())
    const committed: string[] = []
    const attempt = async (n: number): Promise<void> => {
      const entries = [a, b].map((topic) => ({ topic, partition: 0, records: [textRecord(String(n))] }))
      try {
        await writer.commit(entries, AbortSignal.timeout(8_000))
        committed.push(String(n))
      } catch {
        await writer.close()
        writer = await broker.takeOver(id, deadline())
      }
    }
    for (let n = 0; n < 10; n++) await attempt(n)
    const killing = kafka.server.kill().then(() => kafka.server.restart())
    for (let n = 10; n < 16; n++) await attempt(n)
    await killing
    for (let n = 16; n < 20; n++) await attempt(n)
    const [inA, inB] = [(await readToEnd(broker, a)).map(textOf), (await readToEnd(broker, b)).map(textOf)]
    assert.deepEqual(inA, inB)
    assert.deepEqual(
      inA,
      inA.toSorted((x, y) => Number(x) - Number(y)),
    )
    assert.equal(new Set(inA).size, inA.length)
    assert.deepEqual(
      committed.filter((text) => !inA.includes(text)),
      [],
    )
    assert.ok(committed.length > 10, `${committed.length} committed`)
  })
})
