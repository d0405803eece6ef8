import { z } from 'zod'
import type { OpenWindows, WindowsState } from '../../domain/open-windows.ts'
import { portionsOf } from './portions.ts'
import type { Routes } from './routes.ts'
import type { Shard } from './shard.ts'

const WINDOWS_VERSION = 1

const windowSchema = z.tuple([z.number().int(), z.unknown()]).readonly()

const recordSchema = z.object({
  v: z.literal(WINDOWS_VERSION),
  /** Everything before is in the windows; only in the first record. */
  offset: z.number().int(),
  ticked: z.number(),
  markets: z.array(
    z.object({
      key: z.string(),
      exchange: z.string(),
      symbol: z.string(),
      seen: z.number(),
      open: z.array(windowSchema),
      last: windowSchema.exactOptional(),
    }),
  ),
  /** How many further records hold the rest of the markets. */
  further: z.number().int().default(0),
})

type WindowsRecord = z.infer<typeof recordSchema>

/** The windows of a stream in a checkpoint (R22). */
export interface SavedWindows extends WindowsState {
  /** Every fixed record before is in them that the stream takes. */
  readonly offset: number
  /** How many records they take besides the first. */
  readonly further: number
}

const PREFIX = 'window:'

/** The keys of the records of a stream's windows; `number` 0 is the first. */
function keyOf(stream: string, number: number): string {
  return number === 0 ? `${PREFIX}${stream}` : `${PREFIX}${stream}:${number}`
}

type Entry = readonly [key: string, body: object | null]

/** What stands in the checkpoints of a stream's windows. */
interface SavedMark {
  readonly windows: OpenWindows | undefined
  readonly changes: number
  readonly further: number
}

/** By stream. */
export type SavedMarks = ReadonlyMap<string, SavedMark>

/** What a checkpoint of a shard adds for the windows of streams: those that have changed, and the end of those of streams that are over. */
export function saveWindows(
  shard: Shard,
  routes: Routes,
  marks: SavedMarks = marksOf(shard),
): { readonly entries: readonly Entry[]; readonly marks: SavedMarks } {
  const next = new Map(marks)
  const entries: Entry[] = []
  for (const { id, channel, progress } of routes.windowed) {
    const { windows, behind } = progress.get(shard.k) ?? {}
    if (windows === undefined) continue
    const mark = marks.get(id)
    const { changes } = windows
    const isSaved = mark?.windows === windows ? mark.changes === changes : mark === undefined && changes === 0
    if (isSaved) continue
    const bodies = bodiesOf(windows, behind ?? shard.tails[channel].derivedTo)
    const further = bodies.length - 1
    for (const [i, body] of bodies.entries()) entries.push([keyOf(id, i), body])
    entries.push(...endOf(id, further + 1, mark?.further))
    next.set(id, { windows, changes, further })
  }
  for (const [id, { further }] of marks) {
    if (!routes.isOver(id)) continue
    entries.push(...endOf(id, 0, further))
    next.delete(id)
  }
  return { entries, marks: next }
}

/** What stands there when nothing may stand there any more: all is to be saved again. */
export function forgetMarks(marks: SavedMarks): SavedMarks {
  return new Map([...marks].map(([id, mark]) => [id, { ...mark, windows: undefined }]))
}

function marksOf({ savedWindows }: Shard): SavedMarks {
  return new Map(
    [...savedWindows].map(([id, { further }]) => [id, { windows: undefined, changes: 0, further }]),
  )
}

function bodiesOf({ state }: OpenWindows, offset: number): object[] {
  const { ticked, markets } = state
  const portions = portionsOf(markets)
  const further = portions.length - 1
  return portions.map((each, i) => ({
    ...{ v: WINDOWS_VERSION, offset, ticked, markets: each },
    ...(i === 0 && { further }),
  }))
}

function endOf(stream: string, first: number, last = -1): Entry[] {
  return Array.from({ length: Math.max(0, last + 1 - first) }, (_, i) => [keyOf(stream, first + i), null])
}

/** The windows of streams in the checkpoints of a shard, folded from their records. */
export class SavedWindowsReader {
  readonly #records = new Map<string, WindowsRecord>()

  /** Takes a record in, and gives whether it is one of windows. Raises ZodError where it is of another shape. */
  take(key: string, body: unknown): boolean {
    if (!key.startsWith(PREFIX)) return false
    if (body === null) this.#records.delete(key)
    else this.#records.set(key, recordSchema.parse(body))
    return true
  }

  /** By stream. */
  get windows(): ReadonlyMap<string, SavedWindows> {
    const found = new Map<string, SavedWindows>()
    for (const [key, { offset, ticked, markets, further }] of this.#records) {
      const stream = key.slice(PREFIX.length)
      if (stream.includes(':')) continue
      const others = Array.from({ length: further }, (_, i) => this.#records.get(keyOf(stream, i + 1)))
      const all = [...markets, ...others.flatMap((record) => record?.markets ?? [])]
      found.set(stream, { offset, ticked, markets: all, further })
    }
    return found
  }
}
