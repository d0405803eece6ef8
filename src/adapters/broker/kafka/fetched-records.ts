import { IS_CONTROL, IS_TRANSACTIONAL, type RecordsBatch } from '@platformatic/kafka'
import type { StoredRecord } from '../../../ports/broker.ts'
import { HeaderDecoder } from './headers.ts'

/** What one partition gave to one fetch. */
export interface FetchedPartition {
  readonly records?: readonly RecordsBatch[] | null
  readonly abortedTransactions:
    | readonly { readonly producerId: bigint; readonly firstOffset: bigint }[]
    | null
}

const LOG_APPEND_TIME = 1 << 3

/**
 * The records from an offset on that count, and the offset behind all that was fetched. Control batches and records of
 * aborted transactions are passed over, and so is what a batch holds before the offset.
 */
export function readFetched(
  { records: batches, abortedTransactions }: FetchedPartition,
  from: number,
): { readonly records: StoredRecord[]; readonly nextOffset: number } {
  const records: StoredRecord[] = []
  const aborted = new AbortedRanges(abortedTransactions ?? [])
  const headers = new HeaderDecoder()
  let nextOffset = from
  for (const batch of batches ?? []) {
    const first = Number(batch.firstOffset)
    const isLive = aborted.counts(batch)
    if (isLive) {
      const time = Number(batch.attributes & LOG_APPEND_TIME ? batch.maxTimestamp : batch.firstTimestamp)
      const isAppendTime = (batch.attributes & LOG_APPEND_TIME) !== 0
      for (const record of batch.records) {
        const offset = first + record.offsetDelta
        if (offset < from) continue
        records.push({
          offset,
          timestamp: isAppendTime ? time : time + Number(record.timestampDelta),
          key: record.key === null ? null : record.key.toString(),
          value: record.value,
          headers: headers.decode(record.headers),
        })
      }
    }
    nextOffset = Math.max(nextOffset, first + batch.lastOffsetDelta + 1)
  }
  return { records, nextOffset }
}

/** Tells which batches belong to transactions that were aborted. */
class AbortedRanges {
  readonly #waiting: { readonly producerId: bigint; readonly firstOffset: bigint }[]
  readonly #producers = new Set<bigint>()

  constructor(transactions: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[]) {
    this.#waiting = transactions.toSorted((a, b) => Number(a.firstOffset - b.firstOffset))
  }

  counts({ firstOffset, lastOffsetDelta, attributes, producerId }: RecordsBatch): boolean {
    const last = firstOffset + BigInt(lastOffsetDelta)
    for (
      let next = this.#waiting[0];
      next !== undefined && next.firstOffset <= last;
      next = this.#waiting[0]
    ) {
      this.#producers.add(next.producerId)
      this.#waiting.shift()
    }
    if (attributes & IS_CONTROL) {
      this.#producers.delete(producerId)
      return false
    }
    return !(attributes & IS_TRANSACTIONAL && this.#producers.has(producerId))
  }
}
