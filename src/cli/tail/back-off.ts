import { setTimeout as delay } from 'node:timers/promises'
import type { TapelineError } from '../../errors.ts'

const FIRST_MS = 200
const LONGEST_MS = 5_000

/** Waits between attempts: twice as long each time, with full jitter, until something has worked. */
export interface BackOff {
  /** Resolves when it is time for the next attempt, or the signal is aborted. */
  wait(signal: AbortSignal): Promise<void>
  /** It worked: the next wait is a short one. */
  reset(): void
}

export function createBackOff(): BackOff {
  let longest = FIRST_MS
  return {
    async wait(signal) {
      const ms = longest / 2 + (Math.random() * longest) / 2
      longest = Math.min(LONGEST_MS, longest * 2)
      await delay(ms, undefined, { signal }).catch(() => undefined)
    },
    reset() {
      longest = FIRST_MS
    },
  }
}

/** Whether a platform that is there again later would not fail like this: a defect stays one. */
export function mayPass(error: TapelineError): boolean {
  return error.code === 'NOT_RUNNING' || (error.retryable && error.code !== 'INTERNAL')
}
