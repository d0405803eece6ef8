import { type Config, loadConfig } from '../../src/config.ts'
import { openControlBus } from '../../src/control/bus.ts'
import { joinMembership } from '../../src/control/membership.ts'
import { platformNames } from '../../src/control/names.ts'
import { joinProcesses } from '../../src/control/processes.ts'
import { openRegistry, type Registry } from '../../src/control/registry.ts'
import { createStreamDesk } from '../../src/control/stream-desk.ts'
import { ensureTopics } from '../../src/control/topics.ts'
import type { Alert } from '../../src/ports/actors.ts'
import type { Delivery } from '../../src/ports/delivery.ts'
import type { Log } from '../../src/ports/log.ts'
import type { StreamDesk } from '../../src/ports/streams.ts'
import { createDelivery } from '../../src/services/consumer-dynamic/delivery.ts'
import { createAlerts } from '../../src/telemetry/alerts.ts'
import type { PrometheusMeter } from '../../src/telemetry/meter.ts'
import { ActorRoster } from '../../src/topology/actors.ts'
import { StartedParts } from '../../src/topology/closing.ts'
import { newId, type StoreFoundation } from '../../src/topology/foundation.ts'
import { startConsumerFixedRole } from '../../src/topology/roles/consumer-fixed.ts'
import { startCoordinatorRole } from '../../src/topology/roles/coordinator.ts'
import { startProducerRole } from '../../src/topology/roles/producer.ts'
import { clockMicros } from '../../src/topology/sources.ts'
import { createWaiting } from '../../src/topology/waiting.ts'
import { quietMeter } from '../quiet.ts'
import { type Host, runAs } from './clock.ts'
import type { Exchange, Feed } from './exchange.ts'
import type { Groups } from './groups.ts'
import type { Surroundings } from './link.ts'
import type { MemoryBroker } from './memory-broker.ts'
import type { MemoryStore } from './memory-store.ts'
import { PortBroker } from './port-broker.ts'
import { createPortStore } from './port-store.ts'

export type Role = Config['roles'][number]

/** What all processes of a world share. */
export interface World extends Surroundings {
  readonly broker: MemoryBroker
  readonly store: MemoryStore
  readonly groups: Groups
  readonly exchange: Exchange
  readonly config: Config
  readonly log: (host: Host) => Log
}

/** Where applications get in. */
export interface Door {
  readonly desk: StreamDesk
  readonly delivery: Delivery
}

/** What runs in a process that has started. */
interface Running {
  readonly instance: string
  readonly roster: ActorRoster
  readonly registry: Registry
  readonly door: Door | undefined
  readonly alerts: () => readonly Alert[]
}

/** One process of the platform, put together as `startPlatform` does it, without HTTP. */
export class PlatformProcess {
  readonly host: Host
  readonly roles: readonly Role[]
  readonly #world: World
  running: Running | undefined
  #feed: Feed | undefined

  constructor(world: World, host: Host, roles: readonly Role[]) {
    this.#world = world
    this.host = host
    this.roles = roles
    world.trace.add(host.name, `starts: ${roles}`)
    runAs(host, () => void this.#start())
  }

  get feed(): Feed | undefined {
    return this.#feed
  }

  /** Nothing of it ever happens again. */
  kill(): void {
    this.#world.trace.add(this.host.name, 'is killed')
    this.host.state = 'dead'
    this.running = undefined
    this.#feed?.drop()
  }

  freeze(): void {
    this.#world.trace.add(this.host.name, 'stands still')
    this.host.state = 'frozen'
  }

  thaw(): void {
    this.#world.trace.add(this.host.name, 'goes on')
    this.#world.clock.thaw(this.host)
  }

  async #start(): Promise<void> {
    const log = this.#world.log(this.host)
    const waiting = createWaiting({ broker: 'the broker', store: 'the database' }, log)
    this.running = await waiting.until(async () => {
      const started = new StartedParts(log)
      try {
        return await this.#startOnce(started, log)
      } catch (error) {
        await started.close()
        throw error
      }
    }, NEVER)
  }

