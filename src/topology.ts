import { type Config, secretsOf } from './config.ts'
import { TapelineError } from './errors.ts'
import type { ActorReport } from './ports/actors.ts'
import type { Log } from './ports/log.ts'
import type { Source, SourceHealth } from './ports/source.ts'
import type { SqlResult, Store } from './ports/store.ts'
import { hideSecrets } from './secrets.ts'
import { sendAlerts } from './topology/alert-receivers.ts'
import { leafOf, openCertificate, type ServerCertificate } from './topology/certificate.ts'
import { StartedParts } from './topology/closing.ts'
import { serverNames } from './topology/engines/servers.ts'
import { layFoundation, withStore } from './topology/foundation.ts'
import { startGauges } from './topology/gauges.ts'
import { serveOperations } from './topology/operations.ts'
import { startConsumerFixedRole } from './topology/roles/consumer-fixed.ts'
import { startCoordinatorRole } from './topology/roles/coordinator.ts'
import { startGatewayRole } from './topology/roles/gateway.ts'
import { startProducerRole } from './topology/roles/producer.ts'
import { announceRun } from './topology/run-file.ts'
import { createSource, refuseUnusableSources } from './topology/sources.ts'
import { countUnstored, storedTopics } from './topology/unstored.ts'
import { createWaiting, type Waiting } from './topology/waiting.ts'
import { VERSION } from './version.ts'

const QUERY_LIMITS = { maxRows: 1_000, timeoutMs: 30_000 }

export interface PlatformOptions {
  readonly log: Log
  /** File for one line a transition. */
  readonly trace?: string | undefined
  /** Port for Stately's inspector, on the loopback interface; undefined: there is none. */
  readonly inspect?: number | undefined
  /** Another source than the configuration names; it belongs to the platform from then on. */
  readonly source?: (log: Log) => Source
  /** Called when applications are served and before the source is connected: whoever must not miss anything subscribes here. */
  readonly onServing?: (api: string, certificate?: string) => Promise<void>
}

/** A running platform: one process with the roles of its configuration. */
export interface Platform {
  /** Address of the API; without the role gateway only of health, metrics, actors and alerts. */
  readonly api: string
  /** Asks the database by one read-only statement. Raises CONFIG_INVALID where no role of this process uses it. */
  query(sql: string, signal: AbortSignal): Promise<SqlResult>
  actors(): readonly ActorReport[]
  sourceHealth(): SourceHealth | undefined
  /** Whether a finite source has given everything. */
  readonly sourceEnded: boolean
  /** How many records of the fixed topics are not in the database yet. Raises CONFIG_INVALID like `query`. */
  countUnstored(signal: AbortSignal): Promise<number>
  /** Stops in the order of the data's way, within 10 s (R19). */
  close(): Promise<void>
}

/**
 * Puts adapters, services and machines together as the configuration says, and starts them. A server that refuses or loses the
 * connection is waited for, also when it is lost on the way: then all that was started is closed, and started again.
 * Raises what only a person can cure: CONFIG_INVALID, DATA_FOLDER_LOCKED, DATA_FOLDER_UNUSABLE, PARTITIONS_CHANGED,
 * MIGRATION_MISMATCH, PORT_IN_USE, PUBLIC_WITHOUT_KEYS, and the UNAUTHORIZED, FORBIDDEN, TLS_FAILED, HOST_UNKNOWN and UNSUPPORTED
 * of BROKER_ and STORE_; what was started by then is closed again.
 */
export async function startPlatform(
  config: Config,
  options: PlatformOptions,
  signal: AbortSignal,
): Promise<Platform> {
  hideSecrets(secretsOf(config))
  if (config.roles.includes('producer') && options.source === undefined) refuseUnusableSources(config)
  if (options.inspect !== undefined) {
    const { refuseTakenInspector } = await import('./topology/inspector.ts')
    await refuseTakenInspector(options.inspect)
  }
  const waiting = createWaiting(serverNames(config), options.log)
  const { unknownVariables: variables } = config
  if (variables.length > 0)
    options.log.warn({ variables }, 'the environment has variables that are no settings')
  const certificate = openCertificate(config, options.log)
  try {
    return await waiting.until(async () => {
      const started = new StartedParts(options.log)
      try {
        return await start(config, options, { started, certificate, waiting }, signal)
      } catch (error) {
        await started.close()
        throw error
      }
    }, signal)
  } catch (error) {
    certificate?.close()
    throw error
  }
}

interface Parts {
  readonly started: StartedParts
  readonly certificate: ServerCertificate | undefined
  readonly waiting: Waiting
}

async function start(
  config: Config,
  options: PlatformOptions,
  { started, certificate, waiting }: Parts,
  signal: AbortSignal,
): Promise<Platform> {
  const { log, trace, inspect, onServing } = options
  const has = (role: Config['roles'][number]): boolean => config.roles.includes(role)
  const foundation = await layFoundation(config, started, log, trace, waiting, signal)
  const { broker, store, names, roster, instance } = foundation
  const shown = certificate && { certificate: leafOf(certificate.current) }
  let isStarted = false
  let source: Source | undefined
  let shards: (() => readonly number[]) | undefined

  const operations = has('gateway')
    ? undefined
    : await serveOperations(foundation, certificate, () => isStarted)
  const leads = has('coordinator') ? await startCoordinatorRole(foundation, signal) : undefined
  if (has('consumer-fixed')) await startConsumerFixedRole(withStore(foundation), signal)
  const api = operations ?? (await startGatewayRole(withStore(foundation), certificate, () => isStarted))
  if (has('gateway')) await onServing?.(api, shown?.certificate)
  if (has('producer')) {
    const given = options.source?.(log)
    const chosen = given ? { source: given } : await createSource(config, log)
    source = chosen.source
    shards = await startProducerRole(foundation, chosen, signal)
  }
  sendAlerts(foundation)
  if (inspect !== undefined) {
    const { startInspector } = await import('./topology/inspector.ts')
    const { processes, transitions } = foundation
    const inspector = await startInspector({ port: inspect, actors: processes.actors, transitions })
    started.add('inspector', () => inspector.close())
    log.info({ url: inspector.url }, "Stately's inspector can connect")
  }
  const gauges = startGauges(foundation, { source, shards, leads })
  started.add('gauges', () => gauges.stop())
  isStarted = true
  const run = announceRun(config, { pid: process.pid, api, roles: config.roles, ...shown }, log)
  const unfollow = certificate?.follow((tls) => run.update({ certificate: leafOf(tls) }))
  log.info({ version: VERSION, instance, roles: config.roles, api }, 'the platform runs')
  started.add('run file', () => {
    log.info({ instance }, 'the platform stops')
    unfollow?.()
    run.remove()
  })

  const stored = storedTopics(config, names)
  const storeOrRefuse = (): Store => {
    if (store) return store
    throw new TapelineError('CONFIG_INVALID', 'no role of this process uses the database')
  }
  return {
    api,
    query: (sql, stop) => storeOrRefuse().query(sql, QUERY_LIMITS, stop),
    actors: () => roster.list(),
    sourceHealth: () => source?.health(),
    get sourceEnded() {
      return source?.ended ?? false
    },
    countUnstored: async (stop) => countUnstored(broker, storeOrRefuse(), Object.values(stored), stop),
    async close() {
      await started.close()
      certificate?.close()
    },
  }
}
