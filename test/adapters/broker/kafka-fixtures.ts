import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { KafkaSettings } from '../../../src/adapters/broker/kafka/settings.ts'
import { type inspectKafka, openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import type { Broker } from '../../../src/ports/broker.ts'
import { deadline, textRecord } from '../../contract/broker-fixtures.ts'
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
    sessionMs: 6_000,
    log: quietLog,
    ...more,
  }
}

/** What a look at a broker asks about. */
export const USES: Parameters<typeof inspectKafka>[1] = {
  topics: ['market.trades', 'tapeline.control', 'tapeline.registry'],
  prefixes: ['app.'],
  groups: ['tapeline.producers'],
  transactionalIds: ['tapeline.coordinator'],
  clock: { topic: 'tapeline.control', transactionalId: 'tapeline.doctor' },
}

/** Publishes texts to the first partition of a topic. */
export const publishTexts = (broker: Broker, topic: string, ...texts: string[]) =>
  broker.publish([{ topic, partition: 0, records: texts.map((text) => textRecord(text)) }], deadline())

/** Changes one letter of a text that a partition holds, in the file of the log: the checksum of its batch is then wrong. */
export async function spoilBatch(
  { data }: Pick<KafkaServer, 'data'>,
  topic: string,
  partition: number,
  text: string,
): Promise<void> {
  const path = join(data, `${topic}-${partition}`, `${'0'.repeat(20)}.log`)
  const file = await open(path, 'r+')
  try {
    const at = (await file.readFile()).indexOf(text)
    assert.ok(at >= 0, `${text} is not in ${path}`)
    await file.write('~', at)
  } finally {
    await file.close()
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
