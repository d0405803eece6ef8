import { DEAD_LETTER_TOPIC } from '../../control/topics.ts'
import type { RecordHeaders } from '../../domain/record.ts'
import type { Broker, OutgoingRecord } from '../../ports/broker.ts'
import type { Rejected } from './prepare.ts'

const HEADERS: RecordHeaders = { v: 1, kind: 'control' }
/** A reason longer than this is cut: it may quote what was in the record. */
const LONGEST_REASON = 1_000

/**
 * Keeps records that cannot be stored (R14), acknowledged before the batch is committed. The key is `topic:partition:offset`, so
 * a batch that is done again writes the same letters again under the same keys.
 */
export async function writeDeadLetters(
  broker: Broker,
  rejected: readonly Rejected[],
  signal: AbortSignal,
): Promise<void> {
  if (rejected.length === 0) return
  await broker.publish(
    [{ topic: DEAD_LETTER_TOPIC, partition: 0, records: rejected.map(deadLetter) }],
    signal,
  )
}

function deadLetter({ topic, partition, record, error }: Rejected): OutgoingRecord {
  const body = {
    v: 1,
    topic,
    partition,
    offset: record.offset,
    key: record.key,
    headers: record.headers,
    publishedAt: record.timestamp,
    code: error.code,
    reason: error.message.slice(0, LONGEST_REASON),
    fields: error.fields.map(({ field, message }) => ({ field, message })),
    bytes: Buffer.from(record.value ?? []).toString('base64'),
  }
  return {
    key: `${topic}:${partition}:${record.offset}`,
    value: new TextEncoder().encode(JSON.stringify(body)),
    headers: HEADERS,
  }
}
