import { foldBook } from '../domain/book-levels.ts'
import { decodeEvent } from '../domain/event-codec.ts'
import { type Book, marketKey, shardOf } from '../domain/events.ts'
import { admit, emptyMemory } from '../domain/reader-rules.ts'
import { TapelineError } from '../errors.ts'
import type { BookNow, Books } from '../ports/books.ts'
import type { Broker } from '../ports/broker.ts'
import type { Market } from '../ports/source.ts'
import { readRanges } from './read-range.ts'
import { findTopic } from './topics.ts'

/** How far it looks back for a snapshot: a little at first, since a busy log has thousands of records a second. */
const LOOKS_MS = [15_000, 120_000, 1_800_000] as const
/** How far before that it reads, to learn whose records count there. */
const EPOCH_SLACK = 1_000

interface BookDeskParts {
  readonly broker: Broker
  /** The fixed topic of books. */
  readonly topic: string
  readonly partitions: number
  /** A market without a record for so long is told by nobody: snapshots come more often. Milliseconds. */
  readonly staleAfterMs: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

interface Found {
  readonly book: Book
  readonly offset: number
  /** When its record was published. */
  readonly at: number
}

/** Reads the books of markets from the log: the last snapshot, and what follows it. */
export function createBookDesk({ broker, topic, partitions, staleAfterMs, now }: BookDeskParts): Books {
  const look = async (market: string, partition: number, backMs: number, signal: AbortSignal) => {
    const bounds = (await findTopic(broker, topic, signal))?.offsets[partition]
    const from = await broker.offsetAt(topic, partition, now() - backMs, signal)
    const offset = Math.max(bounds?.earliest ?? 0, from - EPOCH_SLACK)
    const memory = emptyMemory()
    let found: Found | undefined
    await readRanges(
      broker,
      [{ topic, partition, offset, end: bounds?.end ?? 0 }],
      ({ records }) => {
        for (const { key, value, headers, offset: at, timestamp } of records) {
          if (!admit(memory, headers) || key !== market || value === null) continue
          const record = decodeEvent('book', value, headers.v)
          found = { book: foldBook(found?.book, record), offset: at, at: timestamp }
        }
      },
      signal,
    )
    return found as Found | undefined
  }

  return {
    async read(market: Market, signal: AbortSignal): Promise<BookNow> {
      const key = marketKey(market)
      const partition = shardOf(key, partitions)
      for (const backMs of LOOKS_MS) {
        const found = await look(key, partition, backMs, signal)
        if (found === undefined || found.book.doubt === 'unknown') continue
        const { book, offset, at } = found
        const age = now() - at
        if (book.doubt !== undefined) throw inDoubt(key, book.doubt)
        if (age > staleAfterMs) throw inDoubt(key, `nothing has told of it for ${Math.round(age / 1_000)} s`)
        return { book, position: { topic, partition, offset } }
      }
      throw new TapelineError('BOOK_UNKNOWN', `no book of ${key} stands in the log of the last half hour`)
    },
  }
}

function inDoubt(market: string, why: string): TapelineError {
  return new TapelineError('BOOK_IN_DOUBT', `the book of ${market} is in doubt: ${why}`)
}
