import { doubled } from '../../../async/back-off.ts'
/** How soon a lost connection is tried again. */
export interface ReconnectTiming {
  /** The shortest wait between two connects, in milliseconds. */
  readonly firstMs: number
  /** The longest wait, and the wait after the service refused us for its rate limit. */
  readonly maxMs: number
}

const MINUTE_MS = 60_000
const MOST_CONNECTS_A_MINUTE = 60

/**
 * Paces connects: never sooner than `firstMs`, plus a random part of a span that doubles with each attempt, up to `maxMs`,
 * and at most 60 a minute. The randomness keeps clients that a deploy dropped together from coming back together.
 */
export class ReconnectPacer {
  readonly #timing: ReconnectTiming
  readonly #clock: () => number
  readonly #connects: number[] = []
  #attempt = 0

  /** `clock` gives milliseconds from any origin; it must not go backwards. */
  constructor(timing: ReconnectTiming, clock: () => number = () => performance.now()) {
    this.#timing = timing
    this.#clock = clock
  }

  /** Notes that a connect begins. */
  connecting(): void {
    this.#connects.push(this.#clock())
    if (this.#connects.length > MOST_CONNECTS_A_MINUTE) this.#connects.shift()
  }

  /** Notes how long a connection delivered: one that outlived the longest wait starts the back-off afresh. */
  lived(ms: number): void {
    if (ms >= this.#timing.maxMs) this.#attempt = 0
  }

  /** Milliseconds until a connect may begin that no failure asked to wait: after a deliberate stop, or at the start. */
  restMs(): number {
    const last = this.#connects.at(-1)
    if (last === undefined) return 0
    return Math.ceil(Math.max(0, last + this.#timing.firstMs - this.#clock(), this.#minuteLimit()))
  }

  /** Milliseconds until the next connect may begin after one that ended. */
  delayMs(rateLimited: boolean): number {
    const { firstMs, maxMs } = this.#timing
    const span = doubled(firstMs, maxMs, this.#attempt)
    this.#attempt++
    const backOff = rateLimited ? maxMs : Math.min(maxMs, firstMs + (Math.random() * span) / 2)
    return Math.ceil(Math.max(backOff, this.#minuteLimit()))
  }

  #minuteLimit(): number {
    const oldest = this.#connects[0]
    if (oldest === undefined || this.#connects.length < MOST_CONNECTS_A_MINUTE) return 0
    return Math.max(0, oldest + MINUTE_MS - this.#clock())
  }
}
