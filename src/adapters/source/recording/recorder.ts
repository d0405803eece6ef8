import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startInterval } from '../../../async/timers.ts'
import { marketKey } from '../../../domain/events.ts'
import { isoMicros } from '../../../domain/time.ts'
import { TapelineError } from '../../../errors.ts'
import type { Market } from '../../../ports/source.ts'
import type { FrameTap } from '../feed/frame-tap.ts'
import {
  COMPRESSIONS,
  type CompressedFile,
  type CompressionName,
  createCompressedFile,
} from './compression.ts'
import { receivedEntry, recordingHeader, recordingLine } from './format.ts'

/** A process that is killed loses no more than this. */
const FLUSH_MS = 1_000
/** So much may wait for the disk: what comes beyond it is left out, and the recording says so. */
const MOST_WAITING = 64 * 1024 * 1024

interface RecorderOptions {
  readonly folder: string
  /** What the names of its files begin with. */
  readonly name: string
  /** Whose frames they are. */
  readonly source: string
  readonly markets: readonly Market[]
  readonly channels: readonly string[]
  /** Undefined: plain text. */
  readonly compression: CompressionName | undefined
  /** A file is followed by another one after so many bytes, or so many milliseconds. */
  readonly rotateBytes: number
  readonly rotateMs: number
  /** Microseconds since the epoch. */
  readonly now: () => number
}

/** What a recorder has written so far. */
interface RecorderCounts {
  frames: number
  lost: number
  files: string[]
}

/** Writes what a source receives and sends into files of one folder, one after another. */
export interface Recorder extends FrameTap {
  readonly counts: RecorderCounts
  /** Why nothing more can be written. */
  readonly failure: TapelineError | undefined
  /** Raises FILE_UNWRITABLE. */
  close(): Promise<void>
}

/** Begins a recording in a file of its own. Raises FILE_UNWRITABLE where the folder cannot be made. */
export function createRecorder(options: RecorderOptions): Recorder {
  const { folder, name, source, markets, channels, compression, rotateBytes, rotateMs, now } = options
  const counts: RecorderCounts = { frames: 0, lost: 0, files: [] }
  let failure: TapelineError | undefined
  let file: CompressedFile | undefined
  let openedAt = 0
  let isDirty = false
  let lost = 0
  const closing = new Set<Promise<void>>()

  const fail = (error: unknown): void => {
    failure ??= new TapelineError('FILE_UNWRITABLE', `the recording cannot be written: ${String(error)}`, {
      cause: error,
    })
  }
  try {
    mkdirSync(folder, { recursive: true })
  } catch (error) {
    fail(error)
  }

  const closeFile = (): void => {
    const closed = file?.close().catch(fail)
    if (closed === undefined) return
    closing.add(closed)
    void closed.finally(() => closing.delete(closed))
    file = undefined
  }

  const openFile = (ts: number, continues: boolean): CompressedFile => {
    const time = isoMicros(ts).replace(/[-:.]/g, '')
    const ending = compression === undefined ? '' : COMPRESSIONS[compression].ending
    const path = join(folder, `${name}-${time}.jsonl${ending}`)
    const made = createCompressedFile(path, compression, fail)
    made.write(
      recordingHeader({ source, markets: markets.map(marketKey), channels: [...channels], continues }),
    )
    counts.files.push(path)
    openedAt = ts
    return made
  }

  const add = (ts: number, line: string, isFrame: boolean): void => {
    if (failure !== undefined) return
    if (file !== undefined && (file.bytes >= rotateBytes || ts - openedAt >= rotateMs * 1_000)) {
      closeFile()
      file = openFile(ts, true)
    }
    file ??= openFile(ts, false)
    if (file.waiting > MOST_WAITING) {
      if (isFrame) lost++
      return
    }
    if (lost > 0) {
      file.write(recordingLine(ts, { lost }))
      counts.lost += lost
      lost = 0
    }
    file.write(line)
    if (isFrame) counts.frames++
    isDirty = true
  }

  const flushing = startInterval(() => {
    if (!isDirty) return
    isDirty = false
    file?.flush()
  }, FLUSH_MS).unref()

  return {
    counts,
    get failure() {
      return failure
    },
    opened: (ts) => add(ts, recordingLine(ts, { opened: true }), false),
    closed: (ts) => add(ts, recordingLine(ts, { closed: true }), false),
    sent: (frame, ts) => add(ts, recordingLine(ts, { sent: frame }), false),
    answered: (url, body, ts) => add(ts, recordingLine(ts, { answered: body, url }), true),
    received: (data, ts) => add(ts, recordingLine(ts, receivedEntry(data)), true),
    async close() {
      flushing.stop()
      if (lost > 0 && file) file.write(recordingLine(now(), { lost }))
      counts.lost += lost
      closeFile()
      await Promise.all(closing)
      if (failure) throw failure
    },
  }
}
