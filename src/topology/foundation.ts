import { hostname } from 'node:os'
import type { Config } from '../config.ts'
import { type ControlBus, openControlBus } from '../control/bus.ts'
import { joinMembership, type Membership } from '../control/membership.ts'
import { type PlatformNames, platformNames } from '../control/names.ts'
import { refuseShared, refuseTakenPrefixes } from '../control/prefixes.ts'
import { joinProcesses, type Processes } from '../control/processes.ts'
import { openRegistry, type Registry } from '../control/registry.ts'
import { ensureTopics } from '../control/topics.ts'
import { relayTransitions, type TransitionRelay } from '../control/transition-relay.ts'
import { ulid } from '../domain/ulid.ts'
import { TapelineError } from '../errors.ts'
import type { Log, Meter } from '../ports/log.ts'
import type { Store } from '../ports/store.ts'
import type { Tracer } from '../ports/trace.ts'
import { createAlerts } from '../telemetry/alerts.ts'
import { meterBroker, meterStore } from '../telemetry/engine-meter.ts'
import { createMeter, type PrometheusMeter } from '../telemetry/meter.ts'
import { type OutageWatch, watchForOutage } from '../telemetry/outage-watch.ts'
import { createStateClock, type StateClock } from '../telemetry/state-clock.ts'
import { openTraceFile } from '../telemetry/trace-file.ts'
import { createTransitionHub } from '../telemetry/transition-hub.ts'
import { recordTransitions } from '../telemetry/transitions.ts'
import { VERSION } from '../version.ts'
import { type ActorParts, ActorRoster } from './actors.ts'
import type { StartedParts } from './closing.ts'
import { refuseMissingRights } from './engines/rights.ts'
import { type Engines, openEngines } from './engines.ts'
import { type Overload, watchLimits } from './overload.ts'
import type { Waiting } from './waiting.ts'

/** What all roles of a process stand on. */
export interface Foundation extends Pick<Engines, 'broker' | 'store'> {
  readonly config: Config
  readonly names: PlatformNames
  readonly bus: ControlBus
  readonly registry: Registry
  readonly membership: Membership
  /** The machines and alerts of all processes. */
  readonly processes: Processes
  /** Unique among all processes, now and later. */
  readonly instance: string
  readonly roster: ActorRoster
  /** What the machines of all processes do. */
  readonly transitions: TransitionRelay
  readonly actorParts: ActorParts
  /** Whether the broker answers this process. */
  readonly brokerWatch: OutageWatch
  /** Whether the database answers; undefined where no role of this process uses it. */
  readonly storeWatch: OutageWatch | undefined
  /** What this process may use, and whether it has room. */
  readonly overload: Overload
  readonly started: StartedParts
  /** How long machines are in which state. */
  readonly stateClock: StateClock
  readonly log: Log
  readonly meter: PrometheusMeter
  /** Follows batches where a collector is configured, or for debugging. */
  readonly tracer?: Tracer | undefined
}

/** What the roles that use the database stand on. */
export interface StoreFoundation extends Foundation {
  readonly store: Store
  readonly storeWatch: OutageWatch
}

/** The foundation for a role that uses the database: the engines open it wherever there is one. */
export function withStore(foundation: Foundation): StoreFoundation {
  const { store, storeWatch } = foundation
  if (store && storeWatch) return { ...foundation, store, storeWatch }
  throw new TapelineError('INTERNAL', 'the database was not opened for a role that uses it')
}

/** A new lower-case ULID. */
export function newId(): string {
  return ulid(Date.now(), Math.random)
}

/** Opens the engines and lays the foundation on them. */
export async function layFoundation(
  config: Config,
  started: StartedParts,
  log: Log,
  tracePath: string | undefined,
  waiting: Waiting,
  signal: AbortSignal,
): Promise<Foundation> {
  const meter = createMeter()
  const trace = tracePath === undefined ? undefined : await openTraceFile(tracePath, log)
  if (trace) started.add('trace', () => trace.close())
  const onTransition = recordTransitions(log, meter, trace)

  const engines = await openEngines(config, log, waiting, signal)
  started.add('engines', () => engines.close())
  const instance = `${hostname()}-${process.pid}-${newId().slice(-6)}`
  const mayStart = (): Promise<void> => refuseMissingRights(config, log, signal)
  const tracer = await openTracer(config, instance, log, meter)
  if (tracer) started.add('tracer', () => tracer.close())
  return layOn(engines, { config, instance, started, mayStart, onTransition, log, meter, tracer }, signal)
}

/** Nothing of it is loaded where nothing is traced. */
async function openTracer(config: Config, instance: string, log: Log, meter: PrometheusMeter) {
  const { otlp, sampleEvery } = config.telemetry
  if (otlp === undefined && config.log.level !== 'debug') return undefined
  const { createTracer } = await import('../telemetry/tracer.ts')
  const resource = {
    'service.name': 'tapeline',
    'service.version': VERSION,
    'service.instance.id': instance,
    'tapeline.roles': config.roles.join(' '),
  }
  return createTracer({ endpoint: otlp, headers: config.otlpHeaders, sampleEvery, resource, log, meter })
}

