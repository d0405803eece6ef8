import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import { describeBroker } from '../../contract/broker.ts'
import { requireServer } from '../../servers/availability.ts'
import { freePort } from '../../servers/free-port.ts'
import { type KafkaServer, kafkaMissing, startKafka } from '../../servers/kafka.ts'
import { startTcpProxy, type TcpProxy } from '../../servers/tcp-proxy.ts'
import { capVersions } from './cap-versions.ts'
import { kafkaSettings } from './kafka-fixtures.ts'

async function startOldKafka(
  clusterId?: string,
): Promise<{ server: KafkaServer; proxy: TcpProxy; through: string }> {
  const port = await freePort()
  const server = await startKafka({ proxy: port, ...(clusterId && { clusterId }) })
  const proxy = await startTcpProxy({ target: { port: server.behindProxy }, port, rewrite: capVersions })
  return { server, proxy, through: `127.0.0.1:${port}` }
}

describe('a broker that speaks old versions only', requireServer(kafkaMissing()), () => {
  let old: Awaited<ReturnType<typeof startOldKafka>>
  before(async () => {
    // The adapter takes it for Redpanda, of which it knows that it speaks them.
    old = await startOldKafka('redpandaAAAAAAAAAAAAAA')
  })
  after(async () => {
    await old.proxy.close()
    await old.server.close()
  })

  describeBroker(
    'in the oldest version of each request',
    async () => {
      const broker = await openKafkaBroker(kafkaSettings(old.through), AbortSignal.timeout(20_000))
      return { broker, close: () => broker.close() }
    },
    { remembersNames: false },
  )
})

test('Apache Kafka before 3.7 is refused', requireServer(kafkaMissing()), async (t) => {
  const { server, proxy, through } = await startOldKafka()
  t.after(() => server.close())
  t.after(() => proxy.close())
  await assert.rejects(openKafkaBroker(kafkaSettings(through), AbortSignal.timeout(20_000)), {
    code: 'BROKER_UNSUPPORTED',
  })
})
