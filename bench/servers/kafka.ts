import { type Config, loadConfig } from '../../src/config.ts'
import { ulid } from '../../src/domain/ulid.ts'
import { TapelineError } from '../../src/errors.ts'
import type { Broker } from '../../src/ports/broker.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { openKafka } from '../../src/topology/engines/servers.ts'
import { kafkaMissing, startKafka } from '../../test/servers/kafka.ts'
import { batchesOf } from '../trades.ts'

/** A Kafka to measure on. Topics have a prefix of their own, and are deleted at the end. */
export interface KafkaToMeasure {
  /** What it is, in one line. */
  readonly name: string
  /** The configuration that leads there. */
  readonly config: Config
  /** Of all topics of this run; the rest belongs to others. */
  readonly prefix: string
  /** A client, which `close` ends. */
  readonly broker: Broker
  close(): Promise<void>
}

const TOPICS_AT_ONCE = 500
const log = createLog({ level: 'warn', pretty: false })
const signal = AbortSignal.timeout(3_600_000)

/**
 * The servers of `--kafka`, or the test server. Login and TLS are configured as for `tapeline up`. Raises CONFIG_INVALID and
 * the BROKER_ codes.
 */
export async function openKafkaToMeasure(servers: string | undefined): Promise<KafkaToMeasure> {
  const server = servers === undefined ? await startTestServer() : undefined
  const config = loadConfig({
    environment: process.env,
    flags: { broker: { kind: 'kafka', bootstrap: (server?.bootstrap ?? servers ?? '').split(',') } },
  })
  const broker = await openKafka(config, log, signal)
  const prefix = `tapeline-bench-${ulid(Date.now(), Math.random).slice(-8)}`
  return {
    name: `Kafka ${server === undefined ? `at ${servers}` : '(test server)'}`,
    config,
    prefix,
    broker,
    async close() {
      try {
        if (server === undefined) await removeTopics(broker, prefix)
      } finally {
        await broker.close()
        await server?.close()
      }
    },
  }
}

/** In portions: a broker refuses ten thousand at once. */
async function removeTopics(broker: Broker, prefix: string): Promise<void> {
  for (const portion of batchesOf(await broker.listTopics(prefix, signal), TOPICS_AT_ONCE))
    await broker.deleteTopics(portion, signal)
}

function startTestServer(): ReturnType<typeof startKafka> {
  const missing = kafkaMissing()
  if (missing === undefined) return startKafka({ measured: true })
  throw new TapelineError('BROKER_UNAVAILABLE', missing, { remedy: 'Or name servers with --kafka.' })
}
