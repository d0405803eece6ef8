import { after, before, describe } from 'node:test'
import { openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import { describeBroker } from '../../contract/broker.ts'
import { quietLog } from '../../quiet.ts'
import { requireServer } from '../../servers/availability.ts'
import { type KafkaServer, kafkaMissing, startKafka } from '../../servers/kafka.ts'

describe('the broker on Kafka', requireServer(kafkaMissing()), () => {
  let server: KafkaServer
  before(async () => {
    server = await startKafka()
  })
  after(() => server.close())

  describeBroker(
    'Kafka',
    async () => {
      const settings = {
        bootstrap: [server.bootstrap],
        clientId: 'tapeline-test',
        compression: 'none',
        replication: 0,
        log: quietLog,
      } as const
      const broker = await openKafkaBroker(settings, AbortSignal.timeout(20_000))
      return { broker, close: () => broker.close() }
    },
    { remembersNames: false },
  )
})
