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

/** What a machine starts with: its settings, and after a crash the context of the machine whose place it takes. */
export type MachineInput<TContext> = MachineSettings & { readonly former?: TContext }

export const SHORTEST_BACK_OFF_MS = 100
const LONGEST_BACK_OFF_MS = 30_000
/** A wait for data without a failure for so long ends an earlier failure, though nothing came. */
const HEALTHY_AFTER_MS = 60_000
/** The same after an outage: while an outage lasts, a wait fails sooner. */
const ANSWERING_AFTER_MS = 5_000
const OUTAGES = new Set(['BROKER_UNAVAILABLE', 'STORE_UNAVAILABLE'])
/** A longer delay than this fires at once in Node. */
const LONGEST_DELAY_MS = 2 ** 31 - 1

/** Adds a failure of a step to what is known. The count goes on if the same step failed before, else it begins anew. */
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
 * How long to wait, in milliseconds, after the nth failure in a row (from 1): exponential with full jitter, 100 ms to 30 s
 * (R3). Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backOffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(LONGEST_BACK_OFF_MS, SHORTEST_BACK_OFF_MS * 2 ** Math.min(attempt, 20))
  return Math.max(SHORTEST_BACK_OFF_MS, Math.round(random() * ceiling))
}

/** How long until a person should hear of a failure, in milliseconds; 0 if that time has come. */
export function untilAlertMs(errorInfo: ErrorInfo | null, settings: MachineSettings): number {
  const lasted = errorInfo === null ? 0 : settings.now() - errorInfo.since
  return Math.min(LONGEST_DELAY_MS, Math.max(0, settings.alertAfterMs - lasted))
}

/** How long a wait for data must go without a failure to end the failure before it, in milliseconds. */
export function untilHealthyMs(errorInfo: ErrorInfo | null): number {
  return OUTAGES.has(errorInfo?.code ?? '') ? ANSWERING_AFTER_MS : HEALTHY_AFTER_MS
}

/** Stands in for a service until the composition root provides it. */
export async function unprovided(): Promise<never> {
  throw new Error('this service was not provided')
}
