import { onAbort } from '../../../async/abort.ts'
import { startTimer, type Timer } from '../../../async/timers.ts'
import { marketKey, type Quote } from '../../../domain/events.ts'
import { TapelineError } from '../../../errors.ts'
import type { ConnectionChange, NextOptions, SourceItem } from '../../../ports/source.ts'

/** How many items a source holds while nobody pulls. */
export const QUEUE_CAPACITY = 200_000

/** Connection changes and status events are few and explain holes, so they may go this far beyond the capacity. */
const RESERVE = 1_000

/** With so much of the capacity taken only the latest quote of each market is held. */
const PRESSURE = 1 / 4

/** While the process is overloaded a quote waits so long for later ones of its market, which take its place. */
const HOLD_MS = 250

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
 * Where nobody pulls for long, quotes give way before trades do: under pressure a quote leaves when a later one of its market comes. At
 * its capacity it drops the newest and counts them; before the next item that it takes it puts a `hole`, so that the reader learns
 * where something is missing. A quote that is dropped is none: the next one says more. Books give way even before: they take no more than the
 * share of the capacity at which the pressure begins, and who keeps them gives a snapshot in place of what found no room.
 */
export class ArrivalQueue {
  readonly capacity: number
  readonly #hole: (dropped: number) => ConnectionChange
  /** Where a quote has left there is nothing. */
  #items: (SourceItem | undefined)[] = []
  #head = 0
  /** How many quotes have left from the head on. */
  #left = 0
  /** Under pressure: the index of each market's quote, counted from `-#shifted`. */
  #quotes: Map<string, number> | undefined
  #shifted = 0
  #conflated = 0
  /** When the oldest item that is held arrived, or one before it. */
  #waitingSince = 0
  /** While the process is overloaded: the last quote of each market that came since the last were let in. */
  #held: Map<string, SourceItem> | undefined
  #release: Timer | undefined
  #missing = 0
  #dropped = 0
  #failure: TapelineError | undefined
  #over = false
  #wake: (() => void) | undefined
  #wakeAt = 0
  #drained: { readonly below: number; readonly resolve: () => void } | undefined

  constructor(options: ArrivalQueueOptions) {
    this.capacity = options.capacity
    this.#hole = options.hole
  }

  get size(): number {
    return this.#items.length - this.#head - this.#left
  }

  /** How many items were dropped at the capacity since the start. */
  get dropped(): number {
    return this.#dropped
  }

  /** How many quotes gave way to a later one of their market. */
  get conflated(): number {
    return this.#conflated
  }

  /** Whether quotes are conflated although there is room: trades come through at once, quotes four times a second. */
  conflate(isWanted: boolean): void {
    if (isWanted && !this.#over) this.#held ??= new Map()
    else {
      this.#letIn()
      this.#held = undefined
    }
  }

  /** Gives whether there was room. */
  push(item: SourceItem): boolean {
    if (this.#held !== undefined) {
      if (item.channel === 'quote') {
        this.#hold(this.#held, item)
        return true
      }
      // What a change says of the quotes before it must come after them.
      if (item.channel === 'connection' || item.channel === 'status') this.#letIn()
    }
    return this.#add(item)
  }

  #hold(held: Map<string, SourceItem>, item: SourceItem & { readonly channel: 'quote' }): void {
    const key = marketKey(item.event)
    if (held.delete(key)) this.#conflated++
    held.set(key, item)
    this.#release ??= startTimer(() => this.#letIn(), HOLD_MS).unref()
  }

