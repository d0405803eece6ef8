import type { MessageRecord } from '@platformatic/kafka'
import { encodeHeaders } from './headers.ts'
import type { Batch } from './send-job.ts'

/** A batch as the library takes it, with a partition for each record. */
export type PlacedRecord = MessageRecord & { readonly partition: number }

/** The records of a batch for the library. */
export function toMessages({ topic, partition, records }: Batch): PlacedRecord[] {
  return records.map(({ key, value, headers }) => ({
    topic,
    partition,
    ...(key !== null && { key: Buffer.from(key) }),
    value: toBuffer(value),
    headers: encodeHeaders(headers),
  }))
}

/** The library declares that every record has a value, but takes a tombstone, which has none. */
function toBuffer(value: Uint8Array | null): Buffer {
  if (value === null) return null as never
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}
