import { toTapelineError } from '../errors.ts'
import type { ErrorInfo } from '../ports/actors.ts'

/** What every machine is given besides its services: the clock, chance, and how patient it is. */
export interface MachineSettings {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** A number in [0, 1). */
  readonly random: () => number
  /** How long a failure lasts before it raises an alert, in milliseconds. */
  readonly alertAfterMs: number
}

const FIRST_BACK_OFF_MS = 100
const LONGEST_BACK_OFF_MS = 30_000

/** Adds one failure of a step to what is known: the same step failing again counts on, anything else begins anew. */
export function recordFailure(
  previous: ErrorInfo | null,
  step: string,
  thrown: unknown,
  settings: MachineSettings,
): ErrorInfo {
  const error = toTapelineError(thrown)
  const repeated = previous?.step === step
  return {
    code: error.code,
    message: error.message,
    step,
    attempt: repeated ? previous.attempt + 1 : 1,
    retryable: error.retryable,
    since: repeated ? previous.since : settings.now(),
  }
}

/**
 * How long to wait before RETRY: exponential with full jitter, 100 ms to 30 s (R3).
 * Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backOffMs(errorInfo: ErrorInfo | null, settings: MachineSettings): number {
  const attempt = errorInfo?.attempt ?? 1
  const ceiling = Math.min(LONGEST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** Math.min(attempt, 20))
  return Math.max(FIRST_BACK_OFF_MS, Math.round(settings.random() * ceiling))
}

/** Whether a failure has lasted long enough that a person should know. */
export function isAlertDue(errorInfo: ErrorInfo | null, settings: MachineSettings): boolean {
  return errorInfo !== null && settings.now() - errorInfo.since >= settings.alertAfterMs
}

/** Stands in for a service until the composition root provides it. */
export async function unprovided(): Promise<never> {
  throw new Error('this service was not provided')
}
