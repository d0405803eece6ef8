import { type RangeBroker, readRanges } from '../../control/read-range.ts'
import { admit, emptyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import type { Log } from '../../ports/log.ts'

/** How many records in front of a place tell the epochs and positions that count there. */
const SLACK_RECORDS = 2_000

/** What the last records in front of a place tell. */
export interface Learned {
  readonly memory: ReaderMemory
  /** Whether some of these records cannot be read: what they had may come again unnoticed. */
  readonly isRotten: boolean
}

/** What a reader remembers at these ends of dynamic topics, from the last records before them. Raises TOPIC_UNKNOWN. */
export async function learnMemories(
  { broker, log }: { readonly broker: RangeBroker; readonly log: Log },
  ends: ReadonlyMap<string, number>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Learned>> {
  const memories = new Map([...ends.keys()].map((topic) => [topic, emptyMemory()]))
  const rotten = new Set<string>()
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
    undefined,
    ({ topic, offset, nextOffset, reason }) => {
      rotten.add(topic)
      log.error(
        { topic, offset, nextOffset, code: 'BATCH_UNDECODABLE', reason },
        'records in front of the place where reading begins cannot be read',
      )
    },
  )
  return new Map([...memories].map(([topic, memory]) => [topic, { memory, isRotten: rotten.has(topic) }]))
}
