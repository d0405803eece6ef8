import { doubled } from '../../async/back-off.ts'
import { pause } from '../../async/timers.ts'
import type { TapelineError } from '../../errors.ts'
import type { Terminal } from '../command.ts'

const FIRST_MS = 200
const LONGEST_MS = 5_000

/** The time in which a platform that was there is away: said once, then tried again at growing intervals. */
export interface Outage {
  /** Resolves when it is time for the next attempt, or the signal is aborted. Raises an error that will not pass. */
  wait(error: TapelineError, signal: AbortSignal): Promise<void>
  /** An attempt has worked. */
  over(): void
}

export function createOutage(terminal: Terminal): Outage {
  let failures = 0
  return {
    async wait(error, signal) {
      if (!mayPass(error)) throw error
      if (failures === 0) terminal.note(`${error.code}: ${error.message}; waiting for the platform`)
      const longestMs = doubled(FIRST_MS, LONGEST_MS, failures++)
      await pause(longestMs / 2 + (Math.random() * longestMs) / 2, signal)
    },
    over() {
      if (failures > 0) terminal.note('the platform is back')
      failures = 0
    },
  }
}

/** Whether a platform that is there again later would not fail like this: a defect stays one. */
function mayPass(error: TapelineError): boolean {
  return error.code === 'NOT_RUNNING' || (error.retryable && error.code !== 'INTERNAL')
}
