import { setTimeout as delay } from 'node:timers/promises'

/** Waits so long, or until the signal aborts: whoever waits looks at the signal afterwards. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal }).catch(() => undefined)
}
