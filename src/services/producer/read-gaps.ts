import { readRanges } from '../../control/read-range.ts'
import { findTopic } from '../../control/topics.ts'
import { decodeEvent } from '../../domain/event-codec.ts'
import type { Status } from '../../domain/events.ts'
import { type OpenGap, openGaps } from '../../domain/open-gaps.ts'
import { admit, emptyMemory } from '../../domain/reader-rules.ts'
import type { ProducerParts } from './parts.ts'

const BACK_MS = 7 * 86_400_000
/** As many records are read at the most. */
const MOST_RECORDS = 100_000

/** Which gaps of a shard's markets are neither filled nor lost for good, as far as the topic of status events tells. `now`: milliseconds. */
export async function readOpenGaps(
  { broker, topics }: Pick<ProducerParts, 'broker' | 'topics'>,
  k: number,
  now: number,
  signal: AbortSignal,
): Promise<readonly OpenGap[]> {
  const topic = topics.status
  const { earliest = 0, end = 0 } = (await findTopic(broker, topic, signal))?.offsets[k] ?? {}
  const since = await broker.offsetAt(topic, k, Math.max(0, now - BACK_MS), signal)
  const offset = Math.max(earliest, since, end - MOST_RECORDS)
  const statuses: Status[] = []
  const memory = emptyMemory()
  await readRanges(
    broker,
    [{ topic, partition: k, offset, end }],
    ({ records }) => {
      for (const { headers, value } of records) {
        if (!admit(memory, headers) || value === null) continue
        const status = statusOf(value, headers.v)
        if (status !== undefined) statuses.push(withoutLost(status))
      }
    },
    signal,
  )
  return openGaps(statuses)
}

/** What history does not reach is as good as filled for those who would ask for it. */
function withoutLost(status: Status): Status {
  return status.lostFrom === undefined ? status : { ...status, from: status.lostFrom }
}

/** What cannot be read tells of no gap: the consumers keep it as a dead letter. */
function statusOf(value: Uint8Array, version: number): Status | undefined {
  try {
    return decodeEvent('status', value, version)
  } catch {
    return undefined
  }
}
