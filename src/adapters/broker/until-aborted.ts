import { abortReason } from './abort-reason.ts'

/** A wait that the signal ends; what is waited for goes on, and its failure is not lost on anybody. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortReason(signal))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** The same for work that is done all the same: an abort ends the wait without an error. */
export async function untilDone(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const done = Promise.withResolvers<void>()
  const onAbort = (): void => done.resolve()
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  work.then(() => done.resolve(), done.reject)
  try {
    await done.promise
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
