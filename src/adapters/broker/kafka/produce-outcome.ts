import { type ErrorCode, TapelineError } from '../../../errors.ts'
import type { ProduceAnswer } from './produce-request.ts'

/** What is known of a batch after it was sent. */
export type BatchOutcome =
  | { readonly kind: 'stored'; readonly baseOffset: number }
  /** Sending the same bytes again may help, and makes no duplicate. `inDoubt`: it may be stored all the same. */
  | { readonly kind: 'again'; readonly inDoubt: boolean; readonly error: TapelineError }
  /** Not stored, and it never will be. */
  | { readonly kind: 'refused'; readonly error: TapelineError }
  /** Not stored: the broker expects another sequence number, so a new producer id has to begin with 0. */
  | { readonly kind: 'out-of-sequence'; readonly error: TapelineError }
  /** Stored or not, and no answer will ever tell. */
  | { readonly kind: 'unknown'; readonly error: TapelineError }
  /** Somebody else has taken over the transactional id. */
  | { readonly kind: 'fenced'; readonly error: TapelineError }

/** Codes after which nothing was stored and sending again does not help. Source: https://kafka.apache.org/protocol#protocol_error_codes */
const REFUSED: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  10: ['RECORD_TOO_LARGE', 'is larger than the topic takes'],
  17: ['TOPIC_UNKNOWN', 'is for a topic whose name cannot be'],
  18: ['RECORD_TOO_LARGE', 'is larger than a segment of the topic'],
  29: ['BROKER_FORBIDDEN', 'may not be written by this user'],
  31: ['BROKER_FORBIDDEN', 'may not be written by this user'],
  32: ['INPUT_INVALID', 'has a time that the topic does not take'],
  53: ['BROKER_FORBIDDEN', 'may not be written by this user'],
  87: ['INPUT_INVALID', 'was refused: a record without a key in a compacted topic'],
}

/** The request timed out among the replicas, or was stored by too few of them. */
const IN_DOUBT = new Set([7, 20])
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
  const refused = REFUSED[errorCode]
  if (refused !== undefined)
    return { kind: 'refused', error: new TapelineError(refused[0], `${what} ${refused[1]}`) }
  const fenced = new TapelineError('FENCED', `${what} was refused: another writer has taken over`)
  if (FENCED.has(errorCode)) return { kind: 'fenced', error: fenced }
  const error = new TapelineError('BROKER_UNAVAILABLE', `${what} was not stored (error ${errorCode})`)
  if (OUT_OF_SEQUENCE.has(errorCode)) return { kind: 'out-of-sequence', error }
  if (UNKNOWN.has(errorCode)) return { kind: 'unknown', error }
  return { kind: 'again', inDoubt: IN_DOUBT.has(errorCode), error }
}

/** A request that got no answer: what was in it is stored or not. */
export function unanswered(what: string, why: string): BatchOutcome {
  return { kind: 'again', inDoubt: true, error: new TapelineError('BROKER_UNAVAILABLE', `${what} ${why}`) }
}
