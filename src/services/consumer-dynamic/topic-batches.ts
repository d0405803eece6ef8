import { admit, copyMemory, isOfFormerOwner, type ReaderMemory } from '../../domain/reader-rules.ts'
import type { Position, RecordHeaders } from '../../domain/record.ts'
import { beginAnew, isBeyond, type SeamBound } from '../../domain/seam.ts'
import type { PartitionFetch, StoredRecord } from '../../ports/broker.ts'
import type { StreamBatch } from '../../ports/pipeline.ts'

/** The most events of one data frame: large frames are cheap to send, but one frame must not fill a buffer. */
const MOST_EVENTS = 1_000

/**
 * Cuts what was polled of a dynamic topic into batches, without the records that do not count (R4, R8). `memory`: what the reader remembers in
 * front of these records; it is changed to what the reader remembers after them. `bound`: what lies beyond it does not count either; it goes back to the
 * seam where a partition begins anew.
 */
export function toTopicBatches(
  fetch: PartitionFetch & { kind: 'records' },
  from: number,
  memory: ReaderMemory,
  bound?: SeamBound,
): StreamBatch[] {
  const { topic, topicId } = fetch
  const batches: StreamBatch[] = []
  let start = from
  let events: { offset: number; value: Uint8Array; position: Position | undefined }[] = []
  const traces = new Set<string>()
  const cut = (next: number, reset: string | null, anew?: Position): void => {
    const traced = traces.size > 0 && { traces: [...traces] }
    const after = copyMemory(memory)
    batches.push({
      topic,
      topicId,
      from: start,
      next,
      after,
      events,
      reset,
      ...(anew && { anew }),
      ...traced,
    })
    start = next
    events = []
    traces.clear()
  }
  for (const record of fetch.records) {
    if (record.offset < from) continue
    const reset = isOfFormerOwner(memory, record.headers) ? null : resetReason(record)
    if (reset !== null && events.length > 0) cut(record.offset, null)
    const { headers, offset, value } = record
    if (bound && reset !== null && headers.position) beginAnew(bound, headers.position)
    const isNotOwn = reset === null && bound !== undefined && isBeyond(bound, headers.position)
    if (admit(memory, isNotOwn ? ownerOf(headers) : headers) && value !== null)
      events.push({ offset, value, position: headers.position })
    if (headers.trace !== undefined) traces.add(headers.trace)
    if (reset !== null) cut(record.offset + 1, reset, headers.position)
    else if (events.length >= MOST_EVENTS) cut(record.offset + 1, null)
  }
  if (start < fetch.nextOffset) cut(fetch.nextOffset, null)
  return batches
}

/** A marker with a body says that what should lie before it is gone for good. */
function resetReason({ headers, value }: StoredRecord): string | null {
  if (headers.kind !== 'marker' || value === null) return null
  const body = JSON.parse(new TextDecoder().decode(value)) as { reset?: string }
  return body.reset ?? 'history is gone'
}

/** What a record says of its owner, and no more. */
function ownerOf({ v, shard, epoch }: RecordHeaders): RecordHeaders {
  return { v, kind: 'marker', ...(shard !== undefined && { shard }), ...(epoch !== undefined && { epoch }) }
}
