import { readRanges } from '../../control/read-range.ts'
import { counts, emptyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import type { Broker } from '../../ports/broker.ts'

/** How many records in front of a place tell the epochs and positions that count there. */
const SLACK_RECORDS = 2_000

/** What a reader remembers in front of `end` of a dynamic topic, from the last records before it. Raises TOPIC_UNKNOWN. */
export async function learnMemory(
  broker: Broker,
  topic: string,
  end: number,
  signal: AbortSignal,
): Promise<ReaderMemory> {
  const memory = emptyMemory()
  const range = { topic, partition: 0, offset: Math.max(0, end - SLACK_RECORDS), end }
  await readRanges(
    broker,
    [range],
    ({ records }) => {
      for (const { headers } of records) counts(memory, headers)
    },
    signal,
  )
  return memory
}
