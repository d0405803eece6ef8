import { foldBook, inDoubt } from '../../domain/book-levels.ts'
import { encodeEvent } from '../../domain/event-codec.ts'
import type { Book } from '../../domain/events.ts'
import type { PublishedRecord } from './tail.ts'

/** So many records of a market are kept one by one; what is older is in its book. */
const LONGEST_TRAIL = 256

/** What the log says of one market's book: as it was at a place, and the records since. */
interface Trail {
  readonly exchange: string
  readonly symbol: string
  book: Book | undefined
  /** Where it was so. */
  offset: number
  records: PublishedRecord[]
}

/**
 * The books of a shard's markets as they were at any of the last places of the log, so that a stream begins with a snapshot of exactly the place where
 * it begins, and goes on with the changes after it (R30).
 */
export class BookTrails {
  readonly #trails = new Map<string, Trail>()
  #doubts: readonly Book[] = []

  take(record: PublishedRecord): void {
    const { market, event } = record
    const { snapshot: isWhole, exchange, symbol } = event as Book
    const trail = this.#trails.get(market)
    if (trail === undefined) {
      this.#trails.set(market, { exchange, symbol, book: undefined, offset: -1, records: [record] })
      return
    }
    trail.records.push(record)
    // What lies before a snapshot is asked for only by who begins before it.
    if (trail.records.length > (isWhole ? LONGEST_TRAIL / 2 : LONGEST_TRAIL))
      shorten(trail, trail.records.length >> 1)
  }

  /**
   * What the books of some markets were in front of a place: a snapshot, or that it was in doubt; nothing of one that nobody knows there.
   */
  before(offset: number, wants: (exchange: string, symbol: string) => boolean): PublishedRecord[] {
    return [...this.#trails].flatMap(([market, { exchange, symbol, book, offset: since, records }]) => {
      if (since >= offset || !wants(exchange, symbol)) return []
      const count = records.findLastIndex((record) => record.offset < offset) + 1
      const event = bookAfter(book, records.slice(0, count))
      if (event === undefined || event.doubt === 'unknown') return []
      return [{ offset: records[count - 1]?.offset ?? since, market, event, value: encodeEvent(event) }]
    })
  }

  /** Nobody has seen how the books changed of late: readers have to hear of it before they get more. */
  doubtAll(): void {
    this.#doubts = this.before(Number.POSITIVE_INFINITY, () => true)
      .map(({ event }) => event as Book)
      .filter(({ doubt }) => doubt === undefined)
      .map((book) => inDoubt({ ...book, seq: book.seq + 1 }, 'restart'))
  }

  /** The doubts that are to be published, once. */
  takeDoubts(): readonly Book[] {
    const doubts = this.#doubts
    this.#doubts = []
    return doubts
  }

  forget(market: string): void {
    this.#trails.delete(market)
  }
}

function bookAfter(book: Book | undefined, records: readonly PublishedRecord[]): Book | undefined {
  return records.reduce<Book | undefined>((known, { event }) => foldBook(known, event as Book), book)
}

function shorten(trail: Trail, count: number): void {
  const gone = trail.records.splice(0, count)
  trail.book = bookAfter(trail.book, gone)
  trail.offset = gone.at(-1)?.offset ?? trail.offset
}
