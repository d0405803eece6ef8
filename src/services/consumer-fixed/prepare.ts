import { isInPlaceOfLost } from '../../domain/fixed-markers.ts'
import { admit, copyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import { partitionKey } from '../../domain/record.ts'
import type { StoredChannel } from '../../domain/rows.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { TopicPartition } from '../../ports/broker.ts'
import type { FixedFetch, Prepared, PreparedWrite, Rejected } from '../../ports/pipeline.ts'
import type { Claim, PartitionWrite, RowMemory, RowSegment } from '../../ports/store.ts'
import type { ConsumerFixedParts } from './parts.ts'
import { SegmentEncoder, writeRow } from './segment-encoder.ts'

/** The claim under which a partition's rows are to be written; undefined where this process holds none. */
export type ClaimOf = (topic: string, partition: number) => Claim | undefined

export interface PreparationParts
  extends Pick<ConsumerFixedParts, 'topics' | 'bookLevels' | 'nowMicros' | 'raiseAlert' | 'log'> {
  /** Memory for rows; whoever has stored them gives it back. */
  readonly memory: RowMemory
  /** The shortest event time that a chunk spans. */
  readonly chunkMicros: number
}

/** Decodes, checks and encodes what was polled: one write for each partition that this process holds a claim for. */
export function prepareFetches(
  fetches: readonly FixedFetch[],
  consumer: PreparationParts,
  claimOf: ClaimOf,
): Prepared {
  const preparation = new Preparation(consumer, claimOf)
  for (const fetch of fetches) preparation.add(fetch)
  return preparation.finish()
}

/** The schema version of what cannot be read. */
const UNKNOWN_VERSION = 0

/** What is prepared of one partition. */
interface PartitionRows {
  readonly claim: Claim
  /** The rows have everything before. */
  next: number
  readonly memory: ReaderMemory
  readonly encoder: SegmentEncoder
  readonly gaps: RowSegment[]
  /** The rest of the batch is left out, and read again from the claim. */
  isTorn: boolean
}

/** Prepares a batch poll by poll. */
export class Preparation {
  readonly #consumer: PreparationParts
  readonly #claimOf: ClaimOf
  readonly #channels: ReadonlyMap<string, StoredChannel>
  readonly #partitions = new Map<string, PartitionRows>()
  readonly #rejected: Rejected[] = []
  readonly #torn: TopicPartition[] = []

  constructor(consumer: PreparationParts, claimOf: ClaimOf) {
    this.#consumer = consumer
    this.#claimOf = claimOf
    this.#channels = new Map(
      Object.entries(consumer.topics).map(([channel, topic]) => [topic, channel as StoredChannel]),
    )
  }

  add(fetch: FixedFetch): void {
    const rows = this.#rowsOf(fetch)
    if (rows === undefined || rows.isTorn) return
    if (fetch.from > rows.next) {
      this.#tear(rows, fetch)
      return
    }
    switch (fetch.kind) {
      case 'records':
        this.#addRecords(rows, fetch)
        break
      case 'truncated':
        this.#addTruncation(rows, fetch)
        break
      case 'undecodable':
        this.#addUndecodable(rows, fetch)
    }
  }

  #addRecords(rows: PartitionRows, fetch: FixedFetch & { kind: 'records' }): void {
    const { next, memory, encoder } = rows
    for (const record of fetch.records) {
      if (record.offset < next) continue
      if (isInPlaceOfLost(record))
        memory.overwrittenBy = Math.max(memory.overwrittenBy ?? -1, record.headers.epoch ?? -1)
      if (!admit(memory, record.headers) || record.value === null) continue
      try {
        encoder.add(record, record.value)
      } catch (thrown) {
        const error = toTapelineError(thrown)
        this.#rejected.push({ topic: fetch.topic, partition: fetch.partition, record, error })
      }
    }
    rows.next = Math.max(next, fetch.nextOffset)
  }

  /** Goes on from the earliest record. A step back is a write of its own, since the offset alone tells what is stored. */
  #addTruncation(rows: PartitionRows, fetch: FixedFetch & { kind: 'truncated' }): void {
    if (fetch.from !== rows.next) return
    const isBack = fetch.earliest < rows.next
    if (isBack && rows.next !== rows.claim.nextOffset) {
      this.#tear(rows, fetch)
      return
    }
    rows.gaps.push(missingRecords(fetch, this.#consumer))
    rows.next = fetch.earliest
    if (!isBack) return
    // What is stored of the lost end may come again: from a producer without its acknowledgement, or from the source.
    const { latest } = rows.memory
    if (latest !== undefined) rows.memory.mayHaveTo = latest
    // An owner whose marker was lost too counts no more than its records: what a former one wrote after that counts for all who come.
    if (fetch.epochs !== undefined) rows.memory.epochs = { ...fetch.epochs }
    this.#tear(rows, fetch)
  }

  /** A batch that nobody can read becomes one dead letter with all its bytes, and a gap (R3, R14). */
  #addUndecodable(rows: PartitionRows, fetch: FixedFetch & { kind: 'undecodable' }): void {
    if (fetch.nextOffset <= rows.next) return
    const { topic, partition, offset, nextOffset, bytes, reason } = fetch
    const detail = `offsets ${offset} to ${nextOffset - 1} of ${topic}:${partition} cannot be read: ${reason}`
    this.#rejected.push({
      topic,
      partition,
      record: {
        ...{ offset, timestamp: Math.floor(this.#consumer.nowMicros() / 1_000), key: null, value: bytes },
        headers: { v: UNKNOWN_VERSION, kind: 'event' },
      },
      error: new TapelineError('BATCH_UNDECODABLE', detail),
    })
    rows.gaps.push(gap(detail, this.#consumer))
    rows.next = nextOffset
    this.#consumer.log.error({ topic, partition, offset, nextOffset, code: 'BATCH_UNDECODABLE' }, detail)
    this.#consumer.raiseAlert(`undecodable:${topic}:${partition}`, 'BATCH_UNDECODABLE', detail)
  }

  /** The batch ends here for the partition. The rest is read again from the claim. */
  #tear(rows: PartitionRows, { topic, partition }: TopicPartition): void {
    rows.isTorn = true
    this.#torn.push({ topic, partition })
  }

  finish(): Prepared {
    const writes: PreparedWrite[] = []
    for (const { claim, next: newOffset, memory, encoder, gaps } of this.#partitions.values()) {
      if (newOffset === claim.nextOffset) continue
      const back = newOffset < claim.nextOffset && { back: true as const }
      const { segments, slices } = encoder.finish(newOffset, gaps)
      writes.push({
        ...{ claim, newOffset, memory, segments, ...back },
        slices: slices.map((slice) => ({ ...slice, ...back })),
      })
    }
    const rows = writes.reduce((sum, write) => sum + rowsOf(write), 0)
    const basis = [...this.#partitions.values()].map(({ claim }) => claim)
    return { writes, rows, basis, rejected: this.#rejected, torn: this.#torn }
  }

  #rowsOf({ topic, partition }: FixedFetch): PartitionRows | undefined {
    const key = partitionKey({ topic, partition })
    const known = this.#partitions.get(key)
    if (known) return known
    const claim = this.#claimOf(topic, partition)
    const channel = this.#channels.get(topic)
    if (claim === undefined || channel === undefined) return undefined
    const { memory, chunkMicros, bookLevels = 0 } = this.#consumer
    const reader = copyMemory(claim.memory)
    const rows: PartitionRows = {
      claim,
      next: claim.nextOffset,
      memory: reader,
      encoder: new SegmentEncoder({ channel, memory, reader, bookLevels, chunkMicros }),
      gaps: replacedTopic(claim, this.#consumer),
      isTorn: false,
    }
    this.#partitions.set(key, rows)
    return rows
  }
}

/** How many rows a write has. */
export function rowsOf({ segments }: PartitionWrite): number {
  return segments.reduce((sum, segment) => sum + segment.rows, 0)
}

/** Retention has removed records that were not stored yet: a gap and an alert, and on from the earliest record (R8). */
function missingRecords(fetch: FixedFetch & { kind: 'truncated' }, consumer: PreparationParts): RowSegment {
  const { topic, partition, position, earliest } = fetch
  const detail =
    earliest > position
      ? `retention removed offsets ${position} to ${earliest - 1} of ${topic}:${partition} before they were stored`
      : `${topic}:${partition} has lost its end: it went on at ${earliest}, and the database has stored what lay up to ${position - 1} before`
  consumer.log.error({ topic, partition, position, earliest, code: 'OFFSET_OUT_OF_RANGE' }, detail)
  consumer.raiseAlert(`retention:${topic}:${partition}`, 'OFFSET_OUT_OF_RANGE', detail)
  return gap(detail, consumer)
}

/** Nothing of the topic is stored yet, and a former one had its name: records of the former one that were not stored are lost. */
function replacedTopic(claim: Claim, consumer: PreparationParts): RowSegment[] {
  const { topic, partition, nextOffset, formerOffset } = claim
  if (formerOffset === undefined || nextOffset > 0) return []
  const detail = `${topic} was made anew: partition ${partition} of the former one is stored up to ${formerOffset - 1}, and what came after is lost`
  consumer.log.error({ topic, partition, formerOffset, code: 'TOPIC_REPLACED' }, detail)
  consumer.raiseAlert(`replaced:${topic}:${partition}`, 'TOPIC_REPLACED', detail)
  return [gap(detail, consumer)]
}

/** The log lost records before they were stored. */
function gap(detail: string, { memory, nowMicros }: PreparationParts): RowSegment {
  const to = memory.smallBuffer()
  const common = { source: 'tapeline', exchange: '', detail, ts: nowMicros() }
  writeRow(to, 'status', { ...common, state: 'gap', cause: 'retention' })
  return { channel: 'status', tuples: to.finish(), rows: to.rows, reentering: false }
}
