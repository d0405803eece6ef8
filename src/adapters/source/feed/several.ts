import { pause } from '../../../async/timers.ts'
import { type TapelineError, toTapelineError } from '../../../errors.ts'
import type { NextOptions, Source, SourceBatch, SourceHealth, SourceItem } from '../../../ports/source.ts'

/** How soon a source is asked again that cannot deliver, while the others are waited for. */
const ASK_AGAIN_MS = 200

/** Why the others are asked no longer. One for all: a reason that is made anew takes the stack along, with each batch. */
const ENOUGH = new DOMException('another source has something', 'AbortError')

/** What becomes of an item of a source; undefined where it is left out. */
type Scope = (source: Source, item: SourceItem) => SourceItem | undefined

/**
 * Pulls from several sources as from one. Each keeps a queue of its own: one that is away, stands still or sends too much costs the others
 * nothing. A pull fails only where none of them delivers.
 */
export class SeveralSources {
  readonly #sources: Source[]
  readonly #scope: Scope
  /** What was taken from sources and not pulled yet: an aborted pull leaves it here. */
  readonly #held: SourceItem[] = []
  /** Why sources do not deliver, as they answered last. */
  readonly #failures = new Map<Source, TapelineError>()
  #first = 0
  #isClosed = false

  constructor(sources: readonly Source[], scope: Scope) {
    this.#sources = [...sources]
    this.#scope = scope
  }

  get ended(): boolean {
    return this.#held.length === 0 && this.#sources.every(({ ended }) => ended)
  }

  /** One more, which the next pull asks too. */
  add(source: Source): void {
    this.#sources.push(source)
  }

  /** As `Source.next`. */
  async next({ maxItems, lingerMs, waitMs }: NextOptions, signal: AbortSignal): Promise<SourceBatch> {
    await this.#collect(maxItems, signal)
    const isMore = this.#held.length < maxItems
    if (isMore && this.#held.length > 0 && lingerMs > 0)
      await this.#wait(maxItems, lingerMs, lingerMs, signal)
    else if (this.#held.length === 0 && waitMs > 0 && this.#failures.size < this.#sources.length)
      await this.#wait(maxItems, lingerMs, waitMs, signal)
    signal.throwIfAborted()
    if (this.#held.length === 0 && this.#failures.size === this.#sources.length)
      throw [...this.#failures.values()][0]
    return { items: this.#held.splice(0, maxItems) }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#sources.map((source) => source.close()))
  }

  /** Takes what the sources have at present, each in turn, as far as there is room. */
  async #collect(maxItems: number, signal: AbortSignal): Promise<void> {
    for (const source of this.#inTurn()) {
      const room = maxItems - this.#held.length
      if (room <= 0) return
      await this.#ask(source, { maxItems: room, lingerMs: 0, waitMs: 0 }, signal)
    }
  }

  /** Waits until one of the sources has something, which it has gathered for the linger; then takes what the others have. */
  async #wait(maxItems: number, lingerMs: number, waitMs: number, signal: AbortSignal): Promise<void> {
    const enough = new AbortController()
    const stop = AbortSignal.any([signal, enough.signal])
    const end = performance.now() + waitMs
    const room = maxItems - this.#held.length
    const waitFor = async (source: Source): Promise<void> => {
      for (let left = waitMs; left > 0 && !stop.aborted && !this.#isClosed; left = end - performance.now()) {
        const count = await this.#ask(source, { maxItems: room, lingerMs, waitMs: left }, stop)
        if (count > 0) enough.abort(ENOUGH)
        if (!this.#failures.has(source)) return
        // One that fails answers at once, and may be back before the others have anything.
        await pause(Math.min(ASK_AGAIN_MS, left), stop)
      }
    }
    await Promise.all(this.#sources.map(waitFor))
    await this.#collect(maxItems, signal)
  }

  /** Asks one source, holds what it gives, and says how many items that are. What an aborted pull leaves stays with its source. */
  async #ask(source: Source, options: NextOptions, signal: AbortSignal): Promise<number> {
    try {
      const { items } = await source.next(options, signal)
      this.#failures.delete(source)
      const before = this.#held.length
      for (const item of items) {
        const scoped = this.#scope(source, item)
        if (scoped !== undefined) this.#held.push(scoped)
      }
      return this.#held.length - before
    } catch (error) {
      if (!signal.aborted) this.#failures.set(source, toTapelineError(error, 'SOURCE_UNAVAILABLE'))
      return 0
    }
  }

  /** Each is the first in its turn, so that none takes all the room of a batch for ever. */
  #inTurn(): readonly Source[] {
    const at = this.#first++ % this.#sources.length
    return [...this.#sources.slice(at), ...this.#sources.slice(0, at)]
  }
}

/** What several sources have counted together. */
export function sumOfCounters(all: readonly Pick<SourceHealth, 'counters'>[]): SourceHealth['counters'] {
  const sum = (counter: keyof SourceHealth['counters']) =>
    all.reduce((total, { counters }) => total + counters[counter], 0)
  return {
    frames: sum('frames'),
    malformed: sum('malformed'),
    duplicates: sum('duplicates'),
    outOfOrder: sum('outOfOrder'),
    reconnects: sum('reconnects'),
    conflated: sum('conflated'),
    dropped: sum('dropped'),
    bookDoubts: sum('bookDoubts'),
    bookResyncs: sum('bookResyncs'),
  }
}
