import { statfs } from 'node:fs/promises'
import { TapelineError } from '../../../errors.ts'

/** The database needs a whole segment of its log, 16 MiB, at a time, and as much for what it keeps beside. */
const LEAST_FREE_BYTES = 32 * 2 ** 20

/** After these codes the disk is looked at: what WebAssembly says when it cannot write is "Aborted()". */
const DOUBTFUL = ['STORE_UNAVAILABLE', 'DATA_FOLDER_UNUSABLE', 'INTERNAL']

/** The error that says so, where the database ended, or does not open, because its disk is full; else the error as it is. */
export async function fullOr(folder: string, error: TapelineError): Promise<TapelineError> {
  if (!DOUBTFUL.includes(error.code)) return error
  const free = await freeBytes(folder)
  if (free === undefined || free >= LEAST_FREE_BYTES) return error
  const left = Math.floor(free / 2 ** 20)
  return new TapelineError(
    'STORE_FULL',
    `The disk of ${folder} has ${left} MiB left, and the database needs more.`,
    {
      cause: error,
    },
  )
}

async function freeBytes(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  } catch {
    // A folder that cannot be looked at says so by the error that there is already.
    return undefined
  }
}
