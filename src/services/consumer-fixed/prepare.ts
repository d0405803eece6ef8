import { TupleWriter } from '../../domain/copy-binary.ts'
import { decodeEvent } from '../../domain/event-codec.ts'
import type { EventOf } from '../../domain/events.ts'
import { counts } from '../../domain/reader-rules.ts'
import { type StoredChannel, TABLES } from '../../domain/rows.ts'
import { type TapelineError, toTapelineError } from '../../errors.ts'
import type { PartitionFetch, StoredRecord } from '../../ports/broker.ts'
import type { PartitionWrite, RowSegment } from '../../ports/store.ts'
import type { Claims } from './claims.ts'
import type { ConsumerFixedParts } from './parts.ts'

/** A record that cannot be stored, and why. */
export interface Rejected {
  readonly topic: string
  readonly partition: number
  readonly record: StoredRecord
  readonly error: TapelineError
}

interface Prepared {
  readonly writes: PartitionWrite[]
  readonly rejected: Rejected[]
  readonly rows: number
}

/** Decodes, checks and encodes what was polled: one write for each partition that this process holds a claim for. */
export function prepareFetches(
  fetches: readonly PartitionFetch[],
  parts: ConsumerFixedParts,
  claims: Claims,
): Prepared {
  const channels = new Map(
    Object.entries(parts.topics).map(([channel, topic]) => [topic, channel as StoredChannel]),
  )
  const writes = new Map<string, PartitionWrite>()
  const rejected: Rejected[] = []
  let rows = 0
  for (const fetch of fetches) {
    if (fetch.kind === 'deleted') continue
    const claim = claims.get(fetch.topic, fetch.partition)
    const channel = channels.get(fetch.topic)
    if (claim === undefined || channel === undefined) continue
    const key = `${fetch.topic}:${fetch.partition}`
    const former = writes.get(key)
    const memory = former?.memory ?? claims.memory(claim)
    const segments = [...(former?.segments ?? [])]
    if (fetch.kind === 'truncated') {
      segments.push(missingRecords(fetch, parts))
      rows++
      writes.set(key, { claim, newOffset: fetch.earliest, memory, segments })
      continue
    }
    const encoder = new SegmentEncoder(channel)
    const from = former?.newOffset ?? claim.nextOffset
    for (const record of fetch.records) {
      if (record.offset < from || !counts(memory, record.headers) || record.value === null) continue
      try {
        encoder.add(decodeEvent(channel, record.value, record.headers.v), record.headers.reentering === true)
      } catch (error) {
        rejected.push({
          topic: fetch.topic,
          partition: fetch.partition,
          record,
          error: toTapelineError(error),
        })
      }
    }
    const encoded = encoder.finish()
    segments.push(...encoded)
    rows += encoded.reduce((sum, segment) => sum + segment.rows, 0)
    writes.set(key, { claim, newOffset: fetch.nextOffset, memory, segments })
  }
  return { writes: [...writes.values()], rejected, rows }
}

/** Encodes the events of one partition: those that enter again apart from the others. */
class SegmentEncoder<C extends StoredChannel> {
  readonly #channel: C
  readonly #first = new TupleWriter()
  readonly #again = new TupleWriter(1024)

  constructor(channel: C) {
    this.#channel = channel
  }

  add(event: EventOf[C], reentering: boolean): void {
    TABLES[this.#channel].write(reentering ? this.#again : this.#first, event)
  }

  finish(): RowSegment[] {
    return [this.#segment(this.#first, false), this.#segment(this.#again, true)].filter(
      ({ rows }) => rows > 0,
    )
  }

  #segment(writer: TupleWriter, reentering: boolean): RowSegment {
    return { channel: this.#channel, tuples: writer.finish(), rows: writer.rows, reentering }
  }
}

/** Retention has passed what was not stored yet: a gap and an alert, and on from the earliest record (R8). */
function missingRecords(
  fetch: PartitionFetch & { kind: 'truncated' },
  parts: ConsumerFixedParts,
): RowSegment {
  const { topic, partition, position, earliest } = fetch
  const detail =
    earliest > position
      ? `retention removed offsets ${position} to ${earliest - 1} of ${topic}:${partition} before they were stored`
      : `${topic}:${partition} ends at ${earliest}, but the database has stored up to ${position}: the log is shorter than it was`
  parts.log.error({ topic, partition, position, earliest, code: 'OFFSET_OUT_OF_RANGE' }, detail)
  parts.raiseAlert(`retention:${topic}:${partition}`, 'OFFSET_OUT_OF_RANGE', detail)
  const encoder = new SegmentEncoder('status')
  encoder.add({ source: 'tapeline', exchange: '', state: 'gap', detail, ts: parts.nowMicros() }, false)
  return encoder.finish()[0] as RowSegment
}
