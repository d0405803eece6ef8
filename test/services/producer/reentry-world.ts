import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { openControlBus } from '../../../src/control/bus.ts'
import { createDeadLetterDesk } from '../../../src/control/dead-letters.ts'
import { joinMembership } from '../../../src/control/membership.ts'
import { readRanges } from '../../../src/control/read-range.ts'
import { openRegistry } from '../../../src/control/registry.ts'
import { ensureTopics } from '../../../src/control/topics.ts'
import { marketKey, shardOf, type Trade } from '../../../src/domain/events.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { Broker, StoredRecord } from '../../../src/ports/broker.ts'
import type { SourceBatch } from '../../../src/ports/source.ts'
import { writeDeadLetters } from '../../../src/services/consumer-fixed/dead-letters.ts'
import { createProducerServices } from '../../../src/services/producer/producer.ts'
import { NAMES } from '../../names.ts'
import { quietAlerts, quietLog, quietMeter } from '../../quiet.ts'
import { until } from '../until.ts'
import { idleSource } from './idle-source.ts'

export const NEVER = new AbortController().signal
export const TOPICS = NAMES.fixed
export const PARTITIONS = 2
const encoder = new TextEncoder()

export const trade = (symbol: string, id: string): Trade => ({
  ...{ exchange: 'x', symbol, id, side: 'buy', price: 1, size: 1, ts: 1_000, recvTs: 1_000 },
})
/** A symbol of each shard. */
export const SYMBOLS = [0, 1].map((k) => {
  const symbol = ['A-A', 'A-B', 'B-C', 'A-D', 'B-E'].find(
    (each) => shardOf(marketKey({ exchange: 'x', symbol: each }), PARTITIONS) === k,
  )
  assert.ok(symbol)
  return symbol
}) as [string, string]

interface Bad {
  readonly value: string
  readonly topic?: string
  readonly partition?: number
  readonly version?: number
}

/** A broker with dead letters, a desk, and producers that each own some shards. */
export async function setUp(t: TestContext) {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  const topicSettings = {
    names: NAMES,
    partitions: PARTITIONS,
    retentionMs: 1e9,
    deadLetterRetentionMs: 1e9,
  }
  await ensureTopics(broker, topicSettings, NEVER)
  const registry = await openRegistry(broker, NAMES, quietLog, NEVER)
  const bus = await openControlBus(broker, NAMES, registry, quietLog, NEVER)
  const gatewayMembership = joinMembership(
    bus,
    { instance: 'gateway', roles: ['gateway'] },
    Date.now,
    quietLog,
  )
  const closings: (() => Promise<void> | void)[] = []
  t.after(async () => {
    for (const close of closings.reverse()) await close()
    gatewayMembership.close()
    await registry.close()
    await bus.close()
    await broker.close()
  })
  let ids = 0
  const newId = (): string => `id-${ids++}`
  /** One that waits for answers so long. */
  const openDesk = (answerMs = 5_000) =>
    createDeadLetterDesk({
      names: NAMES,
      ...{ instance: 'gateway', broker, bus, membership: gatewayMembership, newId, log: quietLog, answerMs },
    })

  /** A producer of some shards whose machine publishes what it is given at once; `hold` keeps it from doing so. */
  const produce = async (
    name: string,
    shards: readonly number[],
    { through = broker as Broker, hold = false } = {},
  ) => {
    const mine: Broker = {
      ...through,
      createTopics: (specs, signal) => through.createTopics(specs, signal),
      listTopics: (prefix, signal) => through.listTopics(prefix, signal),
      describeTopics: (names, signal) => through.describeTopics(names, signal),
      publish: (entries, signal) => through.publish(entries, signal),
      takeOver: (id, signal) => through.takeOver(id, signal),
      openReader: (signal) => through.openReader(signal),
      joinGroup: async ({ topics, onAssignment }) => {
        await onAssignment(topics.flatMap((topic) => shards.map((partition) => ({ topic, partition }))))
        return { commit: async () => {}, leave: async () => {} }
      },
    }
    const services = await createProducerServices(
      {
        alerts: quietAlerts,
        names: NAMES,
        ...{ source: idleSource, markets: [], broker: mine, registry, bus, instance: name, topics: TOPICS },
        ...{ partitions: PARTITIONS, standing: new Map(), lingerMs: 0, now: Date.now, newId },
        ...{ log: quietLog, meter: quietMeter },
      },
      NEVER,
    )
    await services.publishFixed({ items: [] }, NEVER)
    const membership = joinMembership(bus, { instance: name, roles: ['producer'] }, Date.now, quietLog)
    const batches: SourceBatch[] = []
    const unlisten = services.onReentry((batch) => {
      batches.push(batch)
      if (!hold) void services.publishFixed(batch, NEVER).catch(() => undefined)
    })
    await until('the gateway knows it', () =>
      gatewayMembership.live().some(({ instance }) => instance === name),
    )
    closings.push(async () => {
      unlisten()
      membership.close()
      await services.close(NEVER)
    })
    return { services, batches }
  }

  let refused = 0
  /** Keeps records as dead letters; gives their ids. */
  const bury = async (bad: readonly Bad[]): Promise<string[]> => {
    const rejected = bad.map(({ value, topic = TOPICS.trade, partition = 0, version = 1 }) => ({
      ...{ topic, partition },
      record: {
        ...{ offset: refused++, timestamp: 1_700_000_000_000, key: null, value: encoder.encode(value) },
        headers: { v: version, kind: 'event' as const },
      },
      error: new TapelineError('EVENT_INVALID', 'the table refuses it'),
    }))
    await writeDeadLetters(broker, NAMES.deadLetters, rejected, NEVER)
    return rejected.map(({ topic, partition, record }) => `${topic}:${partition}:${record.offset}`)
  }

  /** The events of a topic, without markers. */
  const published = async (
    topic: string = TOPICS.trade,
  ): Promise<(StoredRecord & { partition: number })[]> => {
    const [described] = await broker.listTopics(topic, NEVER)
    const found: (StoredRecord & { partition: number })[] = []
    const ranges = (described?.offsets ?? []).map(({ earliest, end }, partition) => ({
      topic,
      partition,
      offset: earliest,
      end,
    }))
    await readRanges(
      broker,
      ranges,
      ({ partition, records }) => {
        for (const record of records)
          if (record.headers.kind === 'event') found.push({ ...record, partition })
      },
      NEVER,
    )
    return found
  }
  return { broker, desk: openDesk(), openDesk, produce, bury, published }
}
