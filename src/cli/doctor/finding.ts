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
  // The general remedy speaks of a platform that tries again; here nobody does.
  if (error !== thrown && error.code === 'TIMEOUT')
    return fail(
      check,
      'TIMEOUT: not done before the time of doctor was over',
      'It, the network or this machine is slow or busy: look at the load, and run doctor again.',
    )
  return fail(check, `${error.code}: ${error.message}`, error.remedy)
}
