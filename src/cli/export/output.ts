import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { TapelineError } from '../../errors.ts'

/** Where the bytes of an export go. */
export interface Output {
  /** Resolves when there is room for more. Raises FILE_UNWRITABLE. */
  write(bytes: Uint8Array): Promise<void>
  /** The export is whole. Raises FILE_UNWRITABLE. */
  finish(): Promise<void>
  /** The export has failed: nothing of it stays in a file. */
  abandon(): Promise<void>
}

/** Standard output, at the pace of whoever reads it. */
export function streamOutput(stream: Writable): Output {
  return {
    async write(bytes) {
      if (!stream.write(bytes)) await once(stream, 'drain')
    },
    finish: async () => {},
    abandon: async () => {},
  }
}

/**
 * A file that appears under its name only once it is whole: it is written beside it, and renamed. Raises USAGE where there is one
 * already and `replace` is not set, or something that is no file; FILE_UNWRITABLE.
 */
export async function fileOutput(path: string, replace: boolean): Promise<Output> {
  refuseExisting(path, replace)
  const aside = `${path}.${process.pid}.part`
  const file = await open(aside, 'w').catch((error: Error) => unwritable(path, error))
  return {
    async write(bytes) {
      await file.writeFile(bytes).catch((error: Error) => unwritable(path, error))
    },
    async finish() {
      try {
        await file.sync()
        await file.close()
        await rename(aside, path)
      } catch (error) {
        unwritable(path, error)
      }
    },
    async abandon() {
      await file.close()
      await rm(aside, { force: true })
    },
  }
}

/** Raises USAGE where there is something under the name that may not be replaced. */
export function refuseExisting(path: string, replace: boolean): void {
  if (!existsSync(path)) return
  if (!statSync(path).isFile()) {
    throw new TapelineError('USAGE', `--out ${path} is no file`, {
      remedy: 'Name a file; without --out, csv and ndjson go to standard output.',
    })
  }
  if (replace) return
  throw new TapelineError('USAGE', `there is a file ${path} already`, {
    remedy: 'Name another one, or replace it with --force.',
  })
}

/** Raises FILE_UNWRITABLE for what a file system said. */
export function unwritable(path: string, error: unknown): never {
  const why = error instanceof Error ? error.message : String(error)
  throw new TapelineError('FILE_UNWRITABLE', `${path} cannot be written: ${why}`, { cause: error })
}
