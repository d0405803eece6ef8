import assert from 'node:assert/strict'
import { foldBook } from '../../../src/domain/book-levels.ts'
import type { Book } from '../../../src/domain/events.ts'
import type { SourceItem } from '../../../src/ports/source.ts'
import { eventsOf } from './waiting.ts'

/** What a reader has of the books of some records, market by market; fails where it has one that cannot be. */
export class BookReader {
  readonly #books = new Map<string, Book>()
  /** Every doubt, with the symbol of its market. */
  readonly doubts: string[] = []

  take(items: readonly SourceItem[]): void {
    for (const record of eventsOf(items, 'book')) {
      const book = foldBook(this.#books.get(record.symbol), record)
      this.#books.set(record.symbol, book)
      if (record.doubt !== undefined) this.doubts.push(`${record.symbol} ${record.doubt}`)
      else assert.equal(book.doubt, undefined, `readers doubt ${JSON.stringify(record)}`)
      assertPossible(book)
    }
  }

  of(symbol: string): Book | undefined {
    return this.#books.get(symbol)
  }

  isValid(symbol: string): boolean {
    const book = this.of(symbol)
    return book !== undefined && book.doubt === undefined
  }
}

/** A valid book is sorted and not crossed, and has no level without a size. */
function assertPossible({ bids, asks, doubt }: Book): void {
  if (doubt !== undefined) return
  const prices = [...bids.toReversed(), ...asks].map(([price]) => price)
  assert.deepEqual(
    prices,
    prices.toSorted((a, b) => a - b),
    'crossed or unsorted',
  )
  assert.equal(new Set(prices).size, prices.length)
  for (const [price, size] of [...bids, ...asks]) assert.ok(price > 0 && size > 0)
}
