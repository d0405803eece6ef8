/** Seconds of each window that calls are counted in. */
const WINDOWS = { second: 1, minute: 60, hour: 3_600, day: 86_400, month: 2_592_000 } as const
type Window = keyof typeof WINDOWS
const NAMES = Object.keys(WINDOWS) as Window[]

export type CallCounts = Readonly<Record<Window, number>>

/** What an account may call; the limits of a free one. */
export const CALL_LIMITS: CallCounts = { second: 20, minute: 300, hour: 3_000, day: 7_500, month: 100_000 }

/** How often an account may open sockets. */
export const SOCKET_LIMITS: CallCounts = { second: 30, minute: 60, hour: 1_200, day: 10_000, month: 20_000 }

/**
 * Counts calls in the current second, minute, hour, day and month, to say what is left. It refuses nothing: that is what the
 * misbehaviour 429 is for, so that tests which call fast are not stopped by accident.
 */
export class CallCounter {
  readonly #limits: CallCounts
  readonly #starts: Record<Window, number> = { second: 0, minute: 0, hour: 0, day: 0, month: 0 }
  readonly #made: Record<Window, number> = { second: 0, minute: 0, hour: 0, day: 0, month: 0 }
  #total = 0

  constructor(limits: CallCounts) {
    this.#limits = limits
  }

  /** Counts a call at a time in ms. */
  count(nowMillis: number): void {
    this.#roll(nowMillis)
    for (const name of NAMES) this.#made[name]++
    this.#total++
  }

  made(nowMillis: number): CallCounts & { readonly total_calls: number } {
    this.#roll(nowMillis)
    return { ...this.#made, total_calls: this.#total }
  }

  max(): CallCounts {
    return this.#limits
  }

  left(nowMillis: number): CallCounts {
    this.#roll(nowMillis)
    const left = { ...this.#made }
    for (const name of NAMES) left[name] = Math.max(0, this.#limits[name] - this.#made[name])
    return left
  }

  /** The headers that the service adds: what is left, and in how many seconds each window ends. */
  headers(nowMillis: number): Record<string, string> {
    const left = this.left(nowMillis)
    const list = (value: (name: Window) => number) =>
      [value('second'), ...NAMES.map((name) => `${value(name)};window=${WINDOWS[name]}`)].join(', ')
    return {
      'X-RateLimit-Remaining-All': list((name) => left[name]),
      'X-RateLimit-Reset-All': list((name) => this.#secondsLeft(name, nowMillis)),
    }
  }

  #secondsLeft(name: Window, nowMillis: number): number {
    return Math.max(0, Math.ceil(WINDOWS[name] - (nowMillis / 1000 - this.#starts[name])))
  }

  #roll(nowMillis: number): void {
    const seconds = Math.floor(nowMillis / 1000)
    for (const name of NAMES) {
      const start = seconds - (seconds % WINDOWS[name])
      if (start === this.#starts[name]) continue
      this.#starts[name] = start
      this.#made[name] = 0
    }
  }
}
