import { TapelineError } from '../../../errors.ts'
import type { OutgoingRecord, PartitionRecords } from '../../../ports/broker.ts'

/** The most bytes of a record's key and value together. */
const MAX_RECORD_BYTES = 1024 * 1024
/** What topics are made to take: the largest record with all that surrounds it. */
export const MAX_MESSAGE_BYTES = 2 * MAX_RECORD_BYTES
/** A batch ends here, unless a single record is larger, or the broker takes less. */
export const MAX_BATCH_BYTES = 512 * 1024
/** About what a record takes besides key and value. */
const OVERHEAD_BYTES = 60

function sizeOf({ key, value }: OutgoingRecord): number {
  return (value?.length ?? 0) + (key?.length ?? 0) + OVERHEAD_BYTES
}

/** About how many bytes the entries take. Raises RECORD_TOO_LARGE. */
export function measure(entries: readonly PartitionRecords[]): number {
  let total = 0
  for (const { topic, partition, records } of entries) {
    for (const record of records) {
      const bytes = sizeOf(record)
      if (bytes - OVERHEAD_BYTES > MAX_RECORD_BYTES) throw tooLarge({ topic, partition }, record)
      total += bytes
    }
  }
  return total
}

/** What is raised for a record that is not taken; `why` is the broker's word. */
export function tooLarge(
  { topic, partition }: Pick<PartitionRecords, 'topic' | 'partition'>,
  record: OutgoingRecord,
  why = '',
): TapelineError {
  const bytes = sizeOf(record) - OVERHEAD_BYTES
  const message = `a record for ${topic}:${partition} has ${bytes} bytes${why && `: ${why}`}`
  const partitions = [{ topic, partition }]
  return new TapelineError('RECORD_TOO_LARGE', message, { partitions, values: [record.value] })
}

/** Records that a broker takes as one batch, or as a part of one. */
export interface Piece {
  readonly records: readonly OutgoingRecord[]
  readonly bytes: number
}

/** Cuts records into pieces of so many bytes at most, as far as single records are not larger. */
export function cut(records: readonly OutgoingRecord[], mostBytes = MAX_BATCH_BYTES): Piece[] {
  const pieces: Piece[] = []
  let [start, bytes] = [0, 0]
  for (const [i, record] of records.entries()) {
    const size = sizeOf(record)
    if (i > start && bytes + size > mostBytes) {
      pieces.push({ records: records.slice(start, i), bytes })
      start = i
      bytes = 0
    }
    bytes += size
  }
  if (start < records.length) pieces.push({ records: start === 0 ? records : records.slice(start), bytes })
  return pieces
}
