import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  deadline,
  makeTopic,
  readToEnd,
  textOf,
  textRecord,
  uniqueName,
} from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { type SharedKafka, shareKafka } from '../../servers/shared.ts'
import { openKafkaFor } from './kafka-fixtures.ts'

describe('compression on Kafka', requireServer(kafkaMissing()), () => {
  let kafka: SharedKafka
  before(async () => {
    kafka = await shareKafka()
  })
  after(() => kafka.close())

  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    test(`${compression}: records come back as they were, also in transactions`, async (t) => {
      const broker = await openKafkaFor(t, kafka.bootstrap, { compression })
      const topic = await makeTopic(broker)
      const texts = Array.from({ length: 500 }, (_, i) => `record ${i} ${'x'.repeat(i % 50)}`)
      const records = texts.map((text) => textRecord(text, 'key'))
      await broker.publish([{ topic, partition: 0, records }], deadline())
      const writer = await broker.takeOver(uniqueName('id'), deadline())
      await writer.commit([{ topic, partition: 0, records }], deadline())
      assert.deepEqual((await readToEnd(broker, topic)).map(textOf), [...texts, ...texts])
      assert.deepEqual((await readToEnd(broker, topic, 0, 250)).length, 750)
    })
  }
})
