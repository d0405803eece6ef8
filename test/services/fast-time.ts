import type { TestContext } from 'node:test'

/** To the end of the test, deadlines and timers in this thread come so many times sooner: nobody waits for what a test knows never comes. */
export function hasten(t: TestContext, times: number): void {
  const wait = globalThis.setTimeout
  const timeout = AbortSignal.timeout
  globalThis.setTimeout = Object.assign(
    (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => wait(run, ms / times, ...args),
    wait,
  )
  AbortSignal.timeout = (ms) => timeout.call(AbortSignal, Math.round(ms / times))
  t.after(() => {
    globalThis.setTimeout = wait
    AbortSignal.timeout = timeout
  })
}
