import { type ErrorCode, TapelineError } from '../../../errors.ts'
import type { ProduceAnswer } from './produce-request.ts'

/** What one answer, or none, tells of a batch that was sent. */
export type BatchOutcome =
  | { readonly kind: 'stored'; readonly baseOffset: number }
  /** Stored or not. The same bytes, sent again, are stored once and tell which. */
  | { readonly kind: 'in-doubt'; readonly error: TapelineError }
  /** This request has not stored it, and sending it again does not help. */
  | { readonly kind: 'refused'; readonly error: TapelineError }
  /** No request has stored it. The broker expects another sequence number: a new producer id has to begin with 0. */
  | { readonly kind: 'out-of-sequence'; readonly error: TapelineError }
  /** Stored or not, and no answer will ever tell. */
  | { readonly kind: 'unknown'; readonly error: TapelineError }
  /** Somebody else has taken over the transactional id. */
  | { readonly kind: 'fenced'; readonly error: TapelineError }

/**
 * The codes that prove that a request has not appended its batch, each because Kafka looks for what it says before it appends. Every
 * other code may come after the append: a leader that waits for its replicas loses the partition (3, 6), its disk (56) or its
 * patience (7, 20), and the next leader may hold the batch. So may one that is not known here. 19 comes before the append on
 * Kafka, but what to do is the same as for 20, and nothing is gained by believing it.
 * Sources: https://kafka.apache.org/protocol#protocol_error_codes, and of Kafka's code `KafkaApis.handleProduceRequest` (rights),
 * `ReplicaManager.appendRecords` (topics, transactions), `UnifiedLog.append` with `LogValidator` (records).
 */
const NOT_APPENDED: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  /** The checksum is compared first of all. The same records go again in bytes that are made anew. */
  2: ['BROKER_UNAVAILABLE', 'arrived damaged'],
  /** The size is compared with `max.message.bytes` after validation, before the append. */
  10: ['RECORD_TOO_LARGE', 'is larger than the topic takes'],
  /** The name is looked at before the partition is looked for. */
  17: ['TOPIC_UNKNOWN', 'is for a topic whose name cannot be'],
  /** The size is compared with `segment.bytes` before a segment is chosen. */
  18: ['RECORD_TOO_LARGE', 'is larger than a segment of the topic'],
  /** Rights are looked up before anything is handed on: on the topic, the cluster, the transactional id. */
  29: ['BROKER_FORBIDDEN', 'may not be written by this user'],
  31: ['BROKER_FORBIDDEN', 'may not be written by this user'],
  53: ['BROKER_FORBIDDEN', 'may not be written by this user'],
  /** Records are validated one by one before the first is appended: their times, their keys, their format. */
  32: ['INPUT_INVALID', 'has a time that the topic does not take'],
  43: ['BROKER_UNSUPPORTED', 'is in a format that the topic does not take'],
  76: ['BROKER_UNSUPPORTED', 'is compressed in a way that the topic does not take'],
  87: ['INPUT_INVALID', 'was refused: a record without a key in a compacted topic'],
  /** The partition is looked for in the transaction before the append (KIP-890). */
  120: ['BROKER_UNAVAILABLE', 'is in a transaction that has to be aborted'],
}

/**
 * The leader keeps the last batches of each producer id for as long as their records: it would have answered with the offset of
 * this one. It was never appended, or it was lost together with the end of the log.
 */
const OUT_OF_SEQUENCE = new Set([45, 59])
/** An old duplicate, of which the broker only knows that it has it. */
const UNKNOWN = new Set([46])
const FENCED = new Set([47, 48, 49, 90])

/** What the broker says of the batch for a partition. */
export function outcomeOf(topic: string, partition: number, { responses }: ProduceAnswer): BatchOutcome {
  const part = responses
    .find(({ name }) => name === topic)
    ?.partitionResponses.find(({ index }) => index === partition)
  const what = `a batch for ${topic}:${partition}`
  if (part === undefined) return unanswered(what, 'has no answer')
  const { errorCode, baseOffset } = part
  if (errorCode === 0) return { kind: 'stored', baseOffset: Number(baseOffset) }
  const refused = NOT_APPENDED[errorCode]
  if (refused !== undefined)
    return { kind: 'refused', error: new TapelineError(refused[0], `${what} ${refused[1]}`) }
  const fenced = new TapelineError('FENCED', `${what} was refused: another writer has taken over`)
  if (FENCED.has(errorCode)) return { kind: 'fenced', error: fenced }
  const error = new TapelineError('BROKER_UNAVAILABLE', `${what} was not acknowledged (error ${errorCode})`)
  if (OUT_OF_SEQUENCE.has(errorCode)) return { kind: 'out-of-sequence', error }
  return { kind: UNKNOWN.has(errorCode) ? 'unknown' : 'in-doubt', error }
}

/** A request that got no answer: what was in it is stored or not. */
export function unanswered(what: string, why: string): BatchOutcome {
  return { kind: 'in-doubt', error: new TapelineError('BROKER_UNAVAILABLE', `${what} ${why}`) }
}

/** A later answer that only says what its own request has not done leaves open what an earlier one has. */
export function afterDoubt(outcome: BatchOutcome): BatchOutcome {
  if (outcome.kind !== 'refused') return outcome
  const { message } = outcome.error
  const error = new TapelineError('BROKER_UNAVAILABLE', `${message}; it may be stored all the same`)
  return { kind: 'unknown', error }
}
