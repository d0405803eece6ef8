import { after, before, describe } from 'node:test'
import { openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import { describeBroker } from '../../contract/broker.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { type SharedKafka, shareKafka } from '../../servers/shared.ts'
import { kafkaSettings, spoilBatch } from './kafka-fixtures.ts'

describe('the broker on Kafka', requireServer(kafkaMissing()), () => {
  let server: SharedKafka
  before(async () => {
    server = await shareKafka()
  })
  after(() => server.close())

  describeBroker(
    'Kafka',
    async () => {
      const broker = await openKafkaBroker(kafkaSettings(server.bootstrap), AbortSignal.timeout(20_000))
      return {
        broker,
        close: () => broker.close(),
        spoil: (topic, partition, text) => spoilBatch(server, topic, partition, text),
      }
    },
    { remembersNames: false },
  )
})
