import { onAbort } from './abort.ts'

interface Waiter {
  readonly bytes: number
  readonly resolve: () => void
}

interface Outlet {
  isClosed(): boolean
  pendingBytes(): number
}

/** Waits for a buffer that somebody else empties, as the network does one of a connection. It wakes when it is told to, and never polls. */
export interface Drain {
  /** Resolves when fewer than `bytes` are pending, or the connection has closed. Rejects with the reason of the signal. */
  drained(bytes: number, signal: AbortSignal): Promise<void>
  /** The network has taken something, or the connection has closed. */
  wake(): void
}

export function createDrain({ isClosed, pendingBytes }: Outlet): Drain {
  const waiters = new Set<Waiter>()
  const isOver = (bytes: number): boolean => isClosed() || pendingBytes() < bytes || pendingBytes() === 0
  return {
    drained(bytes, signal) {
      if (isOver(bytes)) return Promise.resolve()
      return new Promise((resolve, reject) => {
        const waiter = {
          bytes,
          resolve: () => {
            waiters.delete(waiter)
            off()
            resolve()
          },
        }
        waiters.add(waiter)
        const off = onAbort(signal, () => {
          waiters.delete(waiter)
          reject(signal.reason)
        })
      })
    },
    wake() {
      for (const waiter of waiters) if (isOver(waiter.bytes)) waiter.resolve()
    },
  }
}
