import type { Cursor } from '../../domain/cursor.ts'
import type { Channel } from '../../domain/events.ts'
import {
  emptyMemory,
  isLater,
  type Place,
  placeBefore,
  positionsBefore,
  type ReaderMemory,
  raise,
} from '../../domain/reader-rules.ts'
import { boundOf, type SeamBound } from '../../domain/seam.ts'
import { outputChannel } from '../../domain/stream-spec.ts'
import { TapelineError } from '../../errors.ts'
import type { FormerTopic, Lease } from '../../ports/streams.ts'

/** A topic of a lease, as one subscription reads it: one that it has had before, or the one that it has. */
export interface Leg {
  readonly topic: string
  readonly topicId: string
  /** The kind of its events. */
  readonly channel: Channel
  readonly fixedTopic: string
  /** The offset at which the lease's own part begins, and what its reader has got by then of the fixed topic. */
  readonly begin: number
  readonly before: ReaderMemory['positions']
  /** Of a former one: where the lease left it. */
  readonly former: FormerTopic | undefined
}

export type FixedTopics = Readonly<Record<Channel, string>>

/** Where an application stands in a topic of its lease. */
export interface Beginning {
  readonly topicId: string
  readonly offset: number
  /** What a reader remembers there; undefined where the reader has to learn it from the log. */
  readonly memory: ReaderMemory | undefined
  /** Why something that the application has not got is gone for good. */
  readonly reset?: string
}

/** The topics of a lease, in the order in which it has had them. The last one is the one that it has. */
export function legsOf(lease: Lease, fixed: FixedTopics): readonly [Leg, ...Leg[]] {
  const legs = (lease.former ?? []).map((former) => toLeg(former, former, fixed))
  const current = toLeg(lease, undefined, fixed)
  const [first = current, ...others] = [...legs, current]
  return [first, ...others]
}

function toLeg(
  {
    topic,
    topicId,
    spec,
    start = [],
    begin = 0,
  }: Pick<Lease, 'topic' | 'topicId' | 'spec' | 'start' | 'begin'>,
  former: FormerTopic | undefined,
  fixed: FixedTopics,
): Leg {
  const fixedTopic = fixed[spec.channel]
  return {
    topic,
    topicId,
    channel: outputChannel(spec),
    fixedTopic,
    begin,
    before: positionsBefore(fixedTopic, start),
    former,
  }
}

/** Where who reads a lease from a leg's beginning stands. */
export function beginningIn({ topicId, begin, before }: Leg): Beginning {
  return { topicId, offset: begin, memory: raise(emptyMemory(), before) }
}

/** Where a cursor says that its application stands. Raises CURSOR_INVALID where it is one of another stream. */
export function beginningAt(lease: Lease, cursor: Cursor, fixed: FixedTopics): Beginning {
  if (cursor.lease !== lease.id)
    throw new TapelineError('CURSOR_INVALID', 'the cursor belongs to another stream')
  const legs = legsOf(lease, fixed)
  return placeIn(legs, cursor) ?? { ...beginningIn(legs[0]), reset: OVER }
}

/** Whether a lease has, or has had, the topic of a cursor, as far as this process knows: where not, another process may just have moved it. */
export function hasTopicOf(lease: Lease, cursor: Cursor, fixed: FixedTopics): boolean {
  return cursor.lease !== lease.id || placeIn(legsOf(lease, fixed), cursor) !== undefined
}

function placeIn(legs: readonly Leg[], { topics }: Cursor): Cursor['topics'][number] | undefined {
  return topics.find(({ topicId }) => legs.some((leg) => leg.topicId === topicId))
}

export const OVER = 'the topic that the cursor was made of is over'

/** What of a leg is beyond the seam, for a reader that remembers this; undefined of the topic that the lease has. */
export function boundIn({ former, fixedTopic }: Leg, memory: ReaderMemory): SeamBound | undefined {
  return former && boundOf(fixedTopic, former.seam, memory)
}

/**
 * Where a reader that has all of a former leg begins in the next one of these. It takes its positions along, so that what it had got after the seam does not
 * count again in a topic that comes later.
 */
export function beginningAfter(
  { fixedTopic, topicId: left }: Leg,
  memory: ReaderMemory,
  next: Leg,
  legs: readonly Leg[],
): Beginning {
  const { topicId, begin, before } = next
  const memoryThere = raise(emptyMemory(), memory.positions)
  const passed = legs.slice(0, legs.findIndex((leg) => leg.topicId === left) + 1)
  const known = memoryThere.positions[next.fixedTopic] ?? {}
  const lost = new Set(lostBefore(next, passed))
  // From the topic before, what lies after the seam was heard late, if the log has lost nothing.
  const doubtful = takenBeyond(next, known).filter((k) =>
    lost.has(k) ? hasGot(known[k], k, next, passed) : fixedTopic !== next.fixedTopic,
  )
  for (const k of [...lost, ...doubtful]) delete known[k]
  return {
    ...{ topicId, offset: begin, memory: raise(memoryThere, before) },
    ...(doubtful.length > 0 && { reset: TAKEN_ALONG }),
  }
}

/**
 * The partitions of which a reader has got more than lies in front of the next leg. It may have heard late of its moves. Or the log has lost its end in
 * between, in front of all that an owner could tell: then other records lie there now. Where it is known to have lost its end, what the reader has got may lie in
 * that end, or in the place of it.
 */
function takenBeyond({ before, fixedTopic }: Leg, known: Readonly<Record<number, Place>>): number[] {
  return Object.entries(known).flatMap(([k, place]) =>
    isLater(place, before[fixedTopic]?.[Number(k)] ?? placeBefore(0)) ? [Number(k)] : [],
  )
}

/** Whether a place is one of a record that the reader got, and not only where a leg before began. */
function hasGot(place: Place | undefined, k: number, { fixedTopic }: Leg, passed: readonly Leg[]): boolean {
  if (place === undefined) return false
  return passed.every(({ before }) => {
    const begin = before[fixedTopic]?.[k]
    return begin === undefined || isLater(place, begin)
  })
}

const TAKEN_ALONG = 'what it had got of these records may lie in an end that its fixed topic has lost since'

/**
 * The partitions in which a leg begins in front of a place that the lease had come to before. Their log has lost its end in between: what the reader has
 * from there is not what the offsets mean now.
 */
function lostBefore({ fixedTopic, before }: Leg, passed: readonly Leg[]): number[] {
  const firstOf = (leg: Pick<Leg, 'before'>, k: number): number =>
    (leg.before[fixedTopic]?.[k]?.[0] ?? -1) + 1
  return passed
    .filter((leg) => leg.fixedTopic === fixedTopic)
    .flatMap((leg) =>
      (leg.former?.seam ?? []).flatMap((seam, k) =>
        firstOf({ before }, k) < Math.max(seam, firstOf(leg, k)) ? [k] : [],
      ),
    )
}
