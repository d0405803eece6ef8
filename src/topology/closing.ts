import { whenAborted } from '../async/abort.ts'
import { deadlineAfter } from '../async/timers.ts'
import { toTapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'

/** How long one part may take to close, and all together (R19). */
const CLOSE_MS = 2_500
const TOTAL_MS = 9_000
/** What is kept back for each part that is still to close: the engines come last, and must not be left out. */
const LEAST_MS = 300

/** The order of closing: along the way of the data, then what stands under it. */
const ORDER = [
  'run file',
  'alert senders',
  'inspector',
  'gauges',
  'store jobs',
  'lag watch',
  'source',
  'producer',
  'consumer-fixed',
  'gateway',
  'coordinator',
  'control',
  'outage watch',
  'overload watch',
  'engines',
  'operations',
  'trace',
  'tracer',
] as const

type PartName = (typeof ORDER)[number]

/** What has been started and must be closed. */
export class StartedParts {
  readonly #log: Log
  #isClosing = false
  readonly #closings = new Map<PartName, (signal: AbortSignal) => Promise<void> | void>()

  constructor(log: Log) {
    this.#log = log
  }

  /** Whether the end has begun. */
  get isClosing(): boolean {
    return this.#isClosing
  }

  /** Takes note of a started part; its signal aborts when it has had its time. */
  add(name: PartName, close: (signal: AbortSignal) => Promise<void> | void): void {
    this.#closings.set(name, close)
  }

  /** Closes everything in order. A part that fails, or takes too long, is logged and does not keep the others. */
  async close(): Promise<void> {
    this.#isClosing = true
    const end = performance.now() + TOTAL_MS
    for (const name of ORDER) {
      const close = this.#closings.get(name)
      if (close === undefined) continue
      this.#closings.delete(name)
      const left = end - performance.now() - LEAST_MS * this.#closings.size
      await this.#closePart(name, close, Math.max(LEAST_MS, Math.min(CLOSE_MS, left)))
    }
  }

  async #closePart(
    name: PartName,
    close: (signal: AbortSignal) => Promise<void> | void,
    withinMs: number,
  ): Promise<void> {
    const deadline = deadlineAfter(withinMs)
    try {
      await Promise.race([close(deadline), whenAborted(deadline)])
      if (deadline.aborted) this.#log.warn({ part: name }, 'did not close in time')
    } catch (error) {
      this.#log.warn({ part: name, code: toTapelineError(error).code }, 'did not close cleanly')
    }
  }
}
