/** A signal that never aborts, for work that only its own deadline ends. */
export const NEVER: AbortSignal = new AbortController().signal

/** Runs `run` when the signal aborts, at once where it has aborted. Gives what takes it back: nothing is left on the signal then. */
export function onAbort(signal: AbortSignal | undefined, run: () => void): () => void {
  if (signal?.aborted) run()
  else signal?.addEventListener('abort', run, { once: true })
  return () => signal?.removeEventListener('abort', run)
}

/** Resolves when the signal aborts. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => onAbort(signal, resolve))
}

/**
 * The outcome of the work, or what `reasonOf` makes of the signal where that aborts first: by default its reason. The work goes on, and
 * its failure is not lost on anybody.
 */
export function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  reasonOf: (signal: AbortSignal) => unknown = ({ reason }) => reason,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const off = onAbort(signal, () => reject(reasonOf(signal)))
    work.then(resolve, reject).finally(off)
  })
}

/** The same for work that is done all the same: an abort ends the wait without an error. */
export async function untilDone(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const off = onAbort(signal, resolve)
  work.then(() => resolve(), reject)
  try {
    await promise
  } finally {
    off()
  }
}

/** Work under a controller of its own that aborts with the signal too. */
export async function withAbort<T>(
  signal: AbortSignal,
  work: (controller: AbortController) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const off = onAbort(signal, () => controller.abort(signal.reason))
  try {
    return await work(controller)
  } finally {
    off()
  }
}
