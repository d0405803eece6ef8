import { type ErrorCode, TapelineError } from '../../../errors.ts'
import type { Batch, BatchOutcome } from './send-job.ts'

/** Codes of a partition after which nothing was written and sending again does not help. Source: https://kafka.apache.org/protocol#protocol_error_codes */
const REFUSED: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  10: ['RECORD_TOO_LARGE', 'is larger than the topic takes'],
  17: ['TOPIC_UNKNOWN', 'has no topic of an acceptable name'],
  18: ['RECORD_TOO_LARGE', 'is larger than a segment of the topic'],
  29: ['BROKER_FORBIDDEN', 'may not be written by this user'],
  31: ['BROKER_FORBIDDEN', 'may not be written by this user'],
  32: ['INPUT_INVALID', 'has a timestamp that the topic does not take'],
  87: ['INPUT_INVALID', 'was refused: a record without a key, in a compacted topic'],
}

/** Codes after which the broker has lost the thread of the sequence numbers: what was written is unknown. */
const LOST = new Set([45, 46, 47, 59, 90])

interface ProduceAnswer {
  readonly responses: readonly {
    readonly name: string
    readonly partitionResponses: readonly {
      readonly index: number
      readonly errorCode: number
      readonly baseOffset: bigint
    }[]
  }[]
}

/** What the broker says of a batch. */
export function outcomeOf({ topic, partition }: Batch, { responses }: ProduceAnswer): BatchOutcome {
  const part = responses
    .find(({ name }) => name === topic)
    ?.partitionResponses.find(({ index }) => index === partition)
  const what = `a batch for ${topic}:${partition}`
  if (part === undefined) return again(`${what} has no answer`)
  const { errorCode, baseOffset } = part
  if (errorCode === 0) return { kind: 'stored', baseOffset: Number(baseOffset) }
  const refused = REFUSED[errorCode]
  if (refused !== undefined)
    return { kind: 'failed', error: new TapelineError(refused[0], `${what} ${refused[1]}`) }
  if (LOST.has(errorCode)) {
    const message = `${what} may be written or not: the broker has lost its sequence (error ${errorCode})`
    return { kind: 'failed', error: new TapelineError('BROKER_UNAVAILABLE', message) }
  }
  return again(`${what} was not written (error ${errorCode})`)
}

function again(message: string): BatchOutcome {
  return { kind: 'again', error: new TapelineError('BROKER_UNAVAILABLE', message) }
}
