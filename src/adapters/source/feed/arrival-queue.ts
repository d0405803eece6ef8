import { startTimer } from '../../../async/timers.ts'
import { TapelineError } from '../../../errors.ts'
import type { ConnectionChange, NextOptions, SourceItem } from '../../../ports/source.ts'

/** How many items a source holds while nobody pulls. */
export const QUEUE_CAPACITY = 200_000

/** Connection changes and status events are few and explain holes, so they may go this far beyond the capacity. */
const RESERVE = 1_000

/** Below this an already read part of the buffer is not worth moving. */
const COMPACT_FROM = 4_096

interface ArrivalQueueOptions {
  readonly capacity: number
  /** Makes the item that stands where `dropped` items were dropped. */
  readonly hole: (dropped: number) => ConnectionChange
}

/**
 * What has arrived and was not pulled yet, in order of arrival.
 *
 * At its capacity it drops the newest and counts them; before the next item that it takes it puts a `hole`, so that the
 * reader learns where something is missing.
 */
export class ArrivalQueue {
  readonly #capacity: number
  readonly #hole: (dropped: number) => ConnectionChange
  #items: SourceItem[] = []
  #head = 0
  /** When the oldest item that is held arrived, or one before it. */
  #waitingSince = 0
  #missing = 0
  #dropped = 0
  #failure: TapelineError | undefined
  #over = false
  #wake: (() => void) | undefined
  #wakeAt = 0
  #drained: { readonly below: number; readonly resolve: () => void } | undefined

  constructor(options: ArrivalQueueOptions) {
    this.#capacity = options.capacity
    this.#hole = options.hole
  }

  get size(): number {
    return this.#items.length - this.#head
  }

  /** How many items were dropped at the capacity since the start. */
  get dropped(): number {
    return this.#dropped
  }

  push(item: SourceItem): void {
    const explains = item.channel === 'connection' || item.channel === 'status'
    if (this.size >= (explains ? this.#capacity + RESERVE : this.#capacity)) {
      this.#missing++
      this.#dropped++
      return
    }
    if (this.size === 0) this.#waitingSince = performance.now()
    if (this.#missing > 0) {
      this.#items.push(this.#hole(this.#missing))
      this.#missing = 0
    }
    this.#items.push(item)
    if (this.#wake && this.size >= this.#wakeAt) this.#wake()
  }

  /** Sets what `next` rejects with while the queue is empty; undefined when something delivers again. */
  fail(failure: TapelineError | undefined): void {
    this.#failure = failure
    if (failure && this.#wakeAt === 1) this.#wake?.()
  }

  /** Nothing more will come. What is held can still be pulled. */
  finish(): void {
    this.#over = true
    this.#wake?.()
    this.#drained?.resolve()
  }

  /** Whether nothing more will come and everything was pulled. */
  get finished(): boolean {
    return this.#over && this.size === 0
  }

  /**
   * The next items, as `Source.next` promises. Rejects with the signal's reason when it is aborted: nothing is lost then.
   * A finished queue still waits `waitMs` before it gives an empty batch, so that no caller spins on it.
   */
  async next(options: NextOptions, signal: AbortSignal): Promise<readonly SourceItem[]> {
    signal.throwIfAborted()
    if (this.#wake) throw new TapelineError('INTERNAL', 'next() was called before the last call settled')
    if (this.size === 0 && !this.#failure) await this.#until(1, options.waitMs, signal)
    if (this.size === 0) {
      if (this.#failure) throw this.#failure
      return []
    }
    // What has waited while the caller was busy has gathered already.
    const lingerMs = options.lingerMs - (performance.now() - this.#waitingSince)
    if (this.size < options.maxItems && lingerMs > 0 && !this.#over) {
      await this.#until(options.maxItems, lingerMs, signal)
    }
    return this.#take(options.maxItems)
  }

  /** Resolves when fewer than `below` items are held: the back-pressure of a source that can wait. */
  drained(below: number): Promise<void> {
    if (this.size < below || this.#over) return Promise.resolve()
    return new Promise((resolve) => {
      this.#drained = { below, resolve }
    })
  }

  /** Resolves when `count` items are held, something failed or ended, or `ms` have passed. */
  #until(count: number, ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        timer.stop()
        signal.removeEventListener('abort', abort)
        this.#wake = undefined
      }
      const wake = () => {
        settle()
        resolve()
      }
      const abort = () => {
        settle()
        reject(signal.reason)
      }
      const timer = startTimer(wake, ms)
      signal.addEventListener('abort', abort, { once: true })
      this.#wakeAt = count
      this.#wake = wake
    })
  }

  #take(max: number): readonly SourceItem[] {
    const batch = this.#head === 0 && this.size <= max ? this.#items : this.#slice(max)
    if (batch === this.#items) this.#items = []
    if (this.#drained && this.size < this.#drained.below) {
      this.#drained.resolve()
      this.#drained = undefined
    }
    return batch
  }

  #slice(max: number): SourceItem[] {
    const batch = this.#items.slice(this.#head, this.#head + max)
    this.#head += batch.length
    if (this.#head === this.#items.length || (this.#head > COMPACT_FROM && this.#head > this.size)) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return batch
  }
}