interface Ground extends Pick<Foundation, 'config' | 'instance' | 'started' | 'log' | 'meter' | 'tracer'> {
  /** Asked when the topics are there; rejects where this process must not go on. */
  readonly mayStart: () => Promise<void>
  readonly onTransition: ActorParts['onTransition']
}

/** Migrates the store where there is one, makes the topics, and follows the control topics. Makes nothing where the prefixes are another platform's. */
export async function layOn(
  engines: Pick<Engines, 'broker' | 'store'>,
  { config, instance, started, mayStart, onTransition, log, meter, tracer }: Ground,
  signal: AbortSignal,
): Promise<Foundation> {
  const alerts = createAlerts({ log, meter })
  const stateClock = createStateClock(meter, () => Date.now() * 1_000)
  const broker = meterBroker(engines.broker, meter)
  const store = engines.store && meterStore(engines.store, meter)
  const names = platformNames(config.topics)
  await refuseTakenPrefixes(broker, names, signal)
  const migrated = await store?.migrate(signal)
  for (const line of migrated?.missing ?? []) log.warn({}, line)
  const { partitions, retention, deadLetterRetention } = config.topics
  const retentions = { retentionMs: retention, deadLetterRetentionMs: deadLetterRetention }
  await ensureTopics(broker, { names, partitions, ...retentions }, signal)
  await mayStart()

  const registry = await openRegistry(broker, names, log, signal)
  try {
    refuseShared(names, registry.view.prefixes)
  } catch (error) {
    await registry.close()
    throw error
  }
  registry.watchUnreadable((unreadable) => {
    const [first] = unreadable.values()
    if (first === undefined) alerts.clear('registry')
    else alerts.raise('registry', 'UPGRADE_NEEDED', `${unreadable.size} not understood: ${first.reason}`)
  })
  const bus = await openControlBus(broker, names, registry, log, signal)
  const membership = joinMembership(bus, { instance, roles: config.roles }, () => performance.now(), log)
  const roster = new ActorRoster()
  const hub = createTransitionHub(instance)
  const transitions = relayTransitions({
    ...{ instance, own: hub, bus, membership, log },
    now: () => performance.now(),
  })
  const processes = joinProcesses({
    own: { instance, actors: () => roster.list(), reset: (id) => roster.reset(id), alerts: alerts.list },
    ...{ bus, membership, newId, log },
  })
  started.add('control', async () => {
    transitions.close()
    processes.close()
    membership.close()
    await bus.close()
    await registry.close()
  })
  const brokerWatch = watchForOutage({
    ...{ name: 'the broker', code: 'BROKER_UNAVAILABLE', log },
    ping: (stop) => engines.broker.ping(stop),
  })
  const storeWatch =
    store &&
    watchForOutage({
      ...{ name: 'the database', code: 'STORE_UNAVAILABLE', log },
      ping: (stop) => store.ping(stop),
    })
  for (const [server, watch] of Object.entries({ broker: brokerWatch, database: storeWatch })) {
    if (watch === undefined) continue
    retryWhenBack(watch, roster)
    showWhetherUp(server, watch, meter)
  }
  started.add('outage watch', async () => {
    await Promise.all([brokerWatch.close(), storeWatch?.close()])
  })
  const overload = watchLimits({ config, processes, registry, alerts, meter })
  started.add('overload watch', () => overload.stop())
  const settings = { now: Date.now, random: Math.random, alertAfterMs: config.alerts.after }
  return {
    config,
    broker,
    store,
    bus,
    registry,
    membership,
    processes,
    instance,
    names,
    roster,
    transitions,
    actorParts: {
      ...{ settings, alerts, log, meter },
      onTransition(transition) {
        hub.record(transition)
        stateClock.record(transition)
        onTransition(transition)
      },
    },
    brokerWatch,
    storeWatch,
    overload,
    started,
    stateClock,
    log,
    meter,
    tracer,
  }
}

/** Keeps the metric that says whether a server answers. */
function showWhetherUp(server: string, watch: OutageWatch, meter: Meter): void {
  const show = (outage: TapelineError | undefined): void =>
    meter.gauge('server_up', outage === undefined ? 1 : 0, { server })
  watch.listen(show)
  show(watch.outage)
}

/** Machines that failed for want of a server need not wait for the end of their back-off when it is back. */
function retryWhenBack(watch: OutageWatch, roster: ActorRoster): void {
  let code: string | undefined
  watch.listen((outage) => {
    if (outage === undefined && code !== undefined) roster.retry(code)
    code = outage?.code
  })
}
