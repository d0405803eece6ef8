/**
 * Runs calls one after another. A machine that leaves a state aborts the call it began there, but that call may still be
 * at work when the next one begins: both touch the same state, so the next one waits.
 */
export function createSerializer(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const next = last.then(work, work)
    last = next.catch(() => undefined)
    return next
  }
}
