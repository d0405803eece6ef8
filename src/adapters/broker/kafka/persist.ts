import { doubled } from '../../../async/back-off.ts'
import { pause } from '../../../async/timers.ts'
import { abortReason } from '../abort-reason.ts'
import { brokerError } from './errors.ts'

const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 500

/** A pause that grows with each failure in a row, in milliseconds. */
export function pauseAfter(failures: number): number {
  return doubled(FIRST_PAUSE_MS, LONGEST_PAUSE_MS, failures - 1)
}

interface PersistOptions {
  /** The caller's; its reason is raised. */
  readonly signal: AbortSignal
  /** The client is closed. */
  readonly closing: AbortSignal
  /** How long to ask again; by default until one of the signals ends it. */
  readonly patienceMs?: number
}

/** Repeats a question that changes nothing until it is answered; what no repeating cures is raised. */
export async function persist<T>(ask: () => Promise<T>, options: PersistOptions): Promise<T> {
  const { signal, closing, patienceMs = Number.POSITIVE_INFINITY } = options
  const since = performance.now()
  for (let failures = 1; ; failures++) {
    try {
      return await ask()
    } catch (thrown) {
      if (signal.aborted) throw abortReason(signal)
      const error = brokerError(thrown, 'the broker did not answer')
      const isOver = performance.now() - since > patienceMs
      if (!error.retryable || closing.aborted || isOver) throw error
      const stop = AbortSignal.any([signal, closing])
      await pause(pauseAfter(failures), stop)
    }
  }
}
