import type { TestContext } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { openControlBus } from '../../../src/control/bus.ts'
import { openRegistry } from '../../../src/control/registry.ts'
import { ensureTopics } from '../../../src/control/topics.ts'
import { admit, emptyMemory } from '../../../src/domain/reader-rules.ts'
import type { Market } from '../../../src/ports/source.ts'
import { createProducerServices } from '../../../src/services/producer/producer.ts'
import { NAMES } from '../../names.ts'
import { quietAlerts, quietLog, quietMeter } from '../../quiet.ts'
import { ProcessBroker } from '../process-broker.ts'
import { idleSource } from './idle-source.ts'

export const NEVER = new AbortController().signal
const TOPICS = NAMES.fixed

/** Producers of the only shard, each with a broker of its own over one log. */
export async function setUp(t: TestContext) {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  const settings = { names: NAMES, partitions: 1, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  await ensureTopics(broker, settings, NEVER)
  const closings: (() => Promise<void>)[] = []
  let passedMs = 0
  t.after(async () => {
    for (const close of closings) await close()
    await broker.close()
  })
  const start = async (instance: string, markets: readonly Market[] = []) => {
    const mine = new ProcessBroker(broker)
    const registry = await openRegistry(mine, NAMES, quietLog, NEVER)
    const bus = await openControlBus(mine, NAMES, registry, quietLog, NEVER)
    const services = await createProducerServices(
      {
        alerts: quietAlerts,
        ...{ source: idleSource, markets, broker: mine, registry, bus, instance, topics: TOPICS },
        ...{
          names: NAMES,
          partitions: 1,
          standing: new Map(),
          lingerMs: 0,
          now: () => Date.now() + passedMs,
          newId: () => instance,
        },
        ...{ log: quietLog, meter: quietMeter },
      },
      NEVER,
    )
    closings.push(async () => {
      await mine.thaw()
      mine.beforePublish = async () => {}
      await services.close(NEVER)
      await registry.close()
      await bus.close()
    })
    return { services, mine }
  }
  /** What counts in a fixed topic. */
  const counted = async (topic: string): Promise<unknown[]> => {
    const reader = await broker.openReader(AbortSignal.timeout(30_000))
    await reader.assign([{ topic, partition: 0, offset: 0 }], AbortSignal.timeout(30_000))
    const memory = emptyMemory()
    const bodies: unknown[] = []
    for (const fetch of await reader.poll({ maxRecords: 1_000, waitMs: 0 }, NEVER)) {
      if (fetch.kind !== 'records') continue
      for (const { headers, value } of fetch.records)
        if (admit(memory, headers) && value) bodies.push(JSON.parse(Buffer.from(value).toString()))
    }
    await reader.close(AbortSignal.timeout(30_000))
    return bodies
  }
  const passTime = (ms: number): void => {
    passedMs += ms
  }
  return { broker, start, counted, passTime }
}
