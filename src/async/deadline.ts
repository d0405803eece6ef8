import { withAbort } from './abort.ts'
import { deadlineAfter, startTimer } from './timers.ts'

/**
 * Runs work under a signal that aborts with the given one, or after so many milliseconds with a TimeoutError. Unlike
 * AbortSignal.timeout, nothing is left once the work has settled: the data path does this hundreds of times a second.
 */
export async function withDeadline<T>(
  signal: AbortSignal,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  return withAbort(signal, async (either) => {
    const timer = startTimer(
      () => either.abort(new DOMException(`not done within ${ms} ms`, 'TimeoutError')),
      ms,
    )
    try {
      return await work(either.signal)
    } finally {
      timer.stop()
    }
  })
}

/**
 * A signal that aborts with the given one, or after so many milliseconds with a TimeoutError. For calls that are made seldom: its timer is left until
 * the time is over.
 */
export function orAfter(signal: AbortSignal, ms: number): AbortSignal {
  return AbortSignal.any([signal, deadlineAfter(ms)])
}
