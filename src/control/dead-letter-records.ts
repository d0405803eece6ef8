import { z } from 'zod'
import { formatPosition, type RecordHeaders } from '../domain/record.ts'
import { TapelineError } from '../errors.ts'
import type { Broker, OutgoingRecord, StoredRecord } from '../ports/broker.ts'
import { readRanges } from './read-range.ts'

const VERSION = 1

const place = {
  v: z.literal(VERSION),
  topic: z.string(),
  partition: z.number().int(),
  offset: z.number().int(),
}

const letterSchema = z.object({
  ...place,
  key: z.string().nullable(),
  headers: z.looseObject({ v: z.number() }),
  publishedAt: z.number(),
  code: z.string(),
  reason: z.string(),
  fields: z.array(z.object({ field: z.string(), message: z.string() })),
  /** Bytes of the refused record's value; `bytes` may hold only its beginning. */
  size: z.number().int(),
  /** In base64. */
  bytes: z.string(),
})

const replayedSchema = z.object({
  ...place,
  /** When the letter entered again, milliseconds since the epoch. */
  replayedAt: z.number(),
  instance: z.string(),
})

/** A record of `tapeline.dead-letters`: a letter, or the note that one has entered again. Both have the letter's id as key. */
const deadLetterSchema = z.union([replayedSchema, letterSchema])

export type LetterRecord = z.infer<typeof letterSchema>
export type ReplayedRecord = z.infer<typeof replayedSchema>

const HEADERS: RecordHeaders = { v: VERSION, kind: 'control' }

type Place = Pick<LetterRecord, 'topic' | 'partition' | 'offset'>

/** A letter as it is published. */
export function letterEntry(
  body: Omit<LetterRecord, 'v' | 'headers'> & { readonly headers: RecordHeaders },
): OutgoingRecord {
  return entry(body)
}

/** The note that a letter has entered again, as it is published. */
export function replayedEntry(body: Omit<ReplayedRecord, 'v'>): OutgoingRecord {
  return entry(body)
}

function entry(body: Place): OutgoingRecord {
  const { topic, partition, offset } = body
  return {
    key: formatPosition({ topic, partition, offset }),
    value: new TextEncoder().encode(JSON.stringify({ v: VERSION, ...body })),
    headers: HEADERS,
  }
}

/** Reads a record of the topic. Raises EVENT_UNDECODABLE where it is of another version or shape. */
export function decodeDeadLetter({ value, offset }: StoredRecord): LetterRecord | ReplayedRecord {
  try {
    return deadLetterSchema.parse(JSON.parse(new TextDecoder().decode(value ?? new Uint8Array())))
  } catch (error) {
    throw new TapelineError('EVENT_UNDECODABLE', `the dead letter at ${offset} cannot be read`, {
      cause: error,
    })
  }
}

/** Letters that lie no further apart than this are read in one go. */
const NEAR = 200

/** Reads letters of the topic by their own offsets; those that are gone are left out. Raises EVENT_UNDECODABLE. */
export async function readLetters(
  broker: Broker,
  topic: string,
  offsets: readonly number[],
  signal: AbortSignal,
): Promise<ReadonlyMap<number, LetterRecord>> {
  const wanted = new Set(offsets)
  const letters = new Map<number, LetterRecord>()
  for (const { from, end } of runsOf([...wanted].sort((a, b) => a - b))) {
    await readRanges(
      broker,
      [{ topic, partition: 0, offset: from, end }],
      ({ records }) => {
        for (const record of records) {
          if (!wanted.has(record.offset)) continue
          const letter = decodeDeadLetter(record)
          if ('bytes' in letter) letters.set(record.offset, letter)
        }
      },
      signal,
    )
  }
  return letters
}

function runsOf(sorted: readonly number[]): { from: number; end: number }[] {
  const runs: { from: number; end: number }[] = []
  for (const offset of sorted) {
    const last = runs.at(-1)
    if (last !== undefined && offset - last.end < NEAR) last.end = offset + 1
    else runs.push({ from: offset, end: offset + 1 })
  }
  return runs
}
