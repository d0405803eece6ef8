import { pause } from './timers.ts'

/** Holds to the distances in time of a recording, counted from the first time that it hears. Times are microseconds. */
export class RecordedPace {
  readonly #speed: number
  #clock: { readonly wall: number; readonly recorded: number } | undefined

  /** So many times as fast as it was recorded. */
  constructor(speed: number) {
    this.#speed = speed
  }

  /** Waits until a recorded time has come; ends early when the signal does. */
  async until(ts: number, signal: AbortSignal): Promise<void> {
    this.#clock ??= { wall: performance.now(), recorded: ts }
    const due = this.#clock.wall + (ts - this.#clock.recorded) / 1000 / this.#speed
    for (let wait = due - performance.now(); wait > 0; wait = due - performance.now()) {
      await pause(wait, signal)
      if (signal.aborted) return
    }
  }
}
