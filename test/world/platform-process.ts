import { type Config, loadConfig } from '../../src/config.ts'
import type { Registry } from '../../src/control/registry.ts'
import type { Alert, Transition } from '../../src/ports/actors.ts'
import type { Delivery } from '../../src/ports/delivery.ts'
import type { Log } from '../../src/ports/log.ts'
import type { StreamDesk } from '../../src/ports/streams.ts'
import type { PrometheusMeter } from '../../src/telemetry/meter.ts'
import type { ActorRoster } from '../../src/topology/actors.ts'
import { StartedParts } from '../../src/topology/closing.ts'
import { layOn, newId, type StoreFoundation, withStore } from '../../src/topology/foundation.ts'
import { createMarketList } from '../../src/topology/market-list.ts'
import { startConsumerFixedRole } from '../../src/topology/roles/consumer-fixed.ts'
import { startCoordinatorRole } from '../../src/topology/roles/coordinator.ts'
import { startDelivery } from '../../src/topology/roles/gateway.ts'
import { startProducerRole } from '../../src/topology/roles/producer.ts'
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
import type { Watch } from './watch.ts'

export type Role = Config['roles'][number]

/** What all processes of a world share. */
export interface World extends Surroundings {
  readonly broker: MemoryBroker
  readonly store: MemoryStore
  readonly groups: Groups
  readonly exchange: Exchange
  readonly config: Config
  readonly watch: Watch
  readonly log: (host: Host) => Log
}

/** Where applications get in. */
export interface Door {
  readonly desk: StreamDesk
  readonly delivery: Delivery
  /** The open WebSockets. */
  readonly sockets: Set<{ readonly isHeard: boolean }>
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
    this.host.frozenAt = this.#world.clock.now
  }

  thaw(): void {
    this.#world.trace.add(this.host.name, 'goes on')
    this.#world.clock.thaw(this.host)
    this.#world.groups.wake(this.host)
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
    const door = this.roles.includes('gateway') ? await openDoor(foundation) : undefined
    if (this.roles.includes('producer')) {
      this.#feed = exchange.connect(this.host)
      const markets = createMarketList({ wanted: exchange.markets, everyMs: 0, log })
      await startProducerRole(foundation, { source: this.#feed.source, markets }, NEVER)
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
      streams: { grace: '3s', retention: '10s' },
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
  const store = createPortStore(world.store, world, host)
  const broker = new PortBroker(world.broker, world, world.groups, host)
  const ground = {
    config: { ...world.config, roles: [...roles] },
    instance: `${host.name}-${newId().slice(-6)}`,
    mayStart: async () => {},
    onTransition: ({ actor, from, event, to }: Transition) => {
      world.trace.add(host.name, `${actor}: ${from} ${event} ${to}`)
      world.watch.countTransition(host, actor)
    },
    ...{ started, log, meter: quietMeter as PrometheusMeter },
  }
  const foundation = await layOn({ broker, store }, ground, NEVER)
  return withStore(foundation)
}

/** As the role gateway does it, without HTTP. */
async function openDoor(foundation: StoreFoundation): Promise<Door> {
  const { desk, delivery, unalert } = await startDelivery(foundation)
  foundation.started.add('gateway', async () => {
    unalert()
    await delivery.close()
  })
  return { desk, delivery, sockets: new Set() }
}
