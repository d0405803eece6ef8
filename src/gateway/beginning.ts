import { encodeCursor } from '../domain/cursor.ts'
import { emptyMemory } from '../domain/reader-rules.ts'
import type { Lease } from '../ports/streams.ts'

/**
 * The cursor of a stream's beginning, where its topic was made for it. The producer may be quicker than the reader, and what it
 * writes first are the latest known values of each market (R11).
 */
export function beginningOf({ id, topicId, opensTopic }: Lease): string | undefined {
  return opensTopic
    ? encodeCursor({ lease: id, topics: [{ topicId, offset: 0, memory: emptyMemory() }] })
    : undefined
}
