import { TapelineError } from '../../../errors.ts'

/** SQLITE_BUSY: another connection holds the lock. https://sqlite.org/rescode.html */
const SQLITE_BUSY = 5

/** SQLITE_FULL: the disk has no room. */
const SQLITE_FULL = 13

/** Whether SQLite itself raised the error, rather than a defect of ours. */
function isSqliteError(error: unknown): error is Error & { readonly errcode: number } {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
}

/** Whether another process holds the database. */
export function isBusy(error: unknown): boolean {
  return isSqliteError(error) && (error.errcode & 0xff) === SQLITE_BUSY
}

/** The code of ours for what SQLite raised; undefined where something else did. */
export function sqliteCode(error: unknown): 'BROKER_FULL' | 'BROKER_UNAVAILABLE' | undefined {
  if (!isSqliteError(error)) return undefined
  return (error.errcode & 0xff) === SQLITE_FULL ? 'BROKER_FULL' : 'BROKER_UNAVAILABLE'
}

/** Why a file, or a folder, of the data folder cannot be opened or made: BROKER_FULL where the disk has no room, else DATA_FOLDER_UNUSABLE. */
export function unopened(error: unknown, message: string): TapelineError {
  const isFull = sqliteCode(error) === 'BROKER_FULL' || (error as NodeJS.ErrnoException).code === 'ENOSPC'
  if (!isFull) return new TapelineError('DATA_FOLDER_UNUSABLE', message, { cause: error })
  // Nothing runs yet that could go on by itself.
  return new TapelineError('BROKER_FULL', message, { cause: error, remedy: 'Make room, then start again.' })
}
