import { partitionKey } from '../domain/record.ts'
import { TapelineError } from '../errors.ts'
import type { Broker, PartitionFetch, ReadPosition, UndecodableBatch } from '../ports/broker.ts'

type RecordsFetch = PartitionFetch & { kind: 'records' }

/** A range of one partition: `offset` included, `end` excluded. */
export interface ReadRange extends ReadPosition {
  readonly end: number
}

const POLL = { maxRecords: 5_000, waitMs: 1_000 } as const

/**
 * Reads ranges to their ends, handing over what each poll found, cut at the end. A range whose start retention has passed goes
 * on from the earliest record, and `onTruncated` is told; a batch that nobody can read is left out, and `onUndecodable` is told.
 * Raises TOPIC_UNKNOWN where a topic goes away meanwhile.
 */
export async function readRanges(
  broker: Pick<Broker, 'openReader'>,
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
  const advance = async (fetch: { readonly topic: string; readonly partition: number }, to: number) => {
    const place = partitionKey(fetch)
    if (to < (open.get(place) ?? 0)) return
    open.delete(place)
    await reader.unassign([fetch], signal)
  }
  try {
    await reader.assign(
      ranges.filter((range) => open.has(partitionKey(range))),
      signal,
    )
    while (open.size > 0) {
      for (const fetch of await reader.poll(POLL, signal)) {
        if (fetch.kind === 'deleted')
          throw new TapelineError('TOPIC_UNKNOWN', `the topic ${fetch.topic} is gone`)
        const end = open.get(partitionKey(fetch))
        if (end === undefined) continue
        switch (fetch.kind) {
          case 'records':
            handle({ ...fetch, records: fetch.records.filter(({ offset }) => offset < end) })
            await advance(fetch, fetch.nextOffset)
            break
          case 'truncated':
            onTruncated?.(fetch.topic, fetch.partition, fetch.earliest)
            await advance(fetch, fetch.earliest)
            break
          case 'undecodable':
            if (fetch.offset < end) onUndecodable?.(fetch)
            await advance(fetch, fetch.nextOffset)
        }
      }
    }
  } finally {
    await reader.close(signal)
  }
}
