import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { noDataYet } from '../../errors.ts'
import type { Broker } from '../../ports/broker.ts'
import type { Log } from '../../ports/log.ts'
import { openDirectChannel, openWorkerChannel } from './embedded/channel.ts'
import { EmbeddedBroker } from './embedded/embedded-broker.ts'
import { lockDataFolder } from './embedded/lock.ts'

const FILE_NAME = 'broker.db'
const CLEAN_EVERY_MS = 30_000

export interface EmbeddedBrokerSettings {
  /** The data folder, made where it is missing; or a log in memory, which ends with `close()`. */
  readonly folder: string | ':memory:'
  /** What an acknowledged record survives: the end of the process however it comes (default), or loss of power too. */
  readonly durability?: 'process' | 'power'
  /** The clock that publication times and retention go by, in milliseconds. */
  readonly now?: () => number
  /** The caller holds the lock of the folder. */
  readonly locked?: true
  /** How often retention and compaction run; default 30 s. */
  readonly cleanEveryMs?: number
  /** Where failures of work in the background are told; by default as warnings of the process. */
  readonly log?: Pick<Log, 'error'>
}

/**
 * Opens the embedded broker: a durable log in the data folder, run in a worker thread.
 * Raises DATA_FOLDER_LOCKED, DATA_FOLDER_UNUSABLE.
 */
export async function openEmbeddedBroker(settings: EmbeddedBrokerSettings): Promise<Broker> {
  return open(settings, settings.cleanEveryMs ?? CLEAN_EVERY_MS)
}

/** The part of a broker that only looks. */
export type LogReader = Pick<Broker, 'listTopics' | 'describeTopics' | 'offsetAt' | 'openReader' | 'close'>

/**
 * Opens the log of a folder that no process runs, to read it; nothing is removed meanwhile.
 * Raises DATA_FOLDER_UNUSABLE where the folder has no log, DATA_FOLDER_LOCKED.
 */
export async function openLogReadOnly(folder: string): Promise<LogReader> {
  if (!existsSync(join(folder, FILE_NAME))) throw noDataYet(`There is no data in the folder ${folder}.`)
  return open({ folder }, undefined)
}

async function open(settings: EmbeddedBrokerSettings, cleanEveryMs: number | undefined): Promise<Broker> {
  const { folder, durability = 'process', now = Date.now, log = processWarnings } = settings
  if (folder === ':memory:') {
    const channel = openDirectChannel({ path: folder, durability })
    return new EmbeddedBroker({ channel, now, cleanEveryMs, log, onClosed: () => {} })
  }
  const lock = settings.locked ? undefined : lockDataFolder(folder)
  try {
    const reopen = () => openWorkerChannel({ path: join(folder, FILE_NAME), durability })
    return new EmbeddedBroker({
      channel: await reopen(),
      reopen,
      now,
      cleanEveryMs,
      log,
      onClosed: () => lock?.release(),
    })
  } catch (error) {
    lock?.release()
    throw error
  }
}

const processWarnings: Pick<Log, 'error'> = {
  error(fields, message) {
    const cause = 'err' in fields ? fields.err : undefined
    process.emitWarning(cause instanceof Error ? `${message}: ${cause.message}` : message, 'TapelineWarning')
  },
}
