import type { TestContext } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { createWebhookSender } from '../../../src/adapters/transport/webhook/sender.ts'
import { openControlBus } from '../../../src/control/bus.ts'
import { claimOwnership } from '../../../src/control/claim.ts'
import { joinMembership } from '../../../src/control/membership.ts'
import { openRegistry } from '../../../src/control/registry.ts'
import { type RegistryRecord, registryEntry } from '../../../src/control/registry-records.ts'
import { createStreamDesk } from '../../../src/control/stream-desk.ts'
import { ensureTopics } from '../../../src/control/topics.ts'
import { createWebhookDesk } from '../../../src/control/webhook-desk.ts'
import { encodeCursor } from '../../../src/domain/cursor.ts'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import { ulid } from '../../../src/domain/ulid.ts'
import { createDelivery } from '../../../src/services/consumer-dynamic/consumer-dynamic.ts'
import { startWebhooks } from '../../../src/services/webhooks/webhooks.ts'
import { createAlerts } from '../../../src/telemetry/alerts.ts'
import { ActorRoster } from '../../../src/topology/actors.ts'
import { type Receiver, startReceiver } from '../../adapters/transport/webhook/receiver.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { ProcessBroker } from '../process-broker.ts'

export const NEVER = new AbortController().signal
const APP = 'app'
export const STREAM = 'lease'
const TOPIC = 'app.stream'

/** What receivers get. */
export interface Body {
  readonly op: 'data' | 'reset' | 'end'
  readonly stream: string
  readonly events: readonly number[]
  readonly reason?: string
}

export function bodiesOf({ received }: Receiver): Body[] {
  return received.map(({ body }) => JSON.parse(body) as Body)
}

/** The numbers of all messages, those of each id once. */
export function numbersOf({ received }: Receiver): number[] {
  const byId = new Map(received.map(({ headers, body }) => [headers['webhook-id'], JSON.parse(body) as Body]))
  return [...byId.values()].flatMap(({ events = [] }) => events)
}

