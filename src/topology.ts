import type { Config } from './config.ts'
import type { ActorReport } from './ports/actors.ts'
import type { Log } from './ports/log.ts'
import type { Source, SourceHealth } from './ports/source.ts'
import type { Store } from './ports/store.ts'
import { StartedParts } from './topology/closing.ts'
import { layFoundation } from './topology/foundation.ts'
import { startGauges } from './topology/gauges.ts'
import { startConsumerFixedRole } from './topology/roles/consumer-fixed.ts'
import { startCoordinatorRole } from './topology/roles/coordinator.ts'
import { startGatewayRole } from './topology/roles/gateway.ts'
import { startProducerRole } from './topology/roles/producer.ts'
import { removeRunFile, writeRunFile } from './topology/run-file.ts'
import { createSource } from './topology/sources.ts'
import { countUnstored } from './topology/unstored.ts'

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

/**
 * Puts adapters, services and machines together as the configuration says, and starts them.
 * Raises CONFIG_INVALID, DATA_FOLDER_LOCKED, DATA_FOLDER_UNUSABLE, PARTITIONS_CHANGED, MIGRATION_MISMATCH, PORT_IN_USE and
 * PUBLIC_WITHOUT_KEYS; what was started by then is closed again.
 */
export async function startPlatform(
  config: Config,
  options: PlatformOptions,
  signal: AbortSignal,
): Promise<Platform> {
  const started = new StartedParts(options.log)
  try {
    return await start(config, options, started, signal)
  } catch (error) {
    await started.close()
    throw error
  }
}

async function start(
  config: Config,
  options: PlatformOptions,
  started: StartedParts,
  signal: AbortSignal,
): Promise<Platform> {
  const { log, trace, onServing } = options
  const has = (role: Config['roles'][number]): boolean => config.roles.includes(role)
  const foundation = await layFoundation(config, started, log, trace, signal)
  const { broker, store, topics, roster, registry, meter } = foundation
  let isStarted = false
  let api: string | undefined
  let source: Source | undefined

  if (has('coordinator')) await startCoordinatorRole(foundation, signal)
  if (has('consumer-fixed')) await startConsumerFixedRole(foundation, signal)
  if (has('gateway')) {
    api = await startGatewayRole(foundation, () => isStarted)
    await onServing?.(api)
  }
  if (has('producer')) {
    source = options.source?.(log) ?? createSource(config, log)
    await startProducerRole(foundation, source, signal)
  }
  const gauges = startGauges(meter, registry, () => source)
  started.add('gauges', () => gauges.stop())
  isStarted = true
  if (api !== undefined) {
    writeRunFile(config.data, { pid: process.pid, api })
    started.add('run file', () => removeRunFile(config.data))
  }

  const { book: _notStored, ...stored } = topics
  return {
    api,
    store,
    actors: () => roster.list(),
    sourceHealth: () => source?.health(),
    get sourceEnded() {
      return source?.ended ?? false
    },
    countUnstored: (stop) => countUnstored(broker, store, Object.values(stored), stop),
    close: () => started.close(),
  }
}