  async #startOnce(started: StartedParts, log: Log): Promise<Running> {
    const { exchange } = this.#world
    const foundation = await layFoundation(this.#world, this.host, this.roles, started, log)
    const { registry, roster, instance, actorParts } = foundation
    if (this.roles.includes('coordinator')) await startCoordinatorRole(foundation, NEVER)
    if (this.roles.includes('consumer-fixed')) await startConsumerFixedRole(foundation, NEVER)
    const door = this.roles.includes('gateway') ? await startDelivery(foundation) : undefined
    if (this.roles.includes('producer')) {
      this.#feed = exchange.connect(this.host)
      await startProducerRole(foundation, { source: this.#feed.source, markets: exchange.markets }, NEVER)
    }
    return { instance, roster, registry, door, alerts: actorParts.alerts.list }
  }
}

const NEVER = new AbortController().signal

/** The settings of a world: the defaults, but for what would make runs long. */
export function worldConfig(partitions: number): Config {
  return loadConfig({
    environment: {},
    flags: {
      topics: { partitions },
      streams: { grace: '3s' },
      alerts: { after: '20s' },
      producer: { linger: '5ms' },
      consumerFixed: { linger: '20ms' },
    },
  })
}

/** As `layFoundation` does it, over the ports of the world. */
async function layFoundation(
  world: World,
  host: Host,
  roles: readonly Role[],
  started: StartedParts,
  log: Log,
): Promise<StoreFoundation> {
  const { config } = world
  const broker = new PortBroker(world.broker, world, world.groups, host)
  const store = createPortStore(world.store, world, host)
  await store.migrate(NEVER)
  const names = platformNames(config.topics)
  const { partitions, retention, deadLetterRetention } = config.topics
  const retentions = { retentionMs: retention, deadLetterRetentionMs: deadLetterRetention }
  await ensureTopics(broker, { names, partitions, ...retentions }, NEVER)
  const instance = `${host.name}-${newId().slice(-6)}`
  const registry = await openRegistry(broker, names, log, NEVER)
  const bus = await openControlBus(broker, names, registry, log, NEVER)
  const membership = joinMembership(bus, { instance, roles }, () => performance.now(), log)
  const roster = new ActorRoster()
  const meter = quietMeter as PrometheusMeter
  const alerts = createAlerts({ log, meter })
  const processes = joinProcesses({
    own: { instance, actors: () => roster.list(), reset: (id) => roster.reset(id), alerts: alerts.list },
    ...{ bus, membership, newId, log },
  })
  started.add('control', async () => {
    processes.close()
    membership.close()
    await bus.close()
    await registry.close()
  })
  const settings = { now: Date.now, random: Math.random, alertAfterMs: config.alerts.after }
  const onTransition = ({
    actor,
    from,
    event,
    to,
  }: {
    actor: string
    from: string
    event: string
    to: string
  }) => world.trace.add(host.name, `${actor}: ${from} ${event} ${to}`)
  return {
    ...{ config, broker, store, bus, registry, membership, processes, instance, roster, started, log, meter },
    names,
    actorParts: { settings, alerts, onTransition, log, meter },
  }
}

/** As the role gateway does it, without HTTP. */
async function startDelivery(foundation: StoreFoundation): Promise<Door> {
  const { broker, names, bus, registry, membership, instance, roster, actorParts, started, log, meter } =
    foundation
  const desk = createStreamDesk({ instance, bus, registry, membership, newId })
  const spawn = roster.spawnConsumerDynamic.bind(roster, actorParts)
  const delivery = await createDelivery({
    ...{ broker, names, desk, bus, registry, instance, topics: names.fixed },
    ...{ spawn, nowMicros: clockMicros, log, meter },
  })
  started.add('gateway', () => delivery.close())
  return { desk, delivery }
}
