import { letterEntry } from '../../control/dead-letter-records.ts'
import { toTapelineError } from '../../errors.ts'
import type { Broker, OutgoingRecord } from '../../ports/broker.ts'
import type { Rejected } from '../../ports/pipeline.ts'

/** A longer reason or key is cut: it may be, or quote, whatever was in the record. */
const LONGEST_TEXT = 1_000
/** Bytes take a third more as text in JSON, and brokers take records of 1 MiB. The original lies at its position. */
const MOST_BYTES = 512 * 1024

/**
 * Keeps records that cannot be stored (R14); the broker acknowledges them before the batch is committed. The key is
 * `topic:partition:offset`, so that a batch that is done again writes the same letters under the same keys. `size` tells whether `bytes` are all.
 */
export async function writeDeadLetters(
  broker: Broker,
  topic: string,
  rejected: readonly Rejected[],
  signal: AbortSignal,
): Promise<void> {
  if (rejected.length === 0) return
  for (let mostBytes = MOST_BYTES; ; mostBytes = Math.floor(mostBytes / 8)) {
    const records = rejected.map((each) => deadLetter(each, mostBytes))
    try {
      await broker.publish([{ topic, partition: 0, records }], signal)
      return
    } catch (error) {
      // This topic takes less than ours do: a shorter letter at least says where the record lies.
      if (mostBytes === 0 || toTapelineError(error).code !== 'RECORD_TOO_LARGE') throw error
    }
  }
}

function deadLetter({ topic, partition, record, error }: Rejected, mostBytes: number): OutgoingRecord {
  const value = record.value ?? new Uint8Array()
  return letterEntry({
    topic,
    partition,
    offset: record.offset,
    key: record.key?.slice(0, LONGEST_TEXT) ?? null,
    headers: record.headers,
    publishedAt: record.timestamp,
    code: error.code,
    reason: error.message.slice(0, LONGEST_TEXT),
    fields: error.fields.map(({ field, message }) => ({ field, message })),
    size: value.length,
    bytes: Buffer.from(value.subarray(0, mostBytes)).toString('base64'),
  })
}
