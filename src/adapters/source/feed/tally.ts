import type { Log } from '../../../ports/log.ts'
import type { SourceHealth } from '../../../ports/source.ts'

const SAMPLE_BYTES = 200
const LOG_EVERY_US = 60_000_000

type Counters = { -readonly [K in keyof SourceHealth['counters']]: number }

/** Counts what a source sees, and shows a sample of what it could not read, at most once a minute. */
export class Tally {
  readonly counters: Counters = {
    frames: 0,
    malformed: 0,
    duplicates: 0,
    outOfOrder: 0,
    reconnects: 0,
    dropped: 0,
  }
  readonly #log: Log
  #loggedAt = Number.NEGATIVE_INFINITY

  constructor(log: Log) {
    this.#log = log
  }

  /** Counts a frame that is not of the protocol. `at`: microseconds; `redact` takes secrets out of the sample. */
  malformed(frame: Uint8Array, at: number, redact: (text: string) => string): void {
    this.counters.malformed++
    if (at - this.#loggedAt < LOG_EVERY_US) return
    this.#loggedAt = at
    // A secret that the cut would split could not be recognised: redact first, on a little more than is shown.
    const text = redact(Buffer.from(frame.subarray(0, SAMPLE_BYTES * 10)).toString())
    this.#log.warn(
      { code: 'SOURCE_MALFORMED', malformed: this.counters.malformed, sample: text.slice(0, SAMPLE_BYTES) },
      'left out a frame that cannot be read; further ones are counted and shown once a minute',
    )
  }
}
