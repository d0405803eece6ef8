import { TapelineError } from '../../../errors.ts'
import type { OutgoingRecord, PartitionRecords } from '../../../ports/broker.ts'

/** The most bytes of a record's key and value together. */
const MAX_RECORD_BYTES = 1024 * 1024
/** What topics are made to take: the largest record with all that surrounds it. */
export const MAX_MESSAGE_BYTES = 2 * MAX_RECORD_BYTES
/** A batch ends here, unless a single record is larger. */
const MAX_BATCH_BYTES = 512 * 1024
const MAX_BATCH_RECORDS = 5_000
/** About what a record takes besides key and value. */
const OVERHEAD_BYTES = 60

function sizeOf({ key, value }: OutgoingRecord): number {
  return (value?.length ?? 0) + (key?.length ?? 0)
}

/** About how many bytes the entries take. Raises RECORD_TOO_LARGE. */
export function measure(entries: readonly PartitionRecords[]): number {
  let total = 0
  for (const { topic, records } of entries) {
    for (const record of records) {
      const bytes = sizeOf(record)
      if (bytes > MAX_RECORD_BYTES)
        throw new TapelineError('RECORD_TOO_LARGE', `a record for ${topic} has ${bytes} bytes`)
      total += bytes + OVERHEAD_BYTES
    }
  }
  return total
}

/** Records in pieces that a broker takes as one batch. */
export function toBatches(records: readonly OutgoingRecord[]): (readonly OutgoingRecord[])[] {
  const batches: OutgoingRecord[][] = []
  let current: OutgoingRecord[] = []
  let bytes = 0
  for (const record of records) {
    const size = sizeOf(record) + OVERHEAD_BYTES
    if (current.length > 0 && (bytes + size > MAX_BATCH_BYTES || current.length >= MAX_BATCH_RECORDS)) {
      batches.push(current)
      current = []
      bytes = 0
    }
    current.push(record)
    bytes += size
  }
  if (current.length > 0) batches.push(current)
  return batches
}

/** A record as the library takes it. */
export interface KafkaMessage {
  readonly topic: string
  readonly partition: number
  readonly key: Buffer
  readonly value: Buffer
  readonly headers: Map<Buffer, Buffer>
}
