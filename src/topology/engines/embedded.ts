import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type DataFolderLock, lockDataFolder } from '../../adapters/broker/embedded/lock.ts'
import { type LogReader, openEmbeddedBroker, openLogReadOnly } from '../../adapters/broker/embedded.ts'
import { openEmbeddedStore } from '../../adapters/store/embedded.ts'
import type { Config } from '../../config.ts'
import { noDataYet, TapelineError } from '../../errors.ts'
import type { Broker } from '../../ports/broker.ts'
import type { Log } from '../../ports/log.ts'
import type { Store } from '../../ports/store.ts'

/**
 * Makes the data folder where it is missing and locks it: the embedded engines belong to one process (R18).
 * Raises DATA_FOLDER_LOCKED, DATA_FOLDER_UNUSABLE.
 */
export function lockFolder(folder: string): DataFolderLock {
  try {
    mkdirSync(join(folder, 'broker'), { recursive: true })
    mkdirSync(join(folder, 'store'), { recursive: true })
  } catch (error) {
    const reason = (error as Error).message
    throw new TapelineError('DATA_FOLDER_UNUSABLE', `the data folder ${folder} cannot be made: ${reason}`, {
      cause: error,
    })
  }
  return lockDataFolder(folder)
}

/** Raises DATA_FOLDER_UNUSABLE where there is no data folder: a command that looks must not make one. */
export function refuseMissing(folder: string): void {
  if (!existsSync(folder)) throw noDataYet(`There is no data folder ${folder}.`)
}

/** Opens the log of a data folder whose lock the caller holds. */
export function openFolderBroker(config: Config, log: Log): Promise<Broker> {
  const { durability } = config.broker
  return openEmbeddedBroker({ folder: join(config.data, 'broker'), durability, locked: true, log })
}

/** Opens the log of a data folder whose lock the caller holds, to read it only. */
export function openFolderLog(config: Config): Promise<LogReader> {
  return openLogReadOnly(join(config.data, 'broker'))
}

/** What it is opened for: for the platform, or for one command that nobody waits for. */
interface FolderStoreUse {
  readonly alone?: true
  readonly mustExist?: true
}

/** Opens the database of a data folder whose lock the caller holds. */
export async function openFolderStore(config: Config, log: Log, use: FolderStoreUse = {}): Promise<Store> {
  const { chunkInterval, columnstoreAfter, retention, queryTimeout } = config.store
  const opening = openEmbeddedStore({
    folder: join(config.data, 'store'),
    ...(chunkInterval !== undefined && { chunkIntervalMs: chunkInterval }),
    columnstoreAfterMs: columnstoreAfter,
    retentionMs: retention,
    ...(use.alone ? {} : { longestQueryMs: queryTimeout }),
    ...(use.mustExist && { mustExist: use.mustExist }),
    log,
  })
  return opening.catch((error: unknown) => {
    throw error instanceof TapelineError && error.code === 'STORE_FULL' ? fullAtStart(error) : error
  })
}

/** Nothing runs yet that could go on by itself. */
function fullAtStart(cause: TapelineError): TapelineError {
  return new TapelineError(cause.code, cause.message, { cause, remedy: 'Make room, then start again.' })
}
