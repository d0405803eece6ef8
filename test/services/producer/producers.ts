import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { openControlBus } from '../../../src/control/bus.ts'
import { claimOwnership } from '../../../src/control/claim.ts'
import { readRanges } from '../../../src/control/read-range.ts'
import { openRegistry } from '../../../src/control/registry.ts'
import { registryEntry } from '../../../src/control/registry-records.ts'
import { ensureTopics, findTopic } from '../../../src/control/topics.ts'
import { marketKey, type Status, type Trade } from '../../../src/domain/events.ts'
import { admit, emptyMemory } from '../../../src/domain/reader-rules.ts'
import type { StoredRecord } from '../../../src/ports/broker.ts'
import type { Meter } from '../../../src/ports/log.ts'
import type { Source } from '../../../src/ports/source.ts'
import { createProducerServices } from '../../../src/services/producer/producer.ts'
import { createAlerts } from '../../../src/telemetry/alerts.ts'
import { startProducer } from '../../../src/topology/actors.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { ProcessBroker } from '../process-broker.ts'
import { until } from '../until.ts'
import { Exchange } from './exchange.ts'

export const NEVER = new AbortController().signal
export const TOPICS = NAMES.fixed
export const PARTITIONS = 4
export const MARKETS = Array.from({ length: 12 }, (_, n) => ({ exchange: 'x', symbol: `S${n}-USD` }))

interface Start {
  readonly capacity?: number
  readonly random?: number
  readonly speed?: number
  /** Another source than a connection to the exchange. */
  readonly source?: Source
  readonly meter?: Meter
}

