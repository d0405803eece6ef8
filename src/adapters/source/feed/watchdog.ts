import { startInterval, type Timer } from '../../../async/timers.ts'

/** How many quiet looks in a row make a connection stale. */
const LOOKS = 4

/** A heartbeat may come late by this part of its interval before it counts as missed. */
const LATENESS = 0.25

/** No learned limit is shorter: heartbeats that a slow network delivered together would look like a fast rhythm. */
const SHORTEST_LEARNED_MS = 1_000

/**
 * Says when a connection has gone silent: no frame at all for longer than `limitMs` (and up to a quarter more).
 *
 * It counts looks at which nothing had come rather than elapsed time: a process that was stopped for a while makes one late
 * look, not many, and reads what waits in the socket before the next one.
 */
export class Watchdog {
  readonly #firstLimitMs: number
  readonly #stale: (quietMs: number) => void
  #limitMs: number
  #timer: Timer | undefined
  #heard = true
  #quietLooks = 0
  /** When the last heartbeats came, oldest first; three at most. */
  #beats: number[] = []

  constructor(limitMs: number, stale: (quietMs: number) => void) {
    this.#firstLimitMs = limitMs
    this.#limitMs = limitMs
    this.#stale = stale
  }

  start(): void {
    this.stop()
    this.#limitMs = this.#firstLimitMs
    this.#beats = []
    this.#arm()
  }

  stop(): void {
    this.#timer?.stop()
    this.#timer = undefined
  }

  /** Something valid arrived. */
  heard(): void {
    this.#heard = true
  }

  /**
   * A periodic heartbeat arrived. Three of them tell the interval: from then on two missed ones are stale, which may be sooner
   * than the limit for a service whose interval is not known.
   */
  beat(): void {
    this.#heard = true
    this.#beats = [...this.#beats, performance.now()].slice(-3)
    const [first, second, third] = this.#beats
    if (first === undefined || second === undefined || third === undefined) return
    const interval = Math.max(second - first, third - second)
    const learned = Math.max(SHORTEST_LEARNED_MS, interval * (2 + LATENESS))
    const limit = Math.min(this.#firstLimitMs, learned)
    if (this.#timer === undefined || Math.abs(limit - this.#limitMs) <= this.#limitMs * LATENESS) return
    this.#limitMs = limit
    this.#arm()
  }

  #arm(): void {
    this.stop()
    this.#heard = true
    this.#quietLooks = 0
    this.#timer = startInterval(() => this.#look(), this.#limitMs / LOOKS)
  }

  #look(): void {
    this.#quietLooks = this.#heard ? 0 : this.#quietLooks + 1
    this.#heard = false
    if (this.#quietLooks < LOOKS) return
    this.stop()
    this.#stale(this.#limitMs)
  }
}
