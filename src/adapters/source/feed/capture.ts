import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { TapelineError } from '../../../errors.ts'

/** Longer lines than any recorded frame: what follows is no capture. */
const LONGEST_LINE = 16 * 1024 * 1024

const FRAME = /^(\d{1,12})(?:\.(\d+))?: (.*)$/s
const SENT = / <- \d+(?:\.\d+)?: /
const OPENED = / <-> (\d{1,12})(?:\.(\d+))?\s*$/

/**
 * One line of a capture: `EPOCH_SECONDS: FRAME` was received, `URL <- EPOCH_SECONDS: FRAME` was sent, `URL <-> EPOCH_SECONDS` is
 * a connection that opened. `ts` is the recorded time in microseconds; digits past the sixth are cut.
 * Format: the raw data collection of github.com/bmoscon/cryptofeed.
 */
export type CaptureLine =
  | { readonly kind: 'received'; readonly ts: number; readonly frame: string }
  | { readonly kind: 'opened'; readonly ts: number }
  | { readonly kind: 'sent' }
  | { readonly kind: 'unreadable'; readonly text: string }

/** Reads one line; undefined where it is blank. */
function parseCaptureLine(line: string): CaptureLine | undefined {
  const [, seconds, fraction, frame] = FRAME.exec(line) ?? []
  if (seconds !== undefined && frame !== undefined) {
    return { kind: 'received', ts: epochMicros(seconds, fraction), frame }
  }
  const [, openedAt, openedFraction] = OPENED.exec(line) ?? []
  if (openedAt !== undefined) return { kind: 'opened', ts: epochMicros(openedAt, openedFraction) }
  if (SENT.test(line)) return { kind: 'sent' }
  return line.trim() === '' ? undefined : { kind: 'unreadable', text: line }
}

/**
 * The lines of a capture file, read as they are asked for. Raises CAPTURE_INVALID where the file cannot be read, or does not
 * begin like a capture. A frame whose bytes are no UTF-8 is unreadable.
 */
export async function* readCapture(path: string, signal: AbortSignal): AsyncGenerator<CaptureLine> {
  let begun = false
  for await (const { text, isText } of readLines(path, signal)) {
    const parsed = parseCaptureLine(text)
    if (!parsed) continue
    if (!begun && parsed.kind === 'unreadable') {
      throw new TapelineError('CAPTURE_INVALID', `${path} does not begin like a capture of frames`)
    }
    begun = true
    yield isText || parsed.kind !== 'received' ? parsed : { kind: 'unreadable', text }
  }
}

interface Line {
  readonly text: string
  /** Whether its bytes are UTF-8. */
  readonly isText: boolean
}

const LINE_FEED = 0x0a

async function* readLines(path: string, signal: AbortSignal): AsyncGenerator<Line> {
  let rest = Buffer.alloc(0)
  try {
    for await (const chunk of createReadStream(path, { signal })) {
      const bytes = Buffer.concat([rest, chunk as Buffer])
      const end = bytes.lastIndexOf(LINE_FEED)
      rest = bytes.subarray(end + 1)
      if (rest.length > LONGEST_LINE) throw new Error(`a line is longer than ${LONGEST_LINE} bytes`)
      if (end >= 0) yield* linesOf(bytes.subarray(0, end))
    }
  } catch (error) {
    if (signal.aborted) return
    const reason = error instanceof Error ? error.message : String(error)
    throw new TapelineError('CAPTURE_INVALID', `the capture ${path} cannot be read: ${reason}`, {
      cause: error,
    })
  }
  yield* linesOf(rest)
}

/** Splits whole lines. They are UTF-8 all at once, nearly always; where not, each is looked at by itself. */
function* linesOf(bytes: Buffer): Generator<Line> {
  if (isUtf8(bytes)) {
    for (const text of bytes.toString().split(/\r?\n/)) yield { text, isText: true }
    return
  }
  for (let at = 0; at <= bytes.length; ) {
    const found = bytes.indexOf(LINE_FEED, at)
    const end = found < 0 ? bytes.length : found
    const line = bytes.subarray(at, end)
    yield { text: line.toString().replace(/\r$/, ''), isText: isUtf8(line) }
    at = end + 1
  }
}

function epochMicros(seconds: string, fraction = ''): number {
  return Number(seconds) * 1_000_000 + Number(fraction.slice(0, 6).padEnd(6, '0'))
}
