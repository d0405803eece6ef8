import type { TestContext } from 'node:test'
import type { KafkaSettings } from '../../../src/adapters/broker/kafka/settings.ts'
import { openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import type { Broker } from '../../../src/ports/broker.ts'
import { quietLog } from '../../quiet.ts'
import { freePort } from '../../servers/free-port.ts'
import { type KafkaOptions, type KafkaServer, startKafka } from '../../servers/kafka.ts'
import { type Rewriting, startTcpProxy, type TcpProxy } from '../../servers/tcp-proxy.ts'

export function kafkaSettings(bootstrap: string, more: Partial<KafkaSettings> = {}): KafkaSettings {
  return {
    bootstrap: [bootstrap],
    clientId: 'tapeline-test',
    compression: 'none',
    replication: 0,
    log: quietLog,
    ...more,
  }
}

/** A client for one test. */
export async function openKafkaFor(
  t: TestContext,
  bootstrap: string,
  more: Partial<KafkaSettings> = {},
): Promise<Broker> {
  const broker = await openKafkaBroker(kafkaSettings(bootstrap, more), AbortSignal.timeout(20_000))
  t.after(() => broker.close())
  return broker
}

export interface ProxiedKafka {
  readonly server: KafkaServer
  readonly proxy: TcpProxy
  /** HOST:PORT through the proxy; `server.bootstrap` leads to the broker itself. */
  readonly through: string
  readonly close: () => Promise<void>
}

export async function startProxiedKafka(
  options: KafkaOptions = {},
  rewrite?: () => Rewriting,
): Promise<ProxiedKafka> {
  const port = await freePort()
  const server = await startKafka({ ...options, proxy: port })
  const proxy = await startTcpProxy({
    target: { port: server.behindProxy },
    port,
    ...(rewrite && { rewrite }),
  })
  return {
    server,
    proxy,
    through: `127.0.0.1:${port}`,
    async close() {
      await proxy.close()
      await server.close()
    },
  }
}
