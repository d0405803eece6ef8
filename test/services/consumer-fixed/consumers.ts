import type { TestContext } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { ensureTopics } from '../../../src/control/topics.ts'
import { encodeEvent } from '../../../src/domain/event-codec.ts'
import type { Trade } from '../../../src/domain/events.ts'
import type { Broker, OutgoingRecord } from '../../../src/ports/broker.ts'
import { createConsumerFixedServices } from '../../../src/services/consumer-fixed/consumer-fixed.ts'
import type { ConsumerFixedParts } from '../../../src/services/consumer-fixed/parts.ts'
import { createAlerts } from '../../../src/telemetry/alerts.ts'
import { startConsumerFixed } from '../../../src/topology/actors.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { ProcessBroker } from '../process-broker.ts'
import { FencedStore } from './fenced-store.ts'

export const NEVER = new AbortController().signal
export const TOPICS = NAMES.fixed
export const PARTITIONS = 4
export const RETENTION_MS = 3_600_000

export const tradeRecord = (partition: number, id: string, ts = 1_000): OutgoingRecord => ({
  key: 'x:A-B',
  value: encodeEvent({
    ...{ exchange: 'x', symbol: 'A-B', id, side: 'buy', price: 1.5, size: 0.25, ts, recvTs: ts },
  } satisfies Trade),
  headers: { v: 1, kind: 'event', shard: partition, epoch: 1 },
})

/** The broker is there. */
export const always: ConsumerFixedParts['duringBroker'] = (signal, work) => work(signal)

interface SetUp {
  readonly lanes?: number
  readonly maxRecords?: number
  readonly folder?: string
  /** A broker in the place of an embedded one. */
  readonly on?: Broker
}

/** Fixed topics with numbered trades, a database, and fixed consumers as processes over both. */
export async function setUp(
  t: TestContext,
  { lanes = 2, maxRecords = 200, folder = ':memory:', on }: SetUp = {},
) {
  let now = 1_700_000_000_000
  const broker = on ?? (await openEmbeddedBroker({ folder, now: () => now, cleanEveryMs: 5 }))
  const settings = { names: NAMES, partitions: PARTITIONS, retentionMs: RETENTION_MS }
  await ensureTopics(broker, { ...settings, deadLetterRetentionMs: RETENTION_MS }, NEVER)
  const store = new FencedStore(lanes)
  const closings = new Set<() => Promise<void>>()
  t.after(async () => {
    for (const close of closings) await close()
    await broker.close()
  })

  const published: string[] = []
  let lastId = 0
  /** Publishes so many numbered trades, spread over the partitions. */
  const publish = async (count: number): Promise<void> => {
    const entries = Array.from({ length: PARTITIONS }, (_, partition) => ({
      topic: TOPICS.trade,
      partition,
      records: [] as OutgoingRecord[],
    }))
    for (let i = 0; i < count; i++) {
      const id = `t${lastId++}`
      published.push(id)
      const entry = entries[lastId % PARTITIONS]
      entry?.records.push(tradeRecord(entry.partition, id))
    }
    await broker.publish(
      entries.filter(({ records }) => records.length > 0),
      NEVER,
    )
  }

  /** Starts a fixed consumer: its services, its machine, its own view of the broker. */
  const start = async ({ duringBroker = always }: Partial<Pick<ConsumerFixedParts, 'duringBroker'>> = {}) => {
    const mine = new ProcessBroker(broker)
    const alerts = createAlerts({ log: quietLog, meter: quietMeter })
    const { book: _notStored, ...topics } = TOPICS
    const services = await createConsumerFixedServices(
      {
        names: NAMES,
        ...{ broker: mine, store: store.ofProcess(), topics, maxRecords, lingerMs: 1 },
        ...{ nowMicros: () => performance.now() * 1_000, raiseAlert: alerts.raise, duringBroker },
        ...{ log: quietLog, meter: quietMeter },
      },
      NEVER,
    )
    const machine = startConsumerFixed(
      {
        settings: { now: () => performance.now(), random: () => 0, alertAfterMs: 150 },
        ...{ alerts, onTransition: () => {}, log: quietLog, meter: quietMeter },
      },
      services,
    )
    const leave = async (): Promise<void> => {
      closings.delete(leave)
      machine.stop()
      await services.close(NEVER)
    }
    closings.add(leave)
    const kill = async (): Promise<void> => {
      closings.delete(leave)
      machine.stop()
      await mine.kill()
      closings.add(async () => {
        mine.bury()
        await services.close(NEVER).catch(() => undefined)
      })
    }
    return { broker: mine, services, machine, alerts, leave, kill }
  }

  return {
    ...{ broker, store, published, publish, start },
    passTime(ms: number) {
      now += ms
    },
  }
}
