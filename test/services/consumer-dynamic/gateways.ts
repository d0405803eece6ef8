import type { TestContext } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { openControlBus } from '../../../src/control/bus.ts'
import { claimOwnership } from '../../../src/control/claim.ts'
import { joinMembership } from '../../../src/control/membership.ts'
import { openRegistry } from '../../../src/control/registry.ts'
import {
  type RegistryRecord,
  registryEntry,
  registryTombstone,
} from '../../../src/control/registry-records.ts'
import { createStreamDesk } from '../../../src/control/stream-desk.ts'
import { ensureTopics } from '../../../src/control/topics.ts'
import type { Channel } from '../../../src/domain/events.ts'
import type { AppEndpoint, AppMessage } from '../../../src/ports/transport.ts'
import { createDelivery } from '../../../src/services/consumer-dynamic/consumer-dynamic.ts'
import { createAlerts } from '../../../src/telemetry/alerts.ts'
import { ActorRoster } from '../../../src/topology/actors.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { disturb } from '../disturbances.ts'
import { ProcessBroker } from '../process-broker.ts'
import { until } from '../until.ts'

export const NEVER = new AbortController().signal
const APP = 'app'

/** An application's connection, with all that it got. */
class Client {
  readonly messages: AppMessage[] = []
  /** The numbers that came, by stream. */
  readonly got = new Map<string, number[]>()
  /** The cursor after the last message of each stream. */
  readonly cursors = new Map<string, string>()
  readonly endpoint: AppEndpoint & { pendingBytes: number } = {
    id: 'client',
    pendingBytes: 0,
    closed: false,
    send: (message) => {
      this.messages.push(message)
      if ('cursor' in message) this.cursors.set(message.stream, message.cursor)
    },
    sendEncoded: (bytes) => {
      const frame = JSON.parse(Buffer.from(bytes).toString()) as {
        stream: string
        cursor: string
        events: number[]
      }
      this.got.set(frame.stream, [...(this.got.get(frame.stream) ?? []), ...frame.events])
      this.cursors.set(frame.stream, frame.cursor)
    },
    drained: async () => {},
  }

  /** What was said of a stream besides its data. */
  ops(stream: string): string[] {
    return this.messages.flatMap((message) =>
      'stream' in message && message.stream === stream ? [message.op] : [],
    )
  }
}

/** A gateway's delivery over a broker that can be disturbed, and a registry that the test writes. */
export async function setUp(t: TestContext, folder = ':memory:') {
  const broker = await openEmbeddedBroker({ folder, cleanEveryMs: 10, log: quietLog })
  const settings = { names: NAMES, partitions: 1, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  await ensureTopics(broker, settings, NEVER)
  const leader = await claimOwnership(broker, NAMES, NAMES.leaderId, 'test', 0, NEVER)
  const mine = new ProcessBroker(broker)
  const state = disturb(mine)
  const registry = await openRegistry(mine, NAMES, quietLog, NEVER)
  const bus = await openControlBus(mine, NAMES, registry, quietLog, NEVER)
  const membership = joinMembership(
    bus,
    { instance: 'g', roles: ['gateway'] },
    () => performance.now(),
    quietLog,
  )
  const newId = (): string => crypto.randomUUID()
  const desk = createStreamDesk({ instance: 'g', bus, registry, membership, newId })
  const roster = new ActorRoster()
  const actorParts = {
    settings: { now: Date.now, random: () => 0, alertAfterMs: 60_000 },
    alerts: createAlerts({ log: quietLog, meter: quietMeter }),
    ...{ onTransition: () => {}, log: quietLog, meter: quietMeter },
  }
  const delivery = await createDelivery({
    ...{ broker: mine, names: NAMES, desk, bus, registry, instance: 'g', log: quietLog, meter: quietMeter },
    spawn: (app, services) => roster.spawnConsumerDynamic(actorParts, app, services),
    nowMicros: () => Date.now() * 1_000,
  })
  t.after(async () => {
    await delivery.close()
    membership.close()
    await bus.close()
    await registry.close()
    await broker.close()
  })

  const write = async (bodies: readonly object[], removed: readonly string[] = []): Promise<void> => {
    const full = (body: object) =>
      ({ v: 1, instance: 'test', epoch: leader.epoch, createdAt: 0, ...body }) as RegistryRecord
    const records = [
      ...bodies.map((body) => registryEntry(full(body))),
      ...removed.map((id) => registryTombstone(full({ kind: 'lease', id }))),
    ]
    const [ack] = await leader.writer.commit([{ topic: NAMES.registry, partition: 0, records }], NEVER)
    await registry.reached((ack?.baseOffset ?? 0) + records.length, NEVER)
  }
  const lease = (id: string, topic: string, state: 'live' | 'ended' = 'live') =>
    ({
      ...{ kind: 'lease', id, state, reason: state === 'live' ? '' : 'deleted', app: APP, streamId: topic },
      ...{ ttlMs: 0, standing: false, opensTopic: true },
    }) as const

  return {
    ...{ broker, mine, state, roster, desk },
    /** Streams that are ready, one lease each, of the same name; the topic's identity may be another one. */
    async makeStreams(
      topics: readonly string[],
      ids: ReadonlyMap<string, string> = new Map(),
      channel: Channel = 'trade',
    ): Promise<void> {
      const made = await broker.createTopics(
        topics.filter((name) => !ids.has(name)).map((name) => ({ name, partitions: 1 })),
        NEVER,
      )
      const known = new Map([...ids, ...made.map(({ name, id }) => [name, id] as const)])
      await write(
        topics.flatMap((topic) => [
          {
            ...{ kind: 'stream', id: topic, state: 'ready', topic, topicId: known.get(topic) ?? '' },
            ...{ spec: { channel, symbols: [topic], exchanges: [] }, start: [0] },
          } as const,
          lease(`lease-${topic}`, topic),
        ]),
      )
    },
    endLease: (topic: string) => write([lease(`lease-${topic}`, topic, 'ended')], [`lease-${topic}`]),
    /** Numbered events of one shard. */
    async publish(topic: string, from: number, to: number): Promise<void> {
      const records = Array.from({ length: to - from }, (_, i) => ({
        key: 'x:A-B',
        value: new TextEncoder().encode(String(from + i)),
        headers: {
          ...{ v: 1, kind: 'event' as const, shard: 0, epoch: 7 },
          position: { topic: NAMES.fixed.trade, partition: 0, offset: from + i },
        },
      }))
      await broker.publish([{ topic, partition: 0, records }], NEVER)
    },
    connect() {
      const client = new Client()
      const connection = delivery.connect(APP, client.endpoint)
      return {
        client,
        ...connection,
        /** Waits until all these numbers, and no others, have come. */
        async gets(topic: string, numbers: readonly number[]): Promise<void> {
          const got = (): readonly number[] => client.got.get(`lease-${topic}`) ?? []
          await until(`${topic}: ${numbers.length} events`, () => got().length >= numbers.length)
          if (JSON.stringify(got()) !== JSON.stringify(numbers))
            throw new Error(`${topic}: got ${JSON.stringify(got())}`)
        },
        says: (topic: string, op: AppMessage['op']) =>
          until(`${topic}: ${op}`, () => client.ops(`lease-${topic}`).includes(op)),
      }
    },
    machines: () => roster.list().map(({ state, errorInfo }) => ({ state, code: errorInfo?.code })),
  }
}

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i)
