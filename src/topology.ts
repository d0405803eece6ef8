import { hostname } from 'node:os'
import { createWebSocketEndpoint } from './adapters/transport/websocket.ts'
import type { Config } from './config.ts'
import { type ControlBus, openControlBus } from './control/bus.ts'
import { joinMembership, type Membership } from './control/membership.ts'
import { openRegistry, type Registry } from './control/registry.ts'
import { createStreamDesk } from './control/stream-desk.ts'
import { ensureTopics, fixedTopics } from './control/topics.ts'
import { parseStreamRequest } from './domain/stream-spec.ts'
import { ulid } from './domain/ulid.ts'
import { toTapelineError } from './errors.ts'
import { type Gateway, type Readiness, startGateway } from './gateway/gateway.ts'
import type { ActorReport } from './ports/actors.ts'
import type { Log } from './ports/log.ts'
import type { Source, SourceHealth } from './ports/source.ts'
import type { Store } from './ports/store.ts'
import { createDelivery } from './services/consumer-dynamic/delivery.ts'
import { createConsumerFixedServices } from './services/consumer-fixed/consumer-fixed.ts'
import { createCoordinatorServices } from './services/coordinator/coordinator.ts'
import { createLeader } from './services/coordinator/leader.ts'
import { createProducerServices } from './services/producer/producer.ts'
import { createAlerts } from './telemetry/alerts.ts'
import { createMeter } from './telemetry/meter.ts'
import { openTraceFile } from './telemetry/trace-file.ts'
import { recordTransitions } from './telemetry/transitions.ts'
import {
  type ActorParts,
  ActorRoster,
  startConsumerFixed,
  startCoordinator,
  startProducer,
} from './topology/actors.ts'
import { type Engines, openEngines } from './topology/engines.ts'
import { startGauges } from './topology/gauges.ts'
import { removeRunFile, writeRunFile } from './topology/run-file.ts'
import { clockMicros, createSource } from './topology/sources.ts'
import { countUnstored } from './topology/unstored.ts'
import { VERSION } from './version.ts'

export interface PlatformOptions {
  readonly log: Log
  /** File for one line a transition. */
  readonly trace?: string | undefined
  /** Another source than the configuration names; it belongs to the platform from then on. */
  readonly source?: (log: Log) => Source
  /** Called when applications are served and before the source is connected: whoever must not miss anything subscribes here. */
  readonly onServing?: (api: string) => Promise<void>
}

/** A running platform: one process with the roles of its configuration. */
export interface Platform {
  /** Address of the API; undefined without the role gateway. */
  readonly api: string | undefined
  readonly store: Store
  actors(): readonly ActorReport[]
  sourceHealth(): SourceHealth | undefined
  /** Whether a finite source has given everything. */
  readonly sourceEnded: boolean
  /** How many records of the fixed topics are not in the database yet. */
  countUnstored(signal: AbortSignal): Promise<number>
  /** Stops in the order of the data's way, within 10 s (R19). */
  close(): Promise<void>
}

/** How long one part may take to close: all together stay under 10 s. */
const CLOSE_MS = 2_500

/** What has been started, to be closed in the order of the data's way. */
interface Closing {
  readonly order: number
  readonly name: string
  close(signal: AbortSignal): Promise<void> | void
}

/** Puts adapters, services and machines together as the configuration says, and starts them. */
export async function startPlatform(
  config: Config,
  options: PlatformOptions,
  signal: AbortSignal,
): Promise<Platform> {
  const { log } = options
  const started: Closing[] = []
  const closeAll = async (): Promise<void> => {
    for (const part of started.sort((a, b) => a.order - b.order)) await closePart(part, log)
  }
  try {
    return await assemble(config, options, started, closeAll, signal)
  } catch (error) {
    await closeAll()
    throw error
  }
}

async function closePart({ name, close }: Closing, log: Log): Promise<void> {
  const deadline = AbortSignal.timeout(CLOSE_MS)
  const late = new Promise<void>((resolve) => {
    deadline.addEventListener('abort', () => resolve(), { once: true })
  })
  try {
    await Promise.race([close(deadline), late])
    if (deadline.aborted) log.warn({ part: name }, 'did not close in time')
  } catch (error) {
    log.warn({ part: name, code: toTapelineError(error).code }, 'did not close cleanly')
  }
}

