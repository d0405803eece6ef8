import { type RangeBroker, readRanges } from '../../control/read-range.ts'
import { copyMemory } from '../../domain/reader-rules.ts'
import type { TopicDescription } from '../../ports/broker.ts'
import type { Log } from '../../ports/log.ts'
import { learnMemories } from './learn-memory.ts'
import { FRONT_RECORDS, OTHER_IN_FRONT, PlaceInFront } from './place-in-front.ts'
import type { FollowedTopic } from './topic-hub.ts'

/** A topic that was read up to a place, as the broker shows it by now. */
interface ReadBefore {
  readonly followed: FollowedTopic
  readonly description: TopicDescription
}

/** What lies in front of the place is the shared reader's own from the topic's beginning on. */
const WHOLE = { begin: 0, before: {} }

/**
 * Tells the readers of topics that have lost their ends while nobody read them, and have grown beyond the place of the shared reader again: the broker tells
 * a new reader nothing of that.
 */
export async function rewindOthers(
  parts: { readonly broker: RangeBroker; readonly log: Log },
  topics: readonly ReadBefore[],
  signal: AbortSignal,
): Promise<void> {
  const places = topics.flatMap(({ followed, description: { offsets } }) => {
    const { topic, nextOffset } = followed
    const { earliest = 0, end = 0 } = offsets[0] ?? {}
    // Of one that is shorter now the reader will be told.
    if (end < nextOffset) return []
    const front = new PlaceInFront(copyMemory(followed.memory), nextOffset, WHOLE)
    return [{ topic, followed, front, nextOffset, offset: Math.max(earliest, nextOffset - FRONT_RECORDS) }]
  })
  const fronts = new Map(places.map(({ topic, front }) => [topic, front]))
  await readRanges(
    parts.broker,
    places.map(({ topic, offset, nextOffset }) => ({ topic, partition: 0, offset, end: nextOffset })),
    ({ topic, records }) => fronts.get(topic)?.take(records),
    signal,
    undefined,
    ({ topic }) => fronts.get(topic)?.miss(),
  )
  const others = places.filter(({ front }) => front.isOther)
  const ends = new Map(others.map(({ topic, nextOffset }) => [topic, nextOffset]))
  const learned = await learnMemories(parts, ends, signal)
  for (const { topic, followed, nextOffset } of others) {
    const memory = learned.get(topic)
    // What was read on meanwhile has its place in the log of now.
    if (memory && followed.nextOffset === nextOffset) followed.rewind(nextOffset, memory, OTHER_IN_FRONT)
  }
}
