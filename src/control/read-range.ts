import { partitionKey } from '../domain/record.ts'
import { TapelineError } from '../errors.ts'
import type {
  Broker,
  PartitionFetch,
  ReadPosition,
  TopicPartition,
  UndecodableBatch,
} from '../ports/broker.ts'

type RecordsFetch = PartitionFetch & { kind: 'records' }

/** A range of one partition: `offset` included, `end` excluded. */
export interface ReadRange extends ReadPosition {
  readonly end: number
}

/** What reading ranges asks of a broker. */
export type RangeBroker = Pick<Broker, 'openReader' | 'describeTopics'>

const POLL = { maxRecords: 5_000, waitMs: 1_000 } as const

/**
 * Reads ranges to their ends, handing over what each poll found, cut at the end. A range whose start retention has passed goes
 * on from the earliest record, and `onTruncated` is told; a batch that nobody can read is left out, and `onUndecodable` is told.
 * Raises TOPIC_UNKNOWN where a topic goes away meanwhile, and BROKER_UNAVAILABLE where a log loses its end, and what was to be read with it.
 */
export async function readRanges(
  broker: RangeBroker,
  ranges: readonly ReadRange[],
  handle: (fetch: RecordsFetch) => void,
  signal: AbortSignal,
  onTruncated?: (topic: string, partition: number, earliest: number) => void,
  onUndecodable?: (batch: UndecodableBatch) => void,
): Promise<void> {
  const open = new Map(
    ranges.filter(({ offset, end }) => offset < end).map((range) => [partitionKey(range), range.end]),
  )
  if (open.size === 0) return
  const reader = await broker.openReader(signal)
  /** Ranges that have come to their ends: left together, since each leave is a question to the broker. */
  let ended: TopicPartition[] = []
  const advance = (fetch: TopicPartition, to: number): void => {
    const place = partitionKey(fetch)
    if (to < (open.get(place) ?? 0)) return
    open.delete(place)
    ended.push({ topic: fetch.topic, partition: fetch.partition })
  }
  try {
    await reader.assign(
      ranges.filter((range) => open.has(partitionKey(range))),
      signal,
    )
    while (open.size > 0) {
      const fetches = await reader.poll(POLL, signal)
      if (fetches.length === 0) await refuseLostEnds(broker, ranges, open, signal)
      for (const fetch of fetches) {
        if (fetch.kind === 'deleted')
          throw new TapelineError('TOPIC_UNKNOWN', `the topic ${fetch.topic} is gone`)
        const end = open.get(partitionKey(fetch))
        if (end === undefined) continue
        switch (fetch.kind) {
          case 'records':
            handle({ ...fetch, records: fetch.records.filter(({ offset }) => offset < end) })
            advance(fetch, fetch.nextOffset)
            break
          case 'truncated':
            onTruncated?.(fetch.topic, fetch.partition, fetch.earliest)
            advance(fetch, fetch.earliest)
            break
          case 'undecodable':
            if (fetch.offset < end) onUndecodable?.(fetch)
            advance(fetch, fetch.nextOffset)
        }
      }
      // The reader is closed where nothing is left.
      if (ended.length > 0 && open.size > 0) await reader.unassign(ended, signal)
      ended = []
    }
  } finally {
    await reader.close(signal)
  }
}

/** Nothing comes of a range that a log does not reach any more: who waits for it waits until the next record is written. */
async function refuseLostEnds(
  broker: Pick<Broker, 'describeTopics'>,
  ranges: readonly ReadRange[],
  open: ReadonlyMap<string, number>,
  signal: AbortSignal,
): Promise<void> {
  const waiting = ranges.filter((range) => open.has(partitionKey(range)))
  const shown = await broker.describeTopics([...new Set(waiting.map(({ topic }) => topic))], signal)
  const ends = new Map(
    shown.flatMap(({ name, offsets }) =>
      offsets.map(({ end }, partition) => [partitionKey({ topic: name, partition }), end]),
    ),
  )
  for (const range of waiting) {
    const end = ends.get(partitionKey(range))
    if (end === undefined || end >= range.end) continue
    throw new TapelineError(
      'BROKER_UNAVAILABLE',
      `partition ${range.partition} of ${range.topic} has lost its end: it had reached ${range.end}, and ends at ${end}`,
    )
  }
}
