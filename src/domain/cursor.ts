import { TapelineError } from '../errors.ts'
import type { ReaderMemory } from './reader-rules.ts'

/** Where an application stands in a stream: everything needed to go on exactly after the last batch (R13). */
export interface Cursor {
  readonly lease: string
  /** Identity of the topic, not its name. */
  readonly topicId: string
  /** The next offset to read. */
  readonly offset: number
  readonly memory: ReaderMemory
}

const CURSOR_VERSION = 1

/** A cursor as opaque text: base64url of versioned JSON. */
export function encodeCursor(cursor: Cursor): string {
  const { epochs, positions } = cursor.memory
  const body = [CURSOR_VERSION, cursor.lease, cursor.topicId, cursor.offset, epochs, positions]
  return Buffer.from(JSON.stringify(body)).toString('base64url')
}

/** Reads a cursor. Raises CURSOR_INVALID where it is not one of ours. */
export function decodeCursor(text: string): Cursor {
  let body: unknown
  try {
    body = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
  } catch (error) {
    throw new TapelineError('CURSOR_INVALID', 'the cursor cannot be read', { cause: error })
  }
  if (!Array.isArray(body) || body[0] !== CURSOR_VERSION) {
    throw new TapelineError('CURSOR_INVALID', 'the cursor has an unknown form or version')
  }
  const [, lease, topicId, offset, epochs, positions] = body as unknown[]
  if (
    typeof lease !== 'string' ||
    typeof topicId !== 'string' ||
    !Number.isSafeInteger(offset) ||
    (offset as number) < 0 ||
    !isRecord(epochs, Number.isSafeInteger) ||
    !isRecord(
      positions,
      (pair) => Array.isArray(pair) && pair.length === 2 && pair.every(Number.isSafeInteger),
    )
  ) {
    throw new TapelineError('CURSOR_INVALID', 'the cursor has fields of the wrong kind')
  }
  const memory = { epochs, positions } as ReaderMemory
  return { lease, topicId, offset: offset as number, memory }
}

function isRecord(value: unknown, accepts: (entry: unknown) => boolean): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every(accepts)
  )
}