/** Producers as processes over one broker and one exchange, with streams of all trades. */
export async function setUp(t: TestContext, streams: readonly string[] = ['app.all']) {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  const settings = { names: NAMES, partitions: PARTITIONS, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  await ensureTopics(broker, settings, NEVER)
  const made = await broker.createTopics(
    streams.map((name) => ({ name, partitions: 1 })),
    NEVER,
  )
  const leader = await claimOwnership(broker, NAMES, NAMES.leaderId, 'test', 0, NEVER)
  const records = made.map(({ name, id }) =>
    registryEntry({
      ...{ v: 1, instance: 'test', epoch: leader.epoch, kind: 'stream', id: name, state: 'ready' },
      ...{ topic: name, topicId: id, spec: { channel: 'trade', symbols: ['*'], exchanges: [] } },
      ...{ start: Array.from({ length: PARTITIONS }, () => 0), createdAt: 0 },
    }),
  )
  await leader.writer.commit([{ topic: NAMES.registry, partition: 0, records }], NEVER)

  const exchange = new Exchange()
  const closings = new Set<() => Promise<void>>()
  t.after(async () => {
    for (const close of closings) await close()
    await broker.close()
  })
  let instances = 0

  const start = async ({
    capacity = 100_000,
    random = 0,
    speed = 1,
    source,
    meter = quietMeter,
  }: Start = {}) => {
    const now = (): number => performance.now() * speed
    const instance = `producer-${++instances}`
    const mine = new ProcessBroker(broker)
    const registry = await openRegistry(mine, NAMES, quietLog, NEVER)
    const bus = await openControlBus(mine, NAMES, registry, quietLog, NEVER)
    const connection = exchange.connect(capacity)
    const told: string[][] = []
    const services = await createProducerServices(
      {
        alerts: { raise: (id, code, message) => told.push([id, code, message]), clear: () => {} },
        ...{
          source: source ?? connection.source,
          markets: source ? [] : MARKETS,
          broker: mine,
          registry,
          bus,
          instance,
        },
        ...{ names: NAMES, topics: TOPICS, partitions: PARTITIONS, standing: new Map(), lingerMs: 0 },
        ...{ now, newId: () => instance, log: quietLog, meter },
      },
      NEVER,
    )
    const alerts = createAlerts({ log: quietLog, meter: quietMeter })
    const machine = startProducer(
      {
        settings: { now: () => performance.now(), random: () => random, alertAfterMs: 100 },
        ...{ alerts, onTransition: () => {}, log: quietLog, meter: quietMeter },
      },
      services,
      () => ({ shards: services.shards() }),
    )
    services.onSourceBack(() => machine.send({ type: 'RETRY' }))
    services.onShardsAssigned(() => machine.send({ type: 'RETRY' }))
    const end = async (): Promise<void> => {
      closings.delete(leave)
      machine.stop()
      connection.cut()
    }
    /** Goes politely. */
    const leave = async (): Promise<void> => {
      await end()
      await mine.thaw()
      await services.close(NEVER)
      await bus.close()
      await registry.close()
    }
    closings.add(leave)
    const kill = async (): Promise<void> => {
      await end()
      await mine.kill()
      closings.add(async () => {
        mine.bury()
        await services.close(NEVER).catch(() => undefined)
        await bus.close()
        await registry.close()
      })
    }
    return { broker: mine, services, machine, alerts, told, connection, leave, kill }
  }

  /** The records of a topic that count for a reader, partition by partition. */
  const counted = async (topic: string): Promise<(StoredRecord & { readonly partition: number })[]> => {
    const description = await findTopic(broker, topic, NEVER)
    const found: (StoredRecord & { partition: number })[] = []
    const memories = new Map<number, ReturnType<typeof emptyMemory>>()
    const ranges = (description?.offsets ?? []).map(({ end }, partition) => ({
      topic,
      partition,
      offset: 0,
      end,
    }))
    await readRanges(
      broker,
      ranges,
      ({ partition, records: read }) => {
        const memory = memories.get(partition) ?? emptyMemory()
        memories.set(partition, memory)
        for (const record of read) if (admit(memory, record.headers)) found.push({ ...record, partition })
      },
      NEVER,
    )
    return found
  }

  /**
   * Trades once more in every market, waits until that is published and derived, and holds the guarantees against the ledger: no
   * trade twice, none missing outside the gaps of its market, and every stream holds what the fixed topic holds.
   */
  const settle = async (): Promise<{ readonly missing: number }> => {
    const last = MARKETS.map((market) => {
      exchange.trade([market])
      return exchange.ledger.at(-1)?.id ?? ''
    })
    await until('the last trades are published', async () => {
      const ids = new Set((await counted(TOPICS.trade)).map((record) => bodyOf<Trade>(record).id))
      return last.every((id) => ids.has(id))
    })
    const published = (await counted(TOPICS.trade)).map((record) => ({
      record,
      trade: bodyOf<Trade>(record),
    }))
    const ids = published.map(({ trade }) => trade.id)
    assert.equal(new Set(ids).size, ids.length, 'no trade is published twice')

    const gaps = (await counted(TOPICS.status))
      .map((record) => bodyOf<Status>(record))
      .filter(({ state, symbol }) => state === 'gap' && symbol !== undefined)
    const isCovered = (trade: Trade): boolean =>
      gaps.some(
        (gap) =>
          marketKey(gap) === marketKey(trade) && (gap.from ?? 0) <= trade.ts && trade.ts <= (gap.to ?? 0),
      )
    const known = new Set(ids)
    // Before its first trade a market has nothing that a gap could begin with.
    const begun = new Map<string, number>()
    for (const { trade } of published)
      begun.set(marketKey(trade), Math.min(trade.ts, begun.get(marketKey(trade)) ?? trade.ts))
    const missing = exchange.ledger.filter(
      (trade) => !known.has(trade.id) && trade.ts > (begun.get(marketKey(trade)) ?? 0),
    )
    const silent = missing.filter((trade) => !isCovered(trade))
    assert.deepEqual(silent, [], 'what is missing lies within gaps')

    const expected = published.map(({ record, trade }) => `${record.partition}:${record.offset}=${trade.id}`)
    for (const stream of streams) {
      const derived = async (): Promise<string[]> =>
        (await counted(stream)).map((record) => {
          const { partition, offset } = record.headers.position ?? { partition: -1, offset: -1 }
          return `${partition}:${offset}=${bodyOf<Trade>(record).id}`
        })
      await until(`${stream} is complete`, async () => (await derived()).length >= expected.length)
      assert.deepEqual(
        (await derived()).toSorted(),
        expected.toSorted(),
        `${stream} holds what was published`,
      )
    }
    return { missing: missing.length }
  }

  /** Every market's trades lie in the order in which they were made; a source that repeats what was missed would put it later. */
  const assertInOrder = async (): Promise<void> => {
    const trades = (await counted(TOPICS.trade)).map((record) => bodyOf<Trade>(record))
    for (const [market, own] of Map.groupBy(trades, marketKey)) {
      const numbers = own.map(({ id }) => Number(id.slice(1)))
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
        `${market} is published in order`,
      )
    }
  }

  return { broker, exchange, start, counted, settle, assertInOrder }
}

export function bodyOf<T>({ value }: StoredRecord): T {
  return JSON.parse(Buffer.from(value ?? []).toString()) as T
}
