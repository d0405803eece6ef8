import { setTimeout as delay } from 'node:timers/promises'

const LONGEST_MS = 30_000

/** Waits for a condition. Fails, saying for what, when it does not come about. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + LONGEST_MS; performance.now() < end; await delay(5)) {
    if (await holds()) return
  }
  throw new Error(`waited in vain: ${what}`)
}
