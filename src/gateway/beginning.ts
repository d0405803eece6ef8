import { encodeCursor } from '../domain/cursor.ts'
import type { Channel } from '../domain/events.ts'
import { emptyMemory, positionsBefore } from '../domain/reader-rules.ts'
import type { Lease } from '../ports/streams.ts'

/**
 * The cursor of a stream's beginning, where what is its own lies in its topic already or may come before a reader does; undefined where
 * it begins with what comes next. A topic that was made for it is its own from the start: the producer may be quicker than the reader, and
 * what it writes first are the latest known values of each market (R11). Of one that it shares, its own are the records after its
 * positions.
 */
export function beginningOf(
  { id, topicId, opensTopic, start, begin = 0, spec }: Lease,
  fixed: Readonly<Record<Channel, string>>,
): string | undefined {
  if (!opensTopic && start === undefined) return undefined
  const positions = opensTopic ? {} : positionsBefore(fixed[spec.channel], start ?? [])
  const memory = { ...emptyMemory(), positions }
  return encodeCursor({ lease: id, topics: [{ topicId, offset: begin, memory }] })
}

/** The cursor of the first record of a stream's topic. */
export function firstCursor({ id, topicId }: Pick<Lease, 'id' | 'topicId'>): string {
  return encodeCursor({ lease: id, topics: [{ topicId, offset: 0, memory: emptyMemory() }] })
}
