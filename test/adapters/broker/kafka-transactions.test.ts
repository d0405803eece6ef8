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
import { type SharedKafka, shareKafka } from '../../servers/shared.ts'
import { openKafkaFor } from './kafka-fixtures.ts'

describe('transactions on Kafka', requireServer(kafkaMissing()), () => {
  let kafka: SharedKafka
  before(async () => {
    kafka = await shareKafka()
  })
  after(() => kafka.close())

  const commit = (writer: TransactionalWriter, topic: string, text: string, signal = deadline()) =>
    writer.commit([{ topic, partition: 0, records: [textRecord(text)] }], signal)

  test('a second holder of a transactional id fences the first, whichever process asks, and as often as one likes', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const [topic, id] = [await makeTopic(broker), uniqueName('id')]
    for (let round = 0; round < 5; round++) {
      const process = await openKafkaFor(t, kafka.bootstrap)
      const former = await broker.takeOver(id, deadline())
      const writer = await process.takeOver(id, deadline())
      await assert.rejects(commit(former, topic, 'fenced'), { code: 'FENCED' })
      await assert.rejects(commit(former, topic, 'fenced'), { code: 'FENCED' })
      await commit(writer, topic, String(round))
    }
    assert.deepEqual((await readToEnd(broker, topic)).map(textOf), ['0', '1', '2', '3', '4'])
  })

  test('what the broker refuses is aborted as a whole, and the writer goes on', async (t) => {
    const [broker, other] = [await openKafkaFor(t, kafka.bootstrap), await openKafkaFor(t, kafka.bootstrap)]
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
})
