import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { lockDataFolder } from '../adapters/broker/embedded/lock.ts'
import { type LogReader, openEmbeddedBroker, openLogReadOnly } from '../adapters/broker/embedded.ts'
import { openEmbeddedStore } from '../adapters/store/embedded.ts'
import type { Config } from '../config.ts'
import { TapelineError } from '../errors.ts'
import type { Broker } from '../ports/broker.ts'
import type { Log } from '../ports/log.ts'
import type { Store } from '../ports/store.ts'

/** The broker and the store that the configuration names. */
export interface Engines {
  readonly broker: Broker
  readonly store: Store
  close(): Promise<void>
}

/**
 * Opens the embedded engines on a data folder, which is theirs alone until they are closed (R18).
 * Raises DATA_FOLDER_LOCKED and DATA_FOLDER_UNUSABLE.
 */
export async function openEngines(config: Config, log: Log): Promise<Engines> {
  const lock = lockFolder(config.data)
  const opened = await Promise.allSettled([openBroker(config, log), openStore(config, log)])
  const [broker, store] = opened
  if (broker.status === 'fulfilled' && store.status === 'fulfilled') {
    return {
      broker: broker.value,
      store: store.value,
      async close() {
        const closed = await Promise.allSettled([store.value.close(), broker.value.close()])
        lock.release()
        for (const each of closed) if (each.status === 'rejected') throw each.reason
      },
    }
  }
  for (const each of opened) if (each.status === 'fulfilled') await each.value.close()
  lock.release()
  throw broker.status === 'rejected' ? broker.reason : store.status === 'rejected' ? store.reason : undefined
}

/**
 * Opens only the store of a data folder, for commands while nothing runs. With `mustExist` it is not made where there is none.
 * Raises DATA_FOLDER_LOCKED, DATA_FOLDER_UNUSABLE, STORE_UNAVAILABLE.
 */
export async function openStoreAlone(
  config: Config,
  log: Log,
  { mustExist }: { readonly mustExist?: true } = {},
): Promise<{ readonly store: Store; close(): Promise<void> }> {
  if (mustExist) refuseMissing(config.data)
  const lock = lockFolder(config.data)
  try {
    const store = await openStore(config, log, mustExist)
    return {
      store,
      async close() {
        await store.close()
        lock.release()
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** Opens only the log of a data folder, to read it while nothing runs. Raises DATA_FOLDER_LOCKED, DATA_FOLDER_UNUSABLE. */
export async function openLogAlone(
  config: Config,
): Promise<{ readonly reader: LogReader; close(): Promise<void> }> {
  refuseMissing(config.data)
  const lock = lockFolder(config.data)
  try {
    const reader = await openLogReadOnly(join(config.data, 'broker'))
    return {
      reader,
      async close() {
        await reader.close()
        lock.release()
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

function refuseMissing(folder: string): void {
  if (existsSync(folder)) return
  throw new TapelineError('DATA_FOLDER_UNUSABLE', `There is no data folder ${folder}.`, {
    remedy: 'Name the folder of a platform that has run, with --data.',
  })
}

function lockFolder(folder: string): { release(): void } {
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

function openBroker(config: Config, log: Log): Promise<Broker> {
  const { durability } = config.broker
  return openEmbeddedBroker({ folder: join(config.data, 'broker'), durability, locked: true, log })
}

function openStore(config: Config, log: Log, mustExist?: true): Promise<Store> {
  const { chunkInterval, columnstoreAfter, retention } = config.store
  return openEmbeddedStore({
    folder: join(config.data, 'store'),
    chunkIntervalMs: chunkInterval,
    columnstoreAfterMs: columnstoreAfter,
    retentionMs: retention,
    ...(mustExist && { mustExist }),
    log,
  })
}
