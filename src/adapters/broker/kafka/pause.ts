import { delay } from '../../../async/timers.ts'

/** Waits so long, or until the signal aborts: whoever waits looks at the signal afterwards. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, signal).catch(() => undefined)
}
