import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { TapelineError } from '../../../errors.ts'
import { isBusy, unopened } from './sqlite-errors.ts'

export interface DataFolderLock {
  /** Gives the folder free. May be called again. */
  release(): void
}

/**
 * Makes the data folder where it is missing, and locks it against every other process. The operating system gives the lock
 * free when the process ends, however it ends. Raises DATA_FOLDER_LOCKED, DATA_FOLDER_UNUSABLE, BROKER_FULL.
 */
export function lockDataFolder(folder: string): DataFolderLock {
  let database: DatabaseSync | undefined
  try {
    mkdirSync(folder, { recursive: true })
    database = new DatabaseSync(join(folder, 'lock.db'), { timeout: 0 })
    database.exec('pragma locking_mode = exclusive; begin exclusive')
  } catch (error) {
    database?.close()
    if (isBusy(error)) {
      throw new TapelineError('DATA_FOLDER_LOCKED', `Another process uses the data folder ${folder}.`, {
        cause: error,
      })
    }
    throw unopened(error, `The data folder ${folder} cannot be used: ${(error as Error).message}.`)
  }
  const held = database
  return {
    release() {
      if (held.isOpen) held.close()
    },
  }
}