  #letIn(): void {
    this.#release?.stop()
    this.#release = undefined
    const items = [...(this.#held?.values() ?? [])]
    this.#held?.clear()
    for (const item of items) this.#add(item)
  }

  #add(item: SourceItem): boolean {
    if (item.channel === 'quote') this.#supersede(item.event)
    if (this.size >= this.#roomFor(item)) {
      if (item.channel !== 'quote' && item.channel !== 'book') this.#missing++
      this.#dropped++
      return false
    }
    if (this.size === 0) this.#waitingSince = performance.now()
    if (this.#missing > 0) {
      this.#items.push(this.#hole(this.#missing))
      this.#missing = 0
    }
    this.#items.push(item)
    if (item.channel === 'quote') this.#place(item.event, this.#items.length - 1)
    if (this.#wake && this.size >= this.#wakeAt) this.#wake()
    return true
  }

  /** Sets what `next` rejects with while the queue is empty; undefined when something delivers again. */
  fail(failure: TapelineError | undefined): void {
    this.#failure = failure
    if (failure && this.#wakeAt === 1) this.#wake?.()
  }

  /** Nothing more will come. What is held can still be pulled. */
  finish(): void {
    this.conflate(false)
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
    // A timer would wait for a millisecond at least.
    if (this.size === 0 && !this.#failure && options.waitMs > 0) await this.#until(1, options.waitMs, signal)
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
        this.#wake = undefined
      }
      const wake = () => {
        settle()
        off()
        resolve()
      }
      const timer = startTimer(wake, ms)
      this.#wakeAt = count
      this.#wake = wake
      const off = onAbort(signal, () => {
        settle()
        reject(signal.reason)
      })
    })
  }

  #roomFor({ channel }: SourceItem): number {
    if (channel === 'book') return this.capacity * PRESSURE
    return channel === 'connection' || channel === 'status' ? this.capacity + RESERVE : this.capacity
  }

  /** Under pressure the quote that a market has leaves. */
  #supersede(quote: Quote): void {
    if (this.#quotes === undefined && this.size >= this.capacity * PRESSURE) this.#conflate()
    const place = this.#quotes?.get(marketKey(quote))
    if (place === undefined || place - this.#shifted < this.#head) return
    this.#leave(place - this.#shifted)
    if (this.#left > this.size) this.#compact()
  }

  #leave(index: number): void {
    this.#items[index] = undefined
    this.#left++
    this.#conflated++
  }

  #place(quote: Quote, index: number): void {
    this.#quotes?.set(marketKey(quote), index + this.#shifted)
  }

  /** The pressure begins: of what is held only the last quote of each market stays. */
  #conflate(): void {
    const last = new Map<string, number>()
    for (let i = this.#head; i < this.#items.length; i++) {
      const item = this.#items[i]
      if (item?.channel !== 'quote') continue
      const key = marketKey(item.event)
      const before = last.get(key)
      if (before !== undefined) this.#leave(before)
      last.set(key, i)
    }
    this.#quotes = new Map()
    this.#compact()
  }

  /** Closes up where quotes have left. What is known of quotes that were pulled would mean others now. */
  #compact(): void {
    this.#quotes?.clear()
    this.#items = this.#items.slice(this.#head).filter((item) => item !== undefined)
    this.#head = 0
    this.#left = 0
    this.#shifted = 0
    this.#items.forEach((item, i) => {
      if (item?.channel === 'quote') this.#place(item.event, i)
    })
  }

  #take(max: number): readonly SourceItem[] {
    if (this.#left > 0) this.#compact()
    // Nothing has left of it.
    const batch = this.#takeFirst(max) as readonly SourceItem[]
    if (this.size < (this.capacity * PRESSURE) / 2) this.#quotes = undefined
    if (this.#drained && this.size < this.#drained.below) {
      this.#drained.resolve()
      this.#drained = undefined
    }
    return batch
  }

  #takeFirst(max: number): readonly (SourceItem | undefined)[] {
    if (this.#head === 0 && this.size <= max) {
      const all = this.#items
      this.#items = []
      return all
    }
    const batch = this.#items.slice(this.#head, this.#head + max)
    this.#head += batch.length
    if (this.#head === this.#items.length || (this.#head > COMPACT_FROM && this.#head > this.size)) {
      this.#items = this.#items.slice(this.#head)
      this.#shifted += this.#head
      this.#head = 0
    }
    return batch
  }
}
