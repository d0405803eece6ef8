import { isUtf8 } from 'node:buffer'
import { TapelineError } from '../../../errors.ts'
import { openUncompressed } from '../recording/compression.ts'
import { isRecordingHeader, parseRecordingLine } from '../recording/format.ts'
import { parseJson } from './text.ts'

/** Longer lines than any recorded frame: what follows is no capture. */
const LONGEST_LINE = 64 * 1024 * 1024

const FRAME = /^(\d{1,12})(?:\.(\d+))?: (.*)$/s
const SENT = /^(\S+) <- \d+(?:\.\d+)?: /
const ANSWER = /^(\S+) -> (\d{1,12})(?:\.(\d+))?: (.*)$/s
const OPENED = /^(\S+) <-> (\d{1,12})(?:\.(\d+))?\s*$/

/**
 * One line of a file of recorded frames. `ts` is the recorded time in microseconds; digits past the sixth are cut. `begins`: a recording of ours, of this
 * source and these markets; one that `continues` goes on where another file ends. `untimed`: a frame of which nobody wrote the time. `lost`: frames were
 * left out here. `answered`: what came by REST from an address.
 */
export type CaptureLine =
  | {
      readonly kind: 'begins'
      readonly source: string
      readonly markets: readonly string[]
      readonly continues: boolean
    }
  | { readonly kind: 'received'; readonly ts: number; readonly frame: string }
  | { readonly kind: 'untimed'; readonly frame: string }
  | { readonly kind: 'opened'; readonly ts: number; readonly url?: string }
  | { readonly kind: 'closed' | 'lost'; readonly ts: number }
  | { readonly kind: 'sent'; readonly url?: string }
  | { readonly kind: 'answered'; readonly ts: number; readonly url: string; readonly body: string }
  | { readonly kind: 'unreadable'; readonly text: string }

type ParseLine = (line: string) => CaptureLine | undefined

/**
 * Reads one line of the raw data collection of github.com/bmoscon/cryptofeed; undefined where it is blank. `EPOCH_SECONDS: FRAME` was received, `URL <- EPOCH: FRAME`
 * was sent, `URL <-> EPOCH` is a connection that opened, `URL -> EPOCH: BODY` came by REST.
 */
function parseCaptureLine(line: string): CaptureLine | undefined {
  const [, seconds, fraction, frame] = FRAME.exec(line) ?? []
  if (seconds !== undefined && frame !== undefined) {
    return { kind: 'received', ts: epochMicros(seconds, fraction), frame }
  }
  const [, url = '', openedAt, openedFraction] = OPENED.exec(line) ?? []
  if (openedAt !== undefined) return { kind: 'opened', ts: epochMicros(openedAt, openedFraction), url }
  const [, sentTo] = SENT.exec(line) ?? []
  if (sentTo !== undefined) return { kind: 'sent', url: sentTo }
  const [, address, answeredAt, answeredFraction, body] = ANSWER.exec(line) ?? []
  if (address !== undefined && answeredAt !== undefined && body !== undefined)
    return { kind: 'answered', ts: epochMicros(answeredAt, answeredFraction), url: address, body }
  return line.trim() === '' ? undefined : { kind: 'unreadable', text: line }
}

/** Reads one line that is a frame as it came. */
function parseFrameLine(line: string): CaptureLine | undefined {
  if (line.trim() === '') return undefined
  return parseJson(line) === undefined ? { kind: 'unreadable', text: line } : { kind: 'untimed', frame: line }
}

/** What the first line that is not blank says of the others; undefined where it is of no form that is known. */
function parserFor(line: string): ParseLine | undefined {
  if (isRecordingHeader(line)) return parseRecordingLine
  const first = parseCaptureLine(line)
  if (first !== undefined && first.kind !== 'unreadable') return parseCaptureLine
  const value = parseJson(line)
  return typeof value === 'object' && value !== null ? parseFrameLine : undefined
}

/**
 * The lines of a file of recorded frames, compressed or not, read as they are asked for. Raises CAPTURE_INVALID where the file cannot be read, or does not
 * begin like one. A frame whose bytes are no UTF-8 is unreadable. What a writer that was killed left of its last line is left out.
 */
export async function* readCapture(path: string, signal: AbortSignal): AsyncGenerator<CaptureLine> {
  let parse: ParseLine | undefined
  for await (const { text, isText, isCut } of readLines(path, signal)) {
    if (parse === undefined) {
      if (text.trim() === '') continue
      parse = parserFor(text)
      if (parse === undefined)
        throw new TapelineError('CAPTURE_INVALID', `${path} does not begin like a capture of frames`)
    }
    const parsed = parse(text)
    if (!parsed || (isCut && parse === parseRecordingLine && parsed.kind === 'unreadable')) continue
    yield isText || parsed.kind !== 'received' ? parsed : { kind: 'unreadable', text }
  }
}

interface Line {
  readonly text: string
  /** Whether its bytes are UTF-8. */
  readonly isText: boolean
  /** Whether the file ends within it. */
  readonly isCut?: true
}

const LINE_FEED = 0x0a

async function* readLines(path: string, signal: AbortSignal): AsyncGenerator<Line> {
  let rest = Buffer.alloc(0)
  try {
    for await (const chunk of await openUncompressed(path, signal)) {
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
  for (const line of linesOf(rest)) yield { ...line, isCut: true }
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
