import { TapelineError, toTapelineError } from '../errors.ts'
import { CursorReader, CursorWriter } from './cursor-bytes.ts'
import type { ReaderMemory } from './reader-rules.ts'

/** Where an application stands in one topic of its lease. */
interface CursorTopic {
  /** Identity of the topic, not its name. */
  readonly topicId: string
  /** The next offset to read. */
  readonly offset: number
  /** What a reader remembers there. Undefined where the cursor has no room for it: a reader learns it from the log in front of the offset. */
  readonly memory: ReaderMemory | undefined
}

/** Where an application stands in a stream: everything that it takes to go on exactly after the last batch (R13, R24). */
export interface Cursor {
  readonly lease: string
  /** The topics that the application reads at present. Of those that its lease had before it has all; those that come later it has not begun. */
  readonly topics: readonly CursorTopic[]
}

const CURSOR_VERSION = 2
/** The first byte of a cursor of version 1, which is JSON. */
const JSON_ARRAY = '['.charCodeAt(0)
/** The longest cursor, in characters: it stands in every message, in headers and in addresses. */
const MOST_CHARACTERS = 4_096
const MOST_TOPICS = 16

/** A cursor as opaque text: base64url of what `CursorWriter` writes, at most 4,096 characters. */
export function encodeCursor({ lease, topics }: Cursor): string {
  const text = write({ lease, topics })
  if (text.length <= MOST_CHARACTERS) return text
  // A reader can learn what is left out. It costs least for the topics that are read first.
  const first = topics.findIndex(({ memory }) => memory !== undefined)
  if (first < 0) throw new TapelineError('INTERNAL', `the cursor of ${lease.slice(0, 64)} finds no room`)
  return encodeCursor({ lease, topics: topics.map((each, i) => (i === first ? without(each) : each)) })
}

function without(topic: CursorTopic): CursorTopic {
  return { ...topic, memory: undefined }
}

function write({ lease, topics }: Cursor): string {
  const writer = new CursorWriter()
  writer.number(CURSOR_VERSION)
  writer.text(lease)
  writer.number(topics.length)
  for (const { topicId, offset, memory } of topics) {
    writer.text(topicId)
    writer.number(offset)
    writer.number(memory === undefined ? 0 : 1)
    if (memory !== undefined) writeMemory(writer, memory)
  }
  return writer.toString()
}

function writeMemory(writer: CursorWriter, { epochs, positions }: ReaderMemory): void {
  const shards = Object.entries(epochs)
  writer.number(shards.length)
  for (const [shard, epoch] of shards) {
    writer.number(Number(shard))
    writer.number(epoch)
  }
  const fixed = Object.entries(positions)
  writer.number(fixed.length)
  for (const [topic, partitions] of fixed) {
    const entries = Object.entries(partitions)
    writer.text(topic)
    writer.number(entries.length)
    for (const [partition, [offset, n]] of entries) {
      writer.number(Number(partition))
      writer.number(offset)
      writer.number(n)
    }
  }
}

/**
 * Reads a cursor. One of version 1 has positions of the fixed topic of its own topic, which `fixedTopicOf` tells. Raises CURSOR_INVALID where it is not one of ours to the last bit.
 */
export function decodeCursor(text: string, fixedTopicOf: string | ((topicId: string) => string)): Cursor {
  if (text.length > MOST_CHARACTERS) throw invalid(`it has more than ${MOST_CHARACTERS} characters`)
  const bytes = Buffer.from(text, 'base64url')
  // Node passes over what is no base64url, over padding, and over bits that belong to no byte.
  if (bytes.toString('base64url') !== text) throw invalid('it is not base64url')
  switch (bytes[0]) {
    case CURSOR_VERSION:
      return readCursor(bytes, text)
    case JSON_ARRAY:
      return readFirstVersion(bytes, fixedTopicOf)
    default:
      throw invalid(`it is of version ${bytes[0] ?? 'none'}, and this process reads up to ${CURSOR_VERSION}`)
  }
}

function readCursor(bytes: Uint8Array, text: string): Cursor {
  let cursor: Cursor
  try {
    const reader = new CursorReader(bytes)
    reader.number()
    const lease = reader.text()
    const topics = reader.times(MOST_TOPICS, () => ({
      topicId: reader.text(),
      offset: reader.number(),
      memory: reader.number() === 0 ? undefined : readMemory(reader),
    }))
    cursor = { lease, topics }
  } catch (error) {
    throw invalid(toTapelineError(error).message, error)
  }
  // There is one way to write each cursor.
  if (write(cursor) !== text) throw invalid('it is not as it was written')
  return cursor
}

function readMemory(reader: CursorReader): ReaderMemory {
  const memory: ReaderMemory = { epochs: {}, positions: {} }
  reader.times(bytesLeft, () => {
    memory.epochs[reader.number()] = reader.number()
  })
  reader.times(bytesLeft, () => {
    const partitions: Record<number, readonly [number, number]> = {}
    memory.positions[reader.text()] = partitions
    reader.times(bytesLeft, () => {
      partitions[reader.number()] = [reader.number(), reader.number()]
    })
  })
  return memory
}

/** Each entry takes a byte at least, so that the length of the text bounds them. */
const bytesLeft = MOST_CHARACTERS

/** Version 1: JSON, one topic, positions by partition alone. */
function readFirstVersion(bytes: Buffer, fixedTopicOf: string | ((topicId: string) => string)): Cursor {
  let body: unknown
  try {
    body = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw invalid('it cannot be read', error)
  }
  if (!Array.isArray(body) || body[0] !== 1) throw invalid('its version is not known')
  const [, lease, topicId, offset, epochs, positions] = body as unknown[]
  const isPosition = (pair: unknown): boolean =>
    Array.isArray(pair) && pair.length === 2 && pair.every(isNatural)
  if (
    typeof lease !== 'string' ||
    typeof topicId !== 'string' ||
    !isNatural(offset) ||
    !isByNumber(epochs, isNatural) ||
    !isByNumber(positions, isPosition) ||
    !Buffer.from(JSON.stringify([1, lease, topicId, offset, epochs, positions])).equals(bytes)
  ) {
    throw invalid('it has fields of the wrong kind')
  }
  const fixedTopic = typeof fixedTopicOf === 'string' ? fixedTopicOf : fixedTopicOf(topicId)
  const memory = {
    epochs: epochs as ReaderMemory['epochs'],
    positions: { [fixedTopic]: positions as ReaderMemory['positions'][string] },
  }
  return { lease, topics: [{ topicId, offset: offset as number, memory }] }
}

function isNatural(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isByNumber(value: unknown, accepts: (entry: unknown) => boolean): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.entries(value).every(([key, entry]) => /^\d{1,9}$/.test(key) && accepts(entry))
}

function invalid(reason: string, cause?: unknown): TapelineError {
  return new TapelineError('CURSOR_INVALID', `the cursor is none of this platform's: ${reason}`, { cause })
}
