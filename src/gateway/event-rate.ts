import { delay } from '../async/timers.ts'
import type { AppEndpoint } from '../ports/transport.ts'

/** A connection that may take no more counts as full. */
const FULL = Number.MAX_SAFE_INTEGER

/** How many events a second an application may get, over all its connections in this gateway. */
export interface EventRate {
  /** Counts events. They may be more than are left: what comes next waits for these too. */
  count(events: number): void
  readonly isSpent: boolean
  /** Resolves when more may be sent. */
  ready(signal: AbortSignal): Promise<void>
}

/** A bucket of events that fills at `perSecond` and holds those of one second. `now`: milliseconds of a clock that only goes forward. */
export function createEventRate(perSecond: number, now: () => number): EventRate {
  let [left, at] = [perSecond, now()]
  const fill = (): number => {
    const time = now()
    left = Math.min(perSecond, left + ((time - at) / 1_000) * perSecond)
    at = time
    return left
  }
  return {
    count(events) {
      left = fill() - events
    },
    get isSpent() {
      return fill() <= 0
    },
    async ready(signal) {
      while (fill() <= 0) await delay(Math.ceil(((1 - left) / perSecond) * 1_000), signal)
    },
  }
}

/**
 * The same endpoint, which is full while its application has had all events that it may get: delivery then treats it as a slow one, as the subscription
 * chose, and nothing is lost.
 */
export function throttledEndpoint(endpoint: AppEndpoint, rate: EventRate): AppEndpoint {
  return {
    id: endpoint.id,
    send: (message) => endpoint.send(message),
    disconnect: () => endpoint.disconnect?.(),
    get pendingBytes() {
      return rate.isSpent ? FULL : endpoint.pendingBytes
    },
    get closed() {
      return endpoint.closed
    },
    sendEncoded(bytes, cursor, events) {
      rate.count(events)
      endpoint.sendEncoded(bytes, cursor, events)
    },
    async drained(bytes, signal) {
      if (!endpoint.closed) await rate.ready(signal)
      await endpoint.drained(bytes, signal)
    },
  }
}
