import type { TestContext } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { openControlBus } from '../../../src/control/bus.ts'
import { claimOwnership } from '../../../src/control/claim.ts'
import { openRegistry, type Registry } from '../../../src/control/registry.ts'
import {
  type FormerStream,
  type RegistryRecord,
  registryEntry,
} from '../../../src/control/registry-records.ts'
import { RegistryView } from '../../../src/control/registry-view.ts'
import { ensureTopics, findTopic } from '../../../src/control/topics.ts'
import type { Channel, Trade } from '../../../src/domain/events.ts'
import type { StreamSpec } from '../../../src/domain/stream-spec.ts'
import type { Broker, StoredRecord } from '../../../src/ports/broker.ts'
import type { Log, Meter } from '../../../src/ports/log.ts'
import type { Market } from '../../../src/ports/source.ts'
import { createProducerServices } from '../../../src/services/producer/producer.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { disturb } from '../disturbances.ts'
import { ProcessBroker } from '../process-broker.ts'
import { idleSource } from './idle-source.ts'

export const NEVER = new AbortController().signal
const TOPICS = NAMES.fixed
const SETTINGS = { names: NAMES, partitions: 1, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
const LEADER = { v: 1, instance: 'test', kind: 'stream', state: 'ready' } as const

export const trades = (symbol: string, ...ids: string[]) => ({
  items: ids.map((id, n) => {
    const event: Trade = {
      exchange: 'x',
      symbol,
      id,
      side: 'buy',
      price: 1,
      size: 1,
      ts: 1_000 + n,
      recvTs: 1_000,
    }
    return { channel: 'trade' as const, event }
  }),
})

/** A broker with the topics of a platform of one shard, and a registry without a leader: what is in its view, a test applies. */
export async function openBareLog(t: TestContext) {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  t.after(() => broker.close())
  await ensureTopics(broker, SETTINGS, NEVER)
  const view = new RegistryView(NAMES.leaderId)
  const registry = { view, reached: async () => {}, watch: () => () => {} } as unknown as Registry
  return { broker, view, registry }
}

/** A producer that owns the only shard, over a broker whose publishes can be watched: one of its own, or one that is given. */
export async function setUp(
  t: TestContext,
  on: string | Broker = ':memory:',
  markets: readonly Market[] = [],
) {
  const broker = typeof on === 'string' ? await openEmbeddedBroker({ folder: on }) : on
  await ensureTopics(broker, SETTINGS, NEVER)
  const leader = await claimOwnership(broker, NAMES, NAMES.leaderId, 'test', 0, NEVER)
  const registry = await openRegistry(broker, NAMES, quietLog, NEVER)
  const bus = await openControlBus(broker, NAMES, registry, quietLog, NEVER)
  /** How far the owner has said that streams are. */
  const passed = new Map<string, number>()
  bus.on('SEAM_PASSED', ({ passed: streams }) => {
    for (const { streamId, offset } of streams) passed.set(streamId, offset)
  })
  const mine = new ProcessBroker(broker)
  const state = disturb(mine)
  const clock = { skippedMs: 0 }
  const alerts: Record<string, string> = {}
  const counts = new Map<string, Record<string, number>>()
  const meter: Meter = {
    ...quietMeter,
    count(name, amount = 1, labels = {}) {
      const of = Object.values(labels).join()
      const known = counts.get(name) ?? {}
      counts.set(name, { ...known, [of]: (known[of] ?? 0) + amount })
    },
  }
  const warnings: Readonly<Record<string, unknown>>[] = []
  const log: Log = { ...quietLog, warn: (fields) => warnings.push({ ...fields }), child: () => log }
  const services = await createProducerServices(
    {
      alerts: {
        raise(id, code) {
          // The gaps that follow from what is told here are told in gap-causes.test.ts.
          if (code !== 'GAP_FLAGGED') alerts[id] = code
        },
        clear(id) {
          delete alerts[id]
        },
      },
      names: NAMES,
      ...{ source: idleSource, markets, registry, bus, instance: 'producer', topics: TOPICS },
      broker: mine,
      ...{
        partitions: 1,
        standing: new Map(),
        lingerMs: 0,
        now: () => Date.now() + clock.skippedMs,
        newId: () => 'id',
      },
      ...{ log, meter },
    },
    NEVER,
  )
  let isEnded = false
  const end = async (): Promise<void> => {
    if (isEnded) return
    isEnded = true
    await services.close(NEVER)
    await leader.writer.close()
    await registry.close()
    await bus.close()
  }
  t.after(async () => {
    await end()
    await broker.close()
  })

  /** Makes a stream that starts where the fixed topic ended at `start`, and tells the producer. */
  const announce = async (
    name: string,
    symbols: readonly string[],
    start: number,
    channel: Channel = 'trade',
    tailored: Partial<StreamSpec> = {},
  ): Promise<void> => {
    const [topic] = await broker.createTopics([{ name, partitions: 1, retentionMs: 1e9 }], NEVER)
    const spec = { channel, symbols: [...symbols], exchanges: [], ...tailored }
    await register({
      ...{ ...LEADER, epoch: leader.epoch, id: name, topic: name, topicId: topic?.id ?? '' },
      ...{ spec, start: [start], createdAt: 0 },
    })
    services.applyNotification({ ready: [name], ended: [] })
  }
  /** A lease has a stream, from an offset of the fixed topic on, and those before. */
  const lend = async (
    streamId: string,
    { start, former }: { readonly start?: number; readonly former?: readonly FormerStream[] },
  ): Promise<void> =>
    register({
      ...{ v: 1, instance: 'test', kind: 'lease', state: 'live', epoch: leader.epoch, id: 'lease' },
      ...{ streamId, reason: '', app: 'a', ttlMs: 0, standing: false, opensTopic: false, createdAt: 0 },
      ...(start !== undefined && { start: [start] }),
      ...(former && { former }),
    })
  /** The leader writes into the registry, and the producer hears of it. */
  const register = async (body: RegistryRecord): Promise<void> => {
    const record = registryEntry(body)
    const [ack] = await leader.writer.commit(
      [{ topic: NAMES.registry, partition: 0, records: [record] }],
      NEVER,
    )
    await registry.reached((ack?.baseOffset ?? 0) + 1, NEVER)
  }
  const endOfTrades = async (): Promise<number> =>
    (await findTopic(broker, TOPICS.trade, NEVER))?.offsets[0]?.end ?? 0

  /** The ids of the trades in a topic, and in between what its readers are told of holes. */
  const idsIn = async (name: string): Promise<string[]> => {
    const reader = await broker.openReader(AbortSignal.timeout(30_000))
    try {
      await reader.assign([{ topic: name, partition: 0, offset: 0 }], AbortSignal.timeout(30_000))
      const records: StoredRecord[] = []
      for (let isMore = true; isMore; ) {
        const found = await reader.poll({ maxRecords: 10_000, waitMs: 0 }, NEVER)
        for (const fetch of found) if (fetch.kind === 'records') records.push(...fetch.records)
        isMore = found.length > 0
      }
      return records.flatMap(({ value }) => {
        if (value === null) return []
        const body = JSON.parse(Buffer.from(value).toString()) as
          | Trade
          | { reset: string }
          | { lostFrom: number }
        if ('lostFrom' in body) return []
        return 'reset' in body ? body.reset : body.id
      })
    } finally {
      await reader.close(AbortSignal.timeout(30_000))
    }
  }
  const derive = async (): Promise<void> => {
    while ((await services.publishDynamic(NEVER)).dynamicWaiting);
  }
  return {
    ...{ end, alerts, passed, lend },
    /** It ends without a word: no last checkpoint. */
    async crash() {
      await mine.kill()
      isEnded = true
      t.after(async () => {
        mine.bury()
        await services.close(NEVER).catch(() => undefined)
        await registry.close()
        await bus.close()
      })
    },
    ...{ broker, registry, services, mine, state, clock, warnings, announce, endOfTrades, idsIn, derive },
    /** What a counter came to, by its label. */
    counted: (name: string) => counts.get(name),
    /** Runs once, in front of the next publish to a topic. */
    before(topic: string, act: () => Promise<void>) {
      mine.beforePublish = async (entries) => {
        if (!entries.some((entry) => entry.topic === topic)) return
        mine.beforePublish = async () => undefined
        await act()
      }
    },
  }
}
