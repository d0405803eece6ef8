import type { TestContext } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { openControlBus } from '../../../src/control/bus.ts'
import { joinMembership } from '../../../src/control/membership.ts'
import { openRegistry } from '../../../src/control/registry.ts'
import { createStreamDesk } from '../../../src/control/stream-desk.ts'
import { ensureTopics } from '../../../src/control/topics.ts'
import { parseStreamRequest } from '../../../src/domain/stream-spec.ts'
import { ulid } from '../../../src/domain/ulid.ts'
import type { PollOptions } from '../../../src/ports/broker.ts'
import { createCoordinatorServices } from '../../../src/services/coordinator/coordinator.ts'
import { createLeader } from '../../../src/services/coordinator/leader.ts'
import { createAlerts } from '../../../src/telemetry/alerts.ts'
import { startCoordinator } from '../../../src/topology/actors.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { ProcessBroker } from '../process-broker.ts'

export const NEVER = new AbortController().signal

export const tradesOf = (symbol: string) =>
  parseStreamRequest({ channel: 'trade', symbols: [symbol], ttl: 0 }, 0)

/** Processes with a coordinator and a stream desk each, over one broker. */
export async function setUp(
  t: TestContext,
  { graceMs = 60_000, limits = { maxStreams: 10_000, maxTopics: 10_000 } } = {},
) {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  const settings = { names: NAMES, partitions: 2, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  await ensureTopics(broker, settings, NEVER)
  const closings: (() => Promise<void>)[] = []
  t.after(async () => {
    for (const close of closings.reverse()) await close()
    await broker.close()
  })
  const newId = (): string => ulid(Date.now(), Math.random)

  const start = async (instance: string, { coordinates = true, speed = 1 } = {}) => {
    const mine = new ProcessBroker(broker)
    hurry(mine, speed)
    const registry = await openRegistry(mine, NAMES, quietLog, NEVER)
    const bus = await openControlBus(mine, NAMES, registry, quietLog, NEVER)
    const membership = joinMembership(
      bus,
      { instance, roles: ['coordinator'] },
      () => performance.now(),
      quietLog,
    )
    const leader = createLeader({
      broker: mine,
      names: NAMES,
      registry,
      instance,
      now: Date.now,
      log: quietLog,
    })
    const alerts = createAlerts({ log: quietLog, meter: quietMeter })
    const services = coordinates
      ? await createCoordinatorServices(
          {
            ...{
              broker: mine,
              names: NAMES,
              registry,
              bus,
              membership,
              leader,
              instance,
              now: () => Date.now() * speed,
              newId,
              alerts,
            },
            settings: {
              ...limits,
              ...{ graceMs, maxPerApplication: 1_000, maxWebhooksPerApplication: 3, retentionMs: 1e9 },
            },
            log: quietLog,
          },
          NEVER,
        )
      : undefined
    const machine =
      services &&
      startCoordinator(
        {
          settings: { now: Date.now, random: () => 0, alertAfterMs: 60_000 },
          ...{ alerts, onTransition: () => {}, log: quietLog, meter: quietMeter },
        },
        services,
        () => ({}),
      )
    closings.push(async () => {
      machine?.stop()
      membership.close()
      await mine.thaw()
      await services?.close()
      await bus.close()
      await registry.close()
    })
    const desk = createStreamDesk({ instance, bus, registry, membership, newId })
    return { broker: mine, alerts, registry, bus, membership, leader, machine, desk }
  }
  return { broker, start, newId }
}

/** Where time passes faster, a poll that finds nothing waits less. */
function hurry(broker: ProcessBroker, speed: number): void {
  const { openReader } = broker
  broker.openReader = async (...call) => {
    const reader = await openReader(...call)
    const { poll } = reader
    return Object.assign(reader, {
      poll: (options: PollOptions, signal: AbortSignal) =>
        poll.call(reader, { ...options, waitMs: options.waitMs / speed }, signal),
    })
  }
}
