/**
 * The two clocks of the simulator. Virtual time paces the walk: milliseconds since it began, from the monotonic clock, so that
 * a change of the system's time neither stops nor hurries it. Wall time stamps what is sent: microseconds since the epoch.
 */
export class WalkClock {
  readonly #wallMillis: () => number
  #origin = performance.now()
  /** Wall time of virtual time zero, in microseconds: kept, since two clocks read anew never agree to the millisecond. */
  #wallOrigin: number
  #begun = false

  /** `now` gives milliseconds since the epoch. */
  constructor(now: () => number) {
    this.#wallMillis = now
    this.#wallOrigin = this.wall
  }

  /** Virtual time zero is the first call; before it, the construction. */
  begin(): void {
    if (this.#begun) return
    this.#begun = true
    this.#origin = performance.now()
    this.#wallOrigin = this.wall
  }

  /** Virtual milliseconds. */
  get virtual(): number {
    return performance.now() - this.#origin
  }

  /** Microseconds since the epoch. */
  get wall(): number {
    return Math.floor(this.#wallMillis() * 1000)
  }

  /** Virtual milliseconds at a wall time in microseconds. */
  virtualAt(wallMicros: number): number {
    return (wallMicros - this.#wallOrigin) / 1000
  }

  /** Takes time out of the walk: what could not be emitted in time is not made up for. */
  lose(millis: number): void {
    this.#origin += millis
    this.#wallOrigin += millis * 1000
  }
}