async function assemble(
  config: Config,
  options: PlatformOptions,
  started: Closing[],
  closeAll: () => Promise<void>,
  signal: AbortSignal,
): Promise<Platform> {
  const { log } = options
  const has = (role: Config['roles'][number]): boolean => config.roles.includes(role)
  const meter = createMeter()
  const alerts = createAlerts({ log, meter })
  const trace = options.trace === undefined ? undefined : await openTraceFile(options.trace, log)
  if (trace) started.push({ order: 90, name: 'trace', close: () => trace.close() })

  const engines: Engines = await openEngines(config, log)
  started.push({ order: 80, name: 'engines', close: () => engines.close() })
  const { broker, store } = engines
  const migration = await store.migrate(signal)
  for (const missing of migration.missing) log.warn({}, missing)
  const { prefix, partitions, retention, deadLetterRetention } = config.topics
  const topicSettings = {
    prefix,
    partitions,
    retentionMs: retention,
    deadLetterRetentionMs: deadLetterRetention,
  }
  await ensureTopics(broker, topicSettings, signal)

  const instance = `${hostname()}-${process.pid}-${newId().slice(-6)}`
  const topics = fixedTopics(prefix)
  const { book: _notStored, ...stored } = topics
  const now = Date.now
  const bus: ControlBus = await openControlBus(broker, log, signal)
  const registry: Registry = await openRegistry(broker, log, signal)
  const membership: Membership = joinMembership(bus, { instance, roles: config.roles }, now, log)
  started.push({
    order: 70,
    name: 'control',
    async close() {
      membership.close()
      await bus.close()
      await registry.close()
    },
  })

  const roster = new ActorRoster()
  const actorParts: ActorParts = {
    settings: { now, random: Math.random, alertAfterMs: config.alerts.after },
    alerts,
    onTransition: recordTransitions(log, meter, trace),
    log,
    meter,
  }

  if (has('coordinator')) {
    const leader = createLeader({ broker, registry, instance, now, log })
    const settings = {
      graceMs: config.streams.grace,
      maxPerApplication: config.streams.maxPerApplication,
      retentionMs: config.streams.retention,
      fixedTopics: topics,
    }
    const parts = { broker, registry, bus, membership, leader, instance, settings, now, newId, log }
    const services = await createCoordinatorServices(parts, signal)
    roster.add(startCoordinator(actorParts, services))
    started.push({
      order: 60,
      name: 'coordinator',
      close: () => stopActor(roster, 'coordinator', () => services.close()),
    })
  }

  if (has('consumer-fixed')) {
    const parts = {
      broker,
      store,
      topics: stored,
      maxRecords: config.consumerFixed.maxRows,
      lingerMs: config.consumerFixed.linger,
      log,
      meter,
    }
    const services = await createConsumerFixedServices(
      { ...parts, nowMicros: clockMicros, raiseAlert: alerts.raise },
      signal,
    )
    roster.add(startConsumerFixed(actorParts, services))
    started.push({
      order: 30,
      name: 'consumer-fixed',
      close: (stop) => stopActor(roster, 'consumer-fixed', () => services.close(stop)),
    })
  }

  let isStarted = false
  let source: Source | undefined
  let api: string | undefined
  if (has('gateway')) {
    const desk = createStreamDesk({ instance, bus, registry, membership, newId })
    const spawn = roster.spawnConsumerDynamic.bind(roster, actorParts)
    const delivery = await createDelivery({
      broker,
      desk,
      bus,
      registry,
      instance,
      spawn,
      nowMicros: clockMicros,
      log,
      meter,
    })
    const gateway = await startGateway({
      ...config.gateway,
      keys: config.apiKeys,
      desk,
      delivery,
      store,
      broker,
      actors: roster,
      alerts: alerts.list,
      metrics: () => meter.render(),
      ready: () => readiness(isStarted, roster.list()),
      info: { version: VERSION },
      log,
      meter,
      endpoint: createWebSocketEndpoint,
    })
    const { close } = gateway
    started.push({
      order: 50,
      name: 'gateway',
      async close() {
        await close()
        await delivery.close()
      },
    })
    api = addressOf(gateway)
    await options.onServing?.(api)
  }

  if (has('producer')) {
    source = options.source?.(log) ?? createSource(config, log)
    const { close } = source
    const connected = source
    started.push({ order: 10, name: 'source', close: () => close.call(connected) })
    const standing = new Map(
      Object.entries(config.streams.standing).map(([name, request]) => [name, parseStreamRequest(request)]),
    )
    const parts = {
      source,
      broker,
      registry,
      bus,
      instance,
      topics,
      partitions,
      standing,
      now,
      newId,
      log,
      meter,
    }
    const services = await createProducerServices({ ...parts, lingerMs: config.producer.linger }, signal)
    const actor = roster.add(startProducer(actorParts, services))
    const unlisten = services.onNotification((notification) =>
      actor.send({ type: 'NOTIFY_PRODUCER', notification }),
    )
    for (const topicName of standing.keys()) actor.send({ type: 'CREATE_TOPIC', topicName })
    started.push({
      order: 20,
      name: 'producer',
      close(stop) {
        unlisten()
        return stopActor(roster, 'producer', () => services.close(stop))
      },
    })
  }

  const gauges = startGauges(meter, registry, () => source)
  started.push({ order: 5, name: 'gauges', close: () => gauges.stop() })
  isStarted = true
  if (api !== undefined) {
    writeRunFile(config.data, { pid: process.pid, api })
    started.push({ order: 1, name: 'run file', close: () => removeRunFile(config.data) })
  }
  return {
    api,
    store,
    actors: () => roster.list(),
    sourceHealth: () => source?.health(),
    get sourceEnded() {
      return source?.ended ?? false
    },
    countUnstored: (stop) => countUnstored(broker, store, Object.values(stored), stop),
    close: closeAll,
  }
}

/** Where this machine reaches the gateway: one that listens on all addresses is reached on the loopback one. */
function addressOf({ address, port }: Gateway): string {
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function newId(): string {
  return ulid(Date.now(), Math.random)
}

async function stopActor(roster: ActorRoster, id: string, close: () => Promise<void>): Promise<void> {
  roster.remove(id)
  await close()
}

/** Ready is who serves and stores: a source that is away is shown by the actors, and does not take the API out of service. */
function readiness(isStarted: boolean, actors: readonly ActorReport[]): Readiness {
  const checks = actors
    .filter(({ machine }) => machine !== 'consumerDynamic')
    .map(({ id, machine, state, errorInfo }) => ({
      name: id,
      ok: state !== 'error' || (machine === 'producer' && errorInfo?.step === 'fetchingData'),
      detail: errorInfo ? `${state}: ${errorInfo.code}` : state,
    }))
  return { ready: isStarted && checks.every(({ ok }) => ok), checks }
}
