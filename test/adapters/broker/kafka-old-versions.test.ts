import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { REQUESTS } from '../../../src/adapters/broker/kafka/protocol.ts'
import { openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import { describeBroker } from '../../contract/broker.ts'
import { requireServer } from '../../servers/availability.ts'
import { freePort } from '../../servers/free-port.ts'
import { type KafkaServer, kafkaMissing, startKafka } from '../../servers/kafka.ts'
import { type Rewriting, startTcpProxy, type TcpProxy } from '../../servers/tcp-proxy.ts'
import { kafkaSettings } from './kafka-fixtures.ts'

/** The oldest version of each request that the adapter speaks, by the request's key. */
const OLDEST = new Map<number, number>(
  Object.values(REQUESTS).map((versions) => {
    const oldest = versions[versions.length - 1] ?? versions[0]
    return [oldest.key, oldest.version]
  }),
)

/**
 * Makes a broker say that it speaks no later versions than those. Its answer to the question for them is the first thing that it
 * sends: size, correlation id, error code, then key, least and greatest version, and a byte for what may come later.
 */
function capVersions(): Rewriting {
  let isFirst = true
  const toClient = (data: Buffer): Buffer => {
    if (!isFirst) return data
    isFirst = false
    const [count, length] = readUnsigned(data, 10)
    for (let i = 0; i < count - 1; i++) {
      const at = 10 + length + i * 7
      const oldest = OLDEST.get(data.readInt16BE(at))
      if (oldest !== undefined) data.writeInt16BE(Math.min(oldest, data.readInt16BE(at + 4)), at + 4)
    }
    return data
  }
  return { toClient }
}

function readUnsigned(data: Buffer, start: number): [value: number, length: number] {
  let value = 0
  for (let i = 0; ; i++) {
    const byte = data[start + i] ?? 0
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return [value, i + 1]
  }
}

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
