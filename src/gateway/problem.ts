import {
  ERROR_KINDS,
  type ErrorCode,
  type FieldError,
  isAbort,
  TapelineError,
  toTapelineError,
} from '../errors.ts'

export const PROBLEM_MEDIA_TYPE = 'application/problem+json'

/** What an INTERNAL error tells an application: its own message may hold addresses, statements or paths. */
const INTERNAL_DETAIL = 'Something failed here that has no code of its own. The log of the platform has more.'

/** An answer names at most so many offending fields, and shows at most so much of each value. */
const MOST_FIELDS = 20
const LONGEST_VALUE = 200

/** An error as the gateway answers it. Source: RFC 9457, with `code`, `remedy` and `errors` as extension members. */
export interface Problem {
  /** Where the code is explained, relative to the server. */
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ErrorCode
  readonly remedy: string
  readonly errors?: FieldError[]
}

/** The problem document of an error. `status` differs from the code's own only where HTTP has a closer one. */
export function problemOf(error: TapelineError, status: number = error.status): Problem {
  const { code, remedy } = error
  const errors = shownFields(error.fields)
  return {
    type: `/docs/errors#${code}`,
    title: ERROR_KINDS[code].meaning,
    status,
    detail: detailOf(error),
    code,
    remedy,
    ...(errors.length > 0 && { errors }),
  }
}

/** What an application may know of an error. */
export function detailOf(error: TapelineError): string {
  if (error.code === 'INTERNAL') return INTERNAL_DETAIL
  const hidden = error.fields.length - MOST_FIELDS
  return hidden > 0 ? `${error.message.slice(0, 500)} (${hidden} more not shown)` : error.message
}

/** Offending fields in a bounded form. */
export function shownFields(fields: readonly FieldError[]): FieldError[] {
  return fields.slice(0, MOST_FIELDS).map((entry) => ({
    ...entry,
    field: excerpt(entry.field),
    value: shownValue(entry.value),
  }))
}

/** Text of bounded length. */
export function excerpt(text: string): string {
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text
}

function shownValue(value: unknown): unknown {
  if (typeof value === 'string') return excerpt(value)
  const text = JSON.stringify(value) ?? null
  return text !== null && text.length > LONGEST_VALUE ? excerpt(text) : (value ?? null)
}

/** Where an error of the HTTP framework belongs among our codes, and which part of the request it is about. */
const FRAMEWORK_ERRORS: Readonly<Record<string, { code: ErrorCode; field: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'BODY_TOO_LARGE', field: '(body)' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'MEDIA_TYPE_UNSUPPORTED', field: 'content-type' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { code: 'INPUT_INVALID', field: 'content-length' },
  FST_ERR_BAD_URL: { code: 'INPUT_INVALID', field: '(address)' },
  FST_ERR_MAX_PARAM_LENGTH: { code: 'INPUT_INVALID', field: '(address)' },
}

/** Gives anything thrown while a request is served a code of ours. `partOf` tells what stood in an offending part. */
export function errorOf(thrown: unknown, partOf: (field: string) => unknown = () => null): TapelineError {
  if (thrown instanceof TapelineError) return thrown
  if (thrown instanceof Error && thrown.name === 'TimeoutError') {
    return new TapelineError('TIMEOUT', 'no answer within the time for a request', { cause: thrown })
  }
  if (isAbort(thrown)) {
    return new TapelineError('SHUTTING_DOWN', 'the request was given up before it was done', {
      cause: thrown,
    })
  }
  const known = FRAMEWORK_ERRORS[frameworkCode(thrown)]
  if (known === undefined) return toTapelineError(thrown)
  const { code, field } = known
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const { remedy } = new TapelineError(code, message)
  const fields = [{ field, value: partOf(field), message, remedy }]
  return new TapelineError(code, message, { cause: thrown, fields })
}

function frameworkCode(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
}