/** One stream, a registry that the test writes, and as many gateways as are wanted, over one broker. */
export async function setUp(t: TestContext) {
  const broker = await openEmbeddedBroker({ folder: ':memory:', log: quietLog })
  await ensureTopics(
    broker,
    { names: NAMES, partitions: 2, retentionMs: 1e9, deadLetterRetentionMs: 1e9 },
    NEVER,
  )
  const leader = await claimOwnership(broker, NAMES, NAMES.leaderId, 'test', 0, NEVER)
  const [topic] = await broker.createTopics([{ name: TOPIC, partitions: 1 }], NEVER)
  const topicId = topic?.id ?? ''
  const receiver = await startReceiver()
  const closings: (() => Promise<void>)[] = []
  t.after(async () => {
    for (const close of closings.reverse()) await close()
    await broker.close()
    await receiver.close()
  })

  const write = async (...bodies: readonly object[]): Promise<number> => {
    const records = bodies.map((body) =>
      registryEntry({
        ...{ v: 1, instance: 'test', epoch: leader.epoch, createdAt: 0, ...body },
      } as RegistryRecord),
    )
    const [ack] = await leader.writer.commit([{ topic: NAMES.registry, partition: 0, records }], NEVER)
    return (ack?.baseOffset ?? 0) + records.length
  }
  const lease = (state: 'live' | 'ended') => ({
    ...{ kind: 'lease', id: STREAM, state, reason: state === 'live' ? '' : 'deleted', app: APP },
    ...{ streamId: TOPIC, ttlMs: 0, standing: false, opensTopic: true },
  })
  const spec = { channel: 'trade', symbols: ['*'], exchanges: [] }
  await write(
    { kind: 'stream', id: TOPIC, state: 'ready', topic: TOPIC, topicId, spec, start: [0] },
    lease('live'),
  )
  const webhook = {
    ...{ kind: 'webhook', id: 'hook', state: 'live', app: APP, leaseId: STREAM, url: receiver.url },
    ...{ secret: 'whsec_c2VjcmV0', maxEvents: 10, maxWaitMs: 0, paused: false, revision: 0 },
    cursor: encodeCursor({ lease: STREAM, topics: [{ topicId, offset: 0, memory: emptyMemory() }] }),
  }

  /** A gateway's process, as far as webhooks are concerned. */
  const start = async (
    instance: string,
    { pauseAfterMs = 3_600_000, timeoutMs = 5_000, isAlone = false } = {},
  ) => {
    const mine = new ProcessBroker(broker)
    const registry = await openRegistry(mine, NAMES, quietLog, NEVER)
    const bus = await openControlBus(mine, NAMES, registry, quietLog, NEVER)
    const membership = joinMembership(
      bus,
      { instance, roles: ['gateway'] },
      () => performance.now(),
      quietLog,
    )
    const newId = (): string => ulid(Date.now(), Math.random)
    const desk = createStreamDesk({ instance, bus, registry, membership, newId })
    const roster = new ActorRoster()
    const alerts = createAlerts({ log: quietLog, meter: quietMeter })
    const actorParts = {
      settings: { now: Date.now, random: () => 0, alertAfterMs: 60_000 },
      ...{ alerts, onTransition: () => {}, log: quietLog, meter: quietMeter },
    }
    const delivery = await createDelivery({
      ...{ broker: mine, names: NAMES, desk, bus, registry, instance, log: quietLog, meter: quietMeter },
      spawn: (app, services) => roster.spawnConsumerDynamic(actorParts, app, services),
      nowMicros: () => Date.now() * 1_000,
    })
    const sender = createWebhookSender({
      ...{ timeoutMs, allowed: ['127.0.0.0/8'], userAgent: 'tapeline/test', now: Date.now },
    })
    const webhooks = startWebhooks({
      ...{ broker: mine, names: NAMES, registry, instance, partitions: 2, isAlone, delivery, sender },
      settings: { pauseAfterMs, alertAfterMs: pauseAfterMs },
      ...{ now: Date.now, random: () => 0, newId, alerts, log: quietLog, meter: quietMeter },
    })
    let isOver = false
    const close = async (): Promise<void> => {
      if (isOver) return
      isOver = true
      mine.bury()
      await webhooks.close()
      await delivery.close()
      membership.close()
      await bus.close()
      await registry.close()
      sender.close()
    }
    closings.push(close)
    return {
      broker: mine,
      alerts,
      roster,
      /** Ends in order: others need not wait. */
      async leave(): Promise<void> {
        await webhooks.close()
      },
      webhooks: createWebhookDesk({ ...{ instance, broker: mine, names: NAMES, bus, registry, newId } }),
    }
  }

  return {
    ...{ broker, receiver, start },
    webhook: (change: object = {}) => write({ ...webhook, ...change }),
    endLease: () => write(lease('ended')),
    /** What a producer says where history is gone. */
    async tellReset(reason: string): Promise<void> {
      const value = new TextEncoder().encode(JSON.stringify({ reset: reason }))
      const headers = { v: 1, kind: 'marker' as const, shard: 0, epoch: 7 }
      await broker.publish([{ topic: TOPIC, partition: 0, records: [{ key: null, value, headers }] }], NEVER)
    },
    /** Numbered events. */
    async publish(from: number, to: number): Promise<void> {
      const records = Array.from({ length: to - from }, (_, i) => ({
        key: 'x:A-B',
        value: new TextEncoder().encode(String(from + i)),
        headers: {
          ...{ v: 1, kind: 'event' as const, shard: 0, epoch: 7 },
          position: { topic: NAMES.fixed.trade, partition: 0, offset: from + i },
        },
      }))
      await broker.publish([{ topic: TOPIC, partition: 0, records }], NEVER)
    },
  }
}

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i)
