import { startTimer, type Timer } from '../../../async/timers.ts'
import type { TradeSequences } from './trade-sequence.ts'

/** How soon what waits for late trades is looked at again while nothing arrives. */
const WAKE_MS = 1_000

/** Passes on in time what waits in sequences of trades, also while nothing arrives. */
export class SequenceClock {
  readonly #sequences: TradeSequences
  readonly #now: () => number
  #timer: Timer | undefined

  /** `now`: microseconds since the epoch. */
  constructor(sequences: TradeSequences, now: () => number) {
    this.#sequences = sequences
    this.#now = now
  }

  /** Something arrived at `now`. */
  elapse(now: number): void {
    this.#sequences.elapse(now)
    if (!this.#sequences.isWaiting || this.#timer !== undefined) return
    this.#timer = startTimer(() => {
      this.#timer = undefined
      this.elapse(this.#now())
    }, WAKE_MS).unref()
  }

  stop(): void {
    this.#timer?.stop()
    this.#timer = undefined
  }
}
