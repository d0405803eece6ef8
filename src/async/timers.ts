import { onAbort } from './abort.ts'

/** The longest wait that Node's own timers can hold: a longer one would end after 1 ms. */
const LONGEST_MS = 2 ** 31 - 1

export interface Timer {
  /** It does not fire any more. */
  stop(): void
  /** It does not keep the process alive. */
  unref(): this
}

/** A timer that fires once. */
export interface Countdown extends Timer {
  /** It begins to wait anew. */
  restart(): void
}

/** Runs `run` once after so many milliseconds, also after more than the 24 days that Node's own timers can hold. */
export function startTimer(run: () => void, ms: number): Countdown {
  let isReferenced = true
  let handle: NodeJS.Timeout
  const wait = (leftMs: number): void => {
    const stepMs = Math.min(leftMs, LONGEST_MS)
    handle = stepMs < leftMs ? setTimeout(wait, stepMs, leftMs - stepMs) : setTimeout(run, stepMs)
    if (!isReferenced) handle.unref()
  }
  wait(ms)
  return {
    stop: () => clearTimeout(handle),
    restart() {
      clearTimeout(handle)
      wait(ms)
    },
    unref() {
      isReferenced = false
      handle.unref()
      return this
    },
  }
}

/** Runs `run` every so many milliseconds; a period of more than 24 days is cut to that. */
export function startInterval(run: () => void, ms: number): Timer {
  const handle = setInterval(run, Math.min(ms, LONGEST_MS))
  return {
    stop: () => clearInterval(handle),
    unref() {
      handle.unref()
      return this
    },
  }
}

/** Waits so many milliseconds. Rejects with the signal's reason where that aborts first; nothing of the wait is left then. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = startTimer(() => {
      off()
      resolve()
    }, ms)
    const off = onAbort(signal, () => {
      timer.stop()
      reject(signal?.reason)
    })
  })
}

/** Waits so long, or until the signal aborts: whoever waits looks at the signal afterwards. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, signal).catch(() => undefined)
}

/** A signal that aborts with a TimeoutError after so many milliseconds; more than 24 days are cut to that. */
export function deadlineAfter(ms: number): AbortSignal {
  return AbortSignal.timeout(Math.min(Math.round(ms), LONGEST_MS))
}
