import { isUtf8 } from 'node:buffer'
import { z } from 'zod'
import type { CaptureLine } from '../feed/capture.ts'
import { parseObject } from '../feed/text.ts'

/**
 * A recording of ours: JSON lines. The first says of what it is; each other one has a time in microseconds and what happened then: `received` and `sent` are frames,
 * `bytes` one that is no text, in base64; `answered` what came by REST from `url`; `opened`, `closed` a connection; `lost` how many frames found no room.
 */
const RECORDING_VERSION = 1

const headerSchema = z.object({
  tapeline: z.literal('recording'),
  v: z.literal(RECORDING_VERSION),
  source: z.string(),
  markets: z.array(z.string()),
  channels: z.array(z.string()),
  /** Whether it goes on where another file ends, on the same connection. */
  continues: z.boolean(),
})

type Header = z.output<typeof headerSchema>

const BEGIN = '{"tapeline":"recording"'

/** Whether a line begins a recording of ours. */
export function isRecordingHeader(line: string): boolean {
  return line.startsWith(BEGIN)
}

/** The first line of a recording. */
export function recordingHeader(header: Omit<Header, 'tapeline' | 'v'>): string {
  return `${JSON.stringify({ tapeline: 'recording', v: RECORDING_VERSION, ...header })}\n`
}

/** What may stand in a line of a recording besides its time. */
type Entry =
  | { readonly received: string }
  | { readonly bytes: string }
  | { readonly sent: string }
  | { readonly answered: string; readonly url: string }
  | { readonly opened: true }
  | { readonly closed: true }
  | { readonly lost: number }

export function recordingLine(ts: number, entry: Entry): string {
  return `${JSON.stringify({ ts, ...entry })}\n`
}

/** A frame as a line has it. */
export function receivedEntry(data: Buffer): Entry {
  return isUtf8(data) ? { received: data.toString() } : { bytes: data.toString('base64') }
}

/** Reads one line; undefined where it is blank. */
export function parseRecordingLine(line: string): CaptureLine | undefined {
  if (line.trim() === '') return undefined
  if (isRecordingHeader(line)) {
    const header = headerSchema.safeParse(parseObject(line)).data
    return header === undefined ? { kind: 'unreadable', text: line } : { kind: 'begins', ...header }
  }
  const fields = parseObject(line) ?? {}
  const { ts, received, answered, url, opened, closed, lost } = fields
  if (!Number.isSafeInteger(ts)) return { kind: 'unreadable', text: line }
  const at = ts as number
  if (typeof received === 'string') return { kind: 'received', ts: at, frame: received }
  if (typeof answered === 'string' && typeof url === 'string')
    return { kind: 'answered', ts: at, url, body: answered }
  if (opened === true) return { kind: 'opened', ts: at }
  if (closed === true) return { kind: 'closed', ts: at }
  if (typeof lost === 'number') return { kind: 'lost', ts: at }
  return 'sent' in fields ? { kind: 'sent' } : { kind: 'unreadable', text: line }
}
