import { type TapelineError, toTapelineError } from '../../errors.ts'

/** What one check came to. */
export interface Finding {
  /** What was looked at. */
  readonly check: string
  readonly status: 'ok' | 'warn' | 'fail'
  readonly detail: string
  /** What a user can do about it; not for `ok`. */
  readonly remedy?: string
}

export function ok(check: string, detail: string): Finding {
  return { check, status: 'ok', detail }
}

export function warn(check: string, detail: string, remedy: string): Finding {
  return { check, status: 'warn', detail, remedy }
}

export function fail(check: string, detail: string, remedy: string): Finding {
  return { check, status: 'fail', detail, remedy }
}

/** A thrown value as a failed check, with the remedy of its code. */
export function failure(check: string, thrown: unknown): Finding {
  const error: TapelineError = toTapelineError(thrown)
  return fail(check, `${error.code}: ${error.message}`, error.remedy)
}
