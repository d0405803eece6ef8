import { NEVER } from '../async/abort.ts'
import { withDeadline } from '../async/deadline.ts'
import { formatPosition } from '../domain/record.ts'
import { TapelineError, toTapelineError } from '../errors.ts'
import type { Broker, StoredRecord } from '../ports/broker.ts'
import type { DeadLetter, DeadLetterFilter } from '../ports/dead-letters.ts'
import type { Log } from '../ports/log.ts'
import { decodeDeadLetter } from './dead-letter-records.ts'
import { readRanges } from './read-range.ts'
import { findTopic } from './topics.ts'

/** The most letters that are known, about 500 bytes each; at the bound the oldest are forgotten. */
const MOST_LETTERS = 50_000
const LONGEST_REASON = 200
/** How long one look at the topic may take. What was read by then is kept, and the next look goes on there. */
const REFRESH_MS = 10_000

/** A letter with its own offset in the topic. */
export interface IndexedLetter extends DeadLetter {
  readonly at: number
}

/** What is in the topic of dead letters, without the bytes: read on demand, each record once. */
export class DeadLetterIndex {
  readonly #broker: Broker
  readonly #topic: string
  readonly #log: Log
  /** By id, in the order of the topic. */
  readonly #letters = new Map<string, IndexedLetter>()
  #next = 0
  #refreshing: Promise<void> | undefined

  /** `topic`: where the letters are. */
  constructor(broker: Broker, topic: string, log: Log) {
    this.#broker = broker
    this.#topic = topic
    this.#log = log
  }

  /** Reads what has come since the last time. Raises BROKER_UNAVAILABLE, and TIMEOUT where there is more than 10 s worth. */
  refresh(): Promise<void> {
    this.#refreshing ??= withDeadline(NEVER, REFRESH_MS, (deadline) => this.#read(deadline))
      .catch((error: unknown) => {
        if (error instanceof TapelineError) throw error
        const message = `the dead letters up to ${this.#next} were read within ${REFRESH_MS / 1000} s`
        throw new TapelineError('TIMEOUT', message, {
          cause: error,
          remedy: 'Ask again: it goes on from there.',
        })
      })
      .finally(() => {
        this.#refreshing = undefined
      })
    return this.#refreshing
  }

  get(id: string): IndexedLetter | undefined {
    return this.#letters.get(id)
  }

  /** Those that fit, the oldest first. */
  matching({ topic, code, since, state }: DeadLetterFilter): IndexedLetter[] {
    return [...this.#letters.values()].filter(
      (letter) =>
        (topic === undefined || letter.topic === topic) &&
        (code === undefined || letter.code === code) &&
        (since === undefined || Date.parse(letter.refusedAt) >= since) &&
        (state === undefined || (state === 'replayed') === (letter.replayedAt !== null)),
    )
  }

  async #read(signal: AbortSignal): Promise<void> {
    const topic = await findTopic(this.#broker, this.#topic, signal)
    const range = topic?.offsets[0]
    if (range === undefined) return
    this.#forgetBefore(range.earliest)
    await readRanges(
      this.#broker,
      [
        {
          topic: this.#topic,
          partition: 0,
          offset: Math.max(this.#next, range.earliest),
          end: range.end,
        },
      ],
      ({ records, nextOffset }) => {
        for (const record of records) this.#take(record)
        this.#next = Math.min(nextOffset, range.end)
      },
      signal,
      (_topic, _partition, earliest) => this.#forgetBefore(earliest),
    )
  }

  #take(record: StoredRecord): void {
    try {
      const body = decodeDeadLetter(record)
      const id = formatPosition(body)
      const known = this.#letters.get(id)
      if ('replayedAt' in body) {
        if (known) this.#letters.set(id, { ...known, replayedAt: new Date(body.replayedAt).toISOString() })
        return
      }
      const { topic, partition, offset, code, reason, size, publishedAt } = body
      // A batch that was done again wrote the same letter again: the last one counts, also for the order.
      this.#letters.delete(id)
      this.#letters.set(id, {
        ...{ id, at: record.offset, topic, partition, offset, code, size },
        reason: reason.slice(0, LONGEST_REASON),
        publishedAt: new Date(publishedAt).toISOString(),
        refusedAt: new Date(record.timestamp).toISOString(),
        replayedAt: known?.replayedAt ?? null,
      })
      if (this.#letters.size > MOST_LETTERS) this.#letters.delete(this.#letters.keys().next().value ?? '')
    } catch (error) {
      const { code, message } = toTapelineError(error)
      this.#log.warn({ offset: record.offset, code, reason: message }, 'a dead letter is left out')
    }
  }

  #forgetBefore(earliest: number): void {
    for (const [id, { at }] of this.#letters) {
      if (at >= earliest) return
      this.#letters.delete(id)
    }
  }
}
