import type { LogReader } from '../adapters/broker/embedded.ts'
import type { Config } from '../config.ts'
import type { Broker } from '../ports/broker.ts'
import type { Log } from '../ports/log.ts'
import type { Store } from '../ports/store.ts'
import { refuseUnusableAddress } from './address.ts'
import {
  lockFolder,
  openFolderBroker,
  openFolderLog,
  openFolderStore,
  refuseMissing,
} from './engines/embedded.ts'
import { needsStore, refuseLonelyRoles, usesFolder } from './engines/roles.ts'
import { openKafka, openTimescale } from './engines/servers.ts'
import type { Waiting } from './waiting.ts'

/** The broker, and where a role uses it the store, that the configuration names. */
export interface Engines {
  readonly broker: Broker
  readonly store: Store | undefined
  close(): Promise<void>
}

/**
 * Opens what the roles of this process need. An embedded engine locks the data folder until all is closed; a server that cannot
 * be reached yet is waited for. Raises CONFIG_INVALID, PUBLIC_WITHOUT_KEYS, PORT_IN_USE, DATA_FOLDER_LOCKED, DATA_FOLDER_UNUSABLE, and of the BROKER_ and STORE_
 * codes what only a person can cure.
 */
export async function openEngines(
  config: Config,
  log: Log,
  waiting: Waiting,
  signal: AbortSignal,
): Promise<Engines> {
  refuseLonelyRoles(config)
  const lock = usesFolder(config) ? lockFolder(config.data) : undefined
  try {
    // Behind the lock, which says more where the same platform runs already, and before a database is made in vain.
    await refuseUnusableAddress(config)
  } catch (error) {
    lock?.release()
    throw error
  }
  // What one cannot open for good ends the wait for the other.
  const failed = new AbortController()
  const stop = AbortSignal.any([signal, failed.signal])
  const openOrStop = async <T>(open: () => Promise<T>): Promise<T> => {
    try {
      return await open()
    } catch (error) {
      failed.abort(error)
      throw error
    }
  }
  const [broker, store] = await Promise.allSettled([
    openOrStop(() => openBroker(config, log, waiting, stop)),
    openOrStop(async () => (needsStore(config) ? await openStore(config, log, waiting, stop) : undefined)),
  ])
  if (broker.status === 'fulfilled' && store.status === 'fulfilled') {
    return {
      broker: broker.value,
      store: store.value,
      async close() {
        const closed = await Promise.allSettled([store.value?.close(), broker.value.close()])
        lock?.release()
        for (const each of closed) if (each.status === 'rejected') throw each.reason
      },
    }
  }
  for (const each of [broker, store]) if (each.status === 'fulfilled') await each.value?.close()
  lock?.release()
  signal.throwIfAborted()
  throw failed.signal.reason
}

function openBroker(config: Config, log: Log, waiting: Waiting, signal: AbortSignal): Promise<Broker> {
  switch (config.broker.kind) {
    case 'embedded':
      return openFolderBroker(config, log)
    case 'kafka':
      return waiting.until(() => openKafka(config, log, signal), signal)
  }
}

function openStore(config: Config, log: Log, waiting: Waiting, signal: AbortSignal): Promise<Store> {
  switch (config.store.kind) {
    case 'embedded':
      return openFolderStore(config, log)
    case 'timescale':
      return waiting.until(() => openTimescale(config, log, signal), signal)
  }
}

/** A store that a command uses by itself. */
export interface StoreAlone {
  readonly store: Store
  close(): Promise<void>
}

/**
 * Opens only the store, for commands: the one of the data folder while nothing runs, or the configured server in one attempt.
 * With `mustExist` the one of a folder is not made where there is none. Raises CONFIG_INVALID, DATA_FOLDER_LOCKED,
 * DATA_FOLDER_UNUSABLE and the STORE_ codes.
 */
export async function openStoreAlone(
  config: Config,
  log: Log,
  signal: AbortSignal,
  { mustExist }: { readonly mustExist?: true } = {},
): Promise<StoreAlone> {
  if (config.store.kind === 'timescale') {
    const store = await openTimescale(config, log, signal)
    return { store, close: () => store.close() }
  }
  if (mustExist) refuseMissing(config.data)
  const { opened, close } = await withLock(config.data, () =>
    openFolderStore(config, log, { alone: true, ...(mustExist && { mustExist }) }),
  )
  return { store: opened, close }
}

/** A log that a command reads by itself. */
export interface LogAlone {
  readonly reader: LogReader
  close(): Promise<void>
}

/**
 * Opens only the log, to read it: the one of the data folder while nothing runs, or the configured broker in one attempt.
 * Raises CONFIG_INVALID, DATA_FOLDER_LOCKED, DATA_FOLDER_UNUSABLE and the BROKER_ codes.
 */
export async function openLogAlone(config: Config, log: Log, signal: AbortSignal): Promise<LogAlone> {
  if (config.broker.kind === 'kafka') {
    const reader = await openKafka(config, log, signal)
    return { reader, close: () => reader.close() }
  }
  refuseMissing(config.data)
  const { opened, close } = await withLock(config.data, () => openFolderLog(config))
  return { reader: opened, close }
}

/** Opens something of a data folder under its lock, and gives the lock free when it is closed. */
async function withLock<T extends { close(): Promise<void> }>(
  folder: string,
  open: () => Promise<T>,
): Promise<{ readonly opened: T; close(): Promise<void> }> {
  const lock = lockFolder(folder)
  try {
    const opened = await open()
    return {
      opened,
      async close() {
        await opened.close()
        lock.release()
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}
