import { TapelineError } from '../errors.ts'
import type { Broker, PartitionFetch, ReadPosition } from '../ports/broker.ts'

type RecordsFetch = PartitionFetch & { kind: 'records' }

/** A range of one partition: `offset` included, `end` excluded. */
export interface ReadRange extends ReadPosition {
  readonly end: number
}

const POLL = { maxRecords: 5_000, waitMs: 1_000 } as const

/**
 * Reads ranges to their ends, handing over what each poll found, cut at the end. A range whose start retention has passed goes
 * on from the earliest record, and `onTruncated` is told. Raises TOPIC_UNKNOWN where a topic goes away meanwhile.
 */
export async function readRanges(
  broker: Broker,
  ranges: readonly ReadRange[],
  handle: (fetch: RecordsFetch) => void,
  signal: AbortSignal,
  onTruncated?: (topic: string, partition: number, earliest: number) => void,
): Promise<void> {
  const key = (topic: string, partition: number): string => `${topic}:${partition}`
  const open = new Map(
    ranges
      .filter(({ offset, end }) => offset < end)
      .map((range) => [key(range.topic, range.partition), range.end]),
  )
  if (open.size === 0) return
  const reader = await broker.openReader()
  try {
    await reader.assign(ranges.filter((range) => open.has(key(range.topic, range.partition))))
    while (open.size > 0) {
      for (const fetch of await reader.poll(POLL, signal)) {
        if (fetch.kind === 'deleted')
          throw new TapelineError('TOPIC_UNKNOWN', `the topic ${fetch.topic} is gone`)
        const end = open.get(key(fetch.topic, fetch.partition))
        if (end === undefined) continue
        if (fetch.kind === 'truncated') {
          onTruncated?.(fetch.topic, fetch.partition, fetch.earliest)
          if (fetch.earliest >= end) open.delete(key(fetch.topic, fetch.partition))
          continue
        }
        handle({ ...fetch, records: fetch.records.filter(({ offset }) => offset < end) })
        if (fetch.nextOffset >= end) {
          open.delete(key(fetch.topic, fetch.partition))
          await reader.unassign([fetch])
        }
      }
    }
  } finally {
    await reader.close()
  }
}
