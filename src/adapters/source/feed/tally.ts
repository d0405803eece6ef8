import type { Log } from '../../../ports/log.ts'
import type { SourceHealth } from '../../../ports/source.ts'

const SAMPLE_BYTES = 200
const LOG_EVERY_MS = 60_000

/** Why something that a source sent is left out: it is not of the protocol, or its time cannot be (R28). */
export type Fault = 'malformed' | 'mistimed'

const WORDS: Readonly<Record<Fault, string>> = {
  malformed: 'left out a frame that cannot be read',
  mistimed:
    "left out an event whose time cannot be: before 2009, too far after its arrival by this machine's clock, or no start of a candle",
}

const WORDS_OF_PAST: Readonly<Record<Fault, string>> = {
  malformed: 'left out a past trade that cannot be read',
  mistimed: 'left out a past trade whose time cannot be',
}

type Counters = { -readonly [K in keyof SourceHealth['counters']]: number }

/** Counts what a source sees, and shows a sample of what it left out, at most once a minute a kind. */
export class Tally {
  readonly counters: Counters = {
    frames: 0,
    malformed: 0,
    duplicates: 0,
    outOfOrder: 0,
    reconnects: 0,
    conflated: 0,
    dropped: 0,
    bookDoubts: 0,
    bookResyncs: 0,
  }
  readonly #log: Log
  readonly #redact: (text: string) => string
  /** By what is said. */
  readonly #loggedAt = new Map<string, number>()

  /** `redact` takes secrets out of a sample. */
  constructor(log: Log, redact: (text: string) => string) {
    this.#log = log
    this.#redact = redact
  }

  /** Counts a frame, or an event of one, that is left out, and shows it. */
  leftOut(frame: Uint8Array, fault: Fault): void {
    // A secret that the cut would split could not be recognised: redact first, on a little more than is shown.
    this.#leftOut(WORDS[fault], () => Buffer.from(frame.subarray(0, SAMPLE_BYTES * 10)).toString())
  }

  /** The same of a row that REST gave of the past. */
  leftOutOfPast(row: unknown, fault: Fault): void {
    this.#leftOut(WORDS_OF_PAST[fault], () => (JSON.stringify(row) ?? '').slice(0, SAMPLE_BYTES * 10))
  }

  #leftOut(words: string, show: () => string): void {
    this.counters.malformed++
    const now = performance.now()
    if (now - (this.#loggedAt.get(words) ?? Number.NEGATIVE_INFINITY) < LOG_EVERY_MS) return
    this.#loggedAt.set(words, now)
    const sample = this.#redact(show()).slice(0, SAMPLE_BYTES)
    this.#log.warn(
      { code: 'SOURCE_MALFORMED', malformed: this.counters.malformed, sample },
      `${words}; further ones are counted and shown once a minute`,
    )
  }
}
