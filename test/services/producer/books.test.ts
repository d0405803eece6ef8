import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { findTopic } from '../../../src/control/topics.ts'
import { foldBook } from '../../../src/domain/book-levels.ts'
import { decodeEvent } from '../../../src/domain/event-codec.ts'
import type { Book } from '../../../src/domain/events.ts'
import type { Broker, StoredRecord } from '../../../src/ports/broker.ts'
import { readToEnd } from '../../contract/broker-fixtures.ts'
import { NAMES } from '../../names.ts'
import { SEED } from '../../seed.ts'
import { NEVER, setUp } from './one-shard.ts'

const SYMBOLS = ['A-A', 'B-B']
const START = 1_790_000_000_000_000

/** Records of books that follow each other, at random: snapshots, changes and doubts of two markets. */
class Recorder {
  #state = SEED >>> 0
  readonly #seqs = new Map<string, number>()
  #ts = START

  random(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    return this.#state / 2 ** 32
  }

  /** `kind`: at random where it is left out. */
  next(symbol = SYMBOLS[Math.floor(this.random() * 2)] as string, kind = this.#kind(symbol)): Book {
    const seq = (this.#seqs.get(symbol) ?? 0) + 1
    this.#seqs.set(symbol, seq)
    this.#ts += 10_000
    const common = { exchange: 'x', symbol, seq, ts: this.#ts, recvTs: this.#ts }
    const level = (first: number) =>
      [first + Math.floor(this.random() * 9), Math.floor(this.random() * 4)] as const
    if (kind === 'doubt') return { ...common, snapshot: false, bids: [], asks: [], doubt: 'checksum' }
    if (kind === 'change') return { ...common, snapshot: false, bids: [level(100)], asks: [level(200)] }
    const size = 1 + Math.floor(this.random() * 3)
    return {
      ...common,
      snapshot: true,
      bids: [
        [105, size],
        [104, 1],
      ],
      asks: [[201, size]],
    }
  }

  #kind(symbol: string): 'snapshot' | 'change' | 'doubt' {
    if (!this.#seqs.has(symbol)) return 'snapshot'
    const chance = this.random()
    return chance < 0.05 ? 'snapshot' : chance < 0.08 ? 'doubt' : 'change'
  }
}

const batchOf = (books: readonly Book[]) => ({
  items: books.map((event) => ({ channel: 'book' as const, event })),
})

const levelsOf = (book: Book | undefined) => book && [book.bids, book.asks, book.doubt]

async function recordsOf(broker: Broker, topic: string): Promise<readonly StoredRecord[]> {
  const all = await readToEnd(broker, topic)
  return all.filter(({ value, headers }) => value !== null && headers.kind === 'event')
}

/** The book of each market after each record of the fixed topic. */
async function booksOfLog(broker: Broker): Promise<ReadonlyMap<number, Book>> {
  const books = new Map<string, Book>()
  const at = new Map<number, Book>()
  for (const { offset, value, headers } of await recordsOf(broker, NAMES.fixed.book)) {
    const record = decodeEvent('book', value as Uint8Array, headers.v)
    const book = foldBook(books.get(record.symbol), record)
    books.set(record.symbol, book)
    at.set(offset, book)
  }
  return at
}

/** A stream holds the book of the log at each of its records, from its first one of a market on. */
async function assertStream(broker: Broker, topic: string): Promise<number> {
  const log = await booksOfLog(broker)
  const books = new Map<string, Book>()
  const records = await recordsOf(broker, topic)
  let last = -1
  for (const { value, headers } of records) {
    const record = decodeEvent('book', value as Uint8Array, headers.v)
    const { offset = -1 } = headers.position ?? {}
    assert.ok(offset > last, 'a position that does not rise')
    last = offset
    const book = foldBook(books.get(record.symbol), record)
    books.set(record.symbol, book)
    assert.deepEqual(levelsOf(book), levelsOf(log.get(offset)), `at ${offset}`)
  }
  return records.length
}

const endOfBooks = async (broker: Broker) =>
  (await findTopic(broker, NAMES.fixed.book, NEVER))?.offsets[0]?.end ?? 0

describe(`streams of books (seed ${SEED})`, () => {
  test('begin with a snapshot of the place where they begin, and go on with every change', async (t) => {
    const { broker, services, announce, derive } = await setUp(t)
    const recorder = new Recorder()
    for (let round = 0; round < 12; round++) {
      const before = Array.from({ length: 30 }, () => recorder.next())
      await services.publishFixed(batchOf(before), NEVER)
      const start = await endOfBooks(broker)
      // More comes before the producer hears of the stream.
      await services.publishFixed(batchOf(Array.from({ length: 10 }, () => recorder.next())), NEVER)
      await announce(`app.${round}`, round % 2 ? ['*'] : ['A-*'], start, 'book')
      await derive()
    }
    for (let round = 0; round < 12; round++) {
      const count = await assertStream(broker, `app.${round}`)
      assert.ok(count > 0)
      const [first] = await recordsOf(broker, `app.${round}`)
      const record = decodeEvent('book', first?.value as Uint8Array, 1)
      assert.ok(record.snapshot || record.doubt !== undefined, 'begins with a change')
    }
  })

  test('go on after a crash', async (t) => {
    const broker = await openEmbeddedBroker({ folder: ':memory:' })
    const recorder = new Recorder()
    const first = await setUp(t, broker)
    await first.services.publishFixed(batchOf([recorder.next('A-A'), recorder.next('B-B')]), NEVER)
    const start = await endOfBooks(broker)
    await first.services.publishFixed(batchOf(Array.from({ length: 20 }, () => recorder.next())), NEVER)
    await first.announce('app.all', ['*'], start, 'book')
    await first.announce('app.levels', ['*'], start, 'book', { every: '50ms', lateness: '0ms', depth: 1 })
    await first.derive()
    await first.services.publishFixed(batchOf(Array.from({ length: 20 }, () => recorder.next())), NEVER)
    await first.services.publishFixed(batchOf([recorder.next('A-A', 'snapshot')]), NEVER)
    await first.crash()
    const second = await setUp(t, broker)
    await second.services.publishFixed(batchOf([recorder.next('A-A', 'change')]), NEVER)
    const doubts = [...(await booksOfLog(broker)).values()].filter(({ doubt }) => doubt === 'restart')
    assert.ok(doubts.length > 0, 'nobody hears that the producer was away')
    await second.services.publishFixed(batchOf(Array.from({ length: 20 }, () => recorder.next())), NEVER)
    await second.derive()
    await assertStream(broker, 'app.all')
    await assertLevels(broker, 'app.levels')
  })
})

/** Levels are those of the book of the log after one of its records, and each market's follow each other. */
async function assertLevels(broker: Broker, topic: string): Promise<void> {
  const log = new Map(
    [...(await booksOfLog(broker)).values()].map((book) => [`${book.symbol} ${book.seq}`, book]),
  )
  const records = await recordsOf(broker, topic)
  const given = records.map(({ value }) => decodeEvent('book', value as Uint8Array, 1))
  assert.ok(given.length > 4)
  const seqs = new Map<string, number>()
  for (const { symbol, seq, bids, asks, doubt } of given) {
    const expected = log.get(`${symbol} ${seq}`)
    assert.deepEqual(
      [bids, asks, doubt],
      [expected?.bids.slice(0, 1), expected?.asks.slice(0, 1), expected?.doubt],
      `${symbol} ${seq}`,
    )
    assert.ok(seq > (seqs.get(symbol) ?? 0), 'levels twice')
    seqs.set(symbol, seq)
  }
}

describe('streams of levels', () => {
  test('give the best levels of each period, from the first period on', async (t) => {
    const { broker, services, announce, derive } = await setUp(t)
    const recorder = new Recorder()
    await services.publishFixed(batchOf([recorder.next('A-A'), recorder.next('B-B')]), NEVER)
    await services.publishFixed(batchOf(Array.from({ length: 20 }, () => recorder.next())), NEVER)
    const start = await endOfBooks(broker)
    await services.publishFixed(batchOf(Array.from({ length: 20 }, () => recorder.next())), NEVER)
    await announce('app.levels', ['*'], start, 'book', { every: '50ms', lateness: '0ms', depth: 1 })
    await derive()
    await services.publishFixed(batchOf(Array.from({ length: 60 }, () => recorder.next())), NEVER)
    await derive()
    await assertLevels(broker, 'app.levels')
  })
})
