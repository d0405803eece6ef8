import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openKafkaBroker } from '../../src/adapters/broker/kafka.ts'
import type { Broker } from '../../src/ports/broker.ts'
import { kafkaSettings } from '../adapters/broker/kafka-fixtures.ts'
import { requireServer } from '../servers/availability.ts'
import { type KafkaServer, kafkaMissing, startKafka } from '../servers/kafka.ts'
import { runTakeovers } from './takeover-run.ts'

const RUNS = Number(process.env['TAPELINE_TAKEOVER_RUNS_KAFKA'] ?? 3)
const FIRST_SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)

describe('take-overs on Kafka', requireServer(kafkaMissing()), () => {
  let server: KafkaServer
  before(async () => {
    server = await startKafka()
  })
  after(() => server.close())

  /** With the topics of the run before gone. */
  async function open(): Promise<Broker> {
    const signal = AbortSignal.timeout(30_000)
    const broker = await openKafkaBroker(kafkaSettings(server.bootstrap), signal)
    const topics = await broker.listTopics('', signal)
    await broker.deleteTopics(topics, signal)
    return broker
  }

  test(`whoever may write: ${RUNS} random stalls, deaths and take-overs from seed ${FIRST_SEED}`, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      const { silent, dupF, hole, phantom, dupD, windows, ...rest } = await runTakeovers(seed, {
        open,
        patienceMs: 20,
      })
      const broken = { silent, dupF, hole, phantom, dupD, windows }
      assert.deepEqual(
        broken,
        { silent: 0, dupF: 0, hole: 0, phantom: 0, dupD: 0, windows: 0 },
        `seed ${seed}`,
      )
      assert.ok(
        rest.trades > 0 && rest.owners > 3,
        `seed ${seed}: ${rest.trades} trades, ${rest.owners} owners`,
      )
    }
  })
})
