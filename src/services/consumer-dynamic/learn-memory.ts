import { readRanges } from '../../control/read-range.ts'
import { admit, emptyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import type { Broker } from '../../ports/broker.ts'

/** How many records in front of a place tell the epochs and positions that count there. */
const SLACK_RECORDS = 2_000

/** What a reader remembers at these ends of dynamic topics, from the last records before them. Raises TOPIC_UNKNOWN. */
export async function learnMemories(
  broker: Broker,
  ends: ReadonlyMap<string, number>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ReaderMemory>> {
  const memories = new Map([...ends.keys()].map((topic) => [topic, emptyMemory()]))
  await readRanges(
    broker,
    [...ends].map(([topic, end]) => ({
      ...{ topic, partition: 0, end },
      offset: Math.max(0, end - SLACK_RECORDS),
    })),
    ({ topic, records }) => {
      const memory = memories.get(topic)
      if (memory) for (const { headers } of records) admit(memory, headers)
    },
    signal,
  )
  return memories
}
