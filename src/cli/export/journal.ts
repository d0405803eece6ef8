import { createReadStream, existsSync } from 'node:fs'
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import type { RowChannel } from '../../domain/stored-rows.ts'
import { TapelineError } from '../../errors.ts'
import { FORMATS, type FormatName, type Row, type RowWriter } from './formats.ts'
import { fileOutput, refuseExisting, unwritable } from './output.ts'
import { firstPlace, type Place } from './pages.ts'
import { type Selection, selectionSchema } from './selection.ts'

/** What an export that was interrupted goes on with. `asked` are its flags, as text: they must be the same again. */
const stateSchema = z.object({
  version: z.literal(1),
  asked: z.string(),
  selection: selectionSchema,
  symbols: z.array(z.string()),
  /** The page that comes next; null after the last. */
  place: z.object({ symbol: z.string(), cursor: z.string().optional() }).nullable(),
  rows: z.number(),
  /** How much of the file holds whole pages up to there. */
  bytes: z.number(),
})

type State = z.output<typeof stateSchema>

/** What a journal is begun with, where there is none to go on with. */
interface Beginning {
  readonly selection: Selection
  readonly symbols: readonly string[]
}

/**
 * An export into a file beside the one that it becomes, `FILE.part`, with a note of how far it is, `FILE.part.json`. A file in Parquet has what
 * lies where at its end, so nothing can be added to half of one: its rows are kept as lines until they are all there.
 */
export interface Journal {
  /** What is there of an export with the same flags. */
  readonly former:
    | {
        readonly selection: Selection
        readonly symbols: readonly string[]
        readonly place: Place | undefined
        readonly rows: number
      }
    | undefined
  /** Raises FILE_UNWRITABLE. */
  begin(beginning: Beginning): Promise<void>
  /** Adds a page, and notes where the next one is. Raises FILE_UNWRITABLE. */
  write(rows: readonly Row[], next: Place | undefined): Promise<void>
  /** Makes the file of what is there. Raises FILE_UNWRITABLE. */
  finish(): Promise<void>
  /** What is there stays for another time. */
  close(): Promise<void>
}

/** Opens the journal of a file. Raises USAGE where there is the file already, or a journal of other flags; FILE_UNWRITABLE. */
export async function openJournal(
  path: string,
  {
    channel,
    format,
    asked,
    replace,
  }: {
    readonly channel: RowChannel
    readonly format: FormatName
    readonly asked: string
    readonly replace: boolean
  },
): Promise<Journal> {
  refuseExisting(path, replace)
  const [rowsPath, statePath] = [`${path}.part`, `${path}.part.json`]
  const former = await readState(statePath, rowsPath)
  if (former !== undefined && former.asked !== asked) {
    throw new TapelineError('USAGE', `${rowsPath} is of an export with other flags: ${former.asked}`, {
      remedy: `Give the same flags again, or remove ${rowsPath} and ${statePath}.`,
    })
  }
  const file = await open(rowsPath, former === undefined ? 'w' : 'r+').catch((error: Error) =>
    unwritable(rowsPath, error),
  )
  if (former !== undefined) await file.truncate(former.bytes)
  let bytes = former?.bytes ?? 0
  let state: State | undefined = former
  const kept = format === 'parquet' ? 'ndjson' : format
  const output = {
    async write(chunk: Uint8Array) {
      let at = 0
      while (at < chunk.length)
        at += (await file.write(chunk, at, chunk.length - at, bytes + at)).bytesWritten
      bytes += chunk.length
    },
  }
  const writer: RowWriter = FORMATS[kept](channel, output, former !== undefined && former.bytes > 0)
  const save = async (next: State): Promise<void> => {
    await file.datasync()
    await writeFile(`${statePath}.new`, JSON.stringify(next))
    await rename(`${statePath}.new`, statePath)
    state = next
  }
  const guarded = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      unwritable(rowsPath, error)
    }
  }
  return {
    former: former && {
      selection: former.selection,
      symbols: former.symbols,
      place: former.place ?? undefined,
      rows: former.rows,
    },
    begin: ({ selection, symbols }) =>
      guarded(() =>
        save({
          ...{ version: 1, asked, selection, rows: 0, bytes: 0, symbols: [...symbols] },
          place: firstPlace(symbols) ?? null,
        }),
      ),
    write: (rows, next) =>
      guarded(async () => {
        if (state === undefined) throw new Error('nothing was begun')
        await writer.write(rows)
        await save({ ...state, place: next ?? null, rows: state.rows + rows.length, bytes })
      }),
    async finish() {
      await guarded(async () => {
        await writer.end()
        await file.sync()
        await file.close()
      })
      if (format === 'parquet') {
        await toParquet(rowsPath, path, channel, replace)
        await rm(rowsPath)
      } else {
        await guarded(() => rename(rowsPath, path))
      }
      await rm(statePath)
    },
    close: () => file.close(),
  }
}

async function readState(statePath: string, rowsPath: string): Promise<State | undefined> {
  if (!existsSync(statePath) || !existsSync(rowsPath)) return undefined
  try {
    return stateSchema.parse(JSON.parse(await readFile(statePath, 'utf8')))
  } catch (error) {
    throw new TapelineError('USAGE', `${statePath} is none of ours, or of another version`, {
      cause: error,
      remedy: `Remove ${statePath} and ${rowsPath}, and begin anew.`,
    })
  }
}

const LINES = 10_000

async function toParquet(from: string, to: string, channel: RowChannel, replace: boolean): Promise<void> {
  const output = await fileOutput(to, replace)
  try {
    const writer = FORMATS.parquet(channel, output)
    let rows: Row[] = []
    for await (const line of createInterface({
      input: createReadStream(from),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      rows.push(JSON.parse(line) as Row)
      if (rows.length < LINES) continue
      await writer.write(rows)
      rows = []
    }
    await writer.write(rows)
    await writer.end()
    await output.finish()
  } catch (error) {
    await output.abandon()
    throw error
  }
}
