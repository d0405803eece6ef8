import { ALERT_ERRORS } from './errors/alert.ts'
import { BROKER_ERRORS } from './errors/broker.ts'
import { PROCESS_ERRORS } from './errors/process.ts'
import { RECORD_ERRORS } from './errors/record.ts'
import { REQUEST_ERRORS } from './errors/request.ts'
import { SOURCE_ERRORS } from './errors/source.ts'
import { STORE_ERRORS } from './errors/store.ts'
import { STREAM_ERRORS } from './errors/stream.ts'
import { redactText } from './secrets.ts'

/**
 * Every coded error, from a table for each part of the platform. Codes are stable: programs may depend on them. `docs/errors.md` is
 * generated from this table by `npm run docs`.
 */
export const ERROR_KINDS = {
  ...PROCESS_ERRORS,
  ...SOURCE_ERRORS,
  ...BROKER_ERRORS,
  ...STORE_ERRORS,
  ...RECORD_ERRORS,
  ...REQUEST_ERRORS,
  ...STREAM_ERRORS,
  ...ALERT_ERRORS,
} as const

export type ErrorCode = keyof typeof ERROR_KINDS

/** One offending input field: where, what stood there, what is wrong and what to do. */
export interface FieldError {
  readonly field: string
  readonly value: unknown
  readonly message: string
  readonly remedy: string
  /** Where in the value, the first character being 1; of expressions. */
  readonly position?: number
}

interface ErrorDetails {
  readonly cause?: unknown
  readonly remedy?: string
  /** Offending input fields, for INPUT_INVALID and CONFIG_INVALID. */
  readonly fields?: readonly FieldError[]
  /** The partitions an error is about, for FENCED. */
  readonly partitions?: readonly { readonly topic: string; readonly partition: number }[]
  /** The values of the records that an error is about, for RECORD_TOO_LARGE. */
  readonly values?: readonly (Uint8Array | null)[]
}

/** The one error class: a stable code, whether trying again makes sense, and what the user can do. */
export class TapelineError extends Error {
  override readonly name = 'TapelineError'
  readonly code: ErrorCode
  readonly remedy: string
  readonly fields: readonly FieldError[]
  readonly partitions: readonly { readonly topic: string; readonly partition: number }[]
  /** Private, so that no log repeats them. */
  readonly #values: readonly (Uint8Array | null)[]

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    // Messages of servers and libraries are in ours, and ours go to applications, alerts and topics.
    super(redactText(message), details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.remedy = details.remedy ?? ERROR_KINDS[code].remedy
    this.fields = details.fields ?? []
    this.partitions = details.partitions ?? []
    this.#values = details.values ?? []
  }

  get values(): readonly (Uint8Array | null)[] {
    return this.#values
  }

  get retryable(): boolean {
    return ERROR_KINDS[this.code].retryable
  }

  get status(): number {
    return ERROR_KINDS[this.code].status
  }
}

/** DATA_FOLDER_UNUSABLE where no platform has run: `message` says what is not in which folder. */
export function noDataYet(message: string): TapelineError {
  return new TapelineError('DATA_FOLDER_UNUSABLE', message, {
    remedy: 'Start a platform first (npm start), or name the folder of one that has run with --data.',
  })
}

/** The place of the page that says what a code means and what to do. */
export function pageOfCode(code: string): string {
  return `docs/errors.md#${code.toLowerCase()}`
}

/**
 * Gives any thrown value a code: a TapelineError as it is, everything else as `code`; by default TIMEOUT where a deadline was
 * reached, and INTERNAL.
 */
export function toTapelineError(thrown: unknown, code?: ErrorCode): TapelineError {
  if (thrown instanceof TapelineError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const isTimeout = thrown instanceof Error && thrown.name === 'TimeoutError'
  return new TapelineError(code ?? (isTimeout ? 'TIMEOUT' : 'INTERNAL'), message, { cause: thrown })
}

/** Whether a thrown value is the abort of a signal rather than a failure. */
export function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.name === 'AbortError' || thrown.name === 'ABORT_ERR')
}
