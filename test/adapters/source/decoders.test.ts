import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { SOURCES, type SourceName } from '../../../src/adapters/source/index.ts'
import { foldBook } from '../../../src/domain/book-levels.ts'
import type { Book } from '../../../src/domain/events.ts'
import type { SourceItem } from '../../../src/ports/source.ts'
import { SEED } from '../../seed.ts'
import { DECODERS, Decoded, type Decoder } from './decoders.ts'
import { openBooks } from './opened-books.ts'
import { until } from './waiting.ts'

/** The same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** The trades that a source has delivered, in the form of the decoders. */
function decodedTrades(items: readonly SourceItem[]): Decoded {
  const into = new Decoded()
  for (const item of items) {
    if (item.channel !== 'trade') continue
    const { symbol, id, side, price, size, ts } = item.event
    into.trade(symbol, id, side, price, size, ts)
  }
  return into
}

/** All that a source has delivered, in the form of the decoders. */
function decodedOf(items: readonly SourceItem[]): Decoded {
  const into = decodedTrades(items)
  const books = new Map<string, Book>()
  for (const item of items) {
    if (item.channel === 'quote') {
      const { symbol, bid = null, bidSize = null, ask = null, askSize = null } = item.event
      into.quote(symbol, bid, bidSize, ask, askSize)
    } else if (item.channel === 'book') {
      const { symbol } = item.event
      const book = foldBook(books.get(symbol), item.event)
      assert.equal(book.doubt, undefined)
      books.set(symbol, book)
      const levels = into.of(symbol)
      levels.bids = new Map(book.bids)
      levels.asks = new Map(book.asks)
      into.shown(symbol)
    }
  }
  return into
}

/** Sends texts to a source of an exchange, and gives what it delivers of them. */
async function deliver(t: TestContext, { exchange, symbols }: Decoder, texts: readonly string[]) {
  const { service, source, all, pullUntil } = await openBooks(t, {
    ...{ kind: SOURCES[exchange as SourceName], symbols },
    // Later than every frame, and it stands still: no snapshot is due between them.
    opening: { channels: ['trade', 'quote', 'book'], now: () => 1_790_000_900_000_000 },
  })
  const requests = exchange === 'bitfinex' ? 5 : 1
  await until('all is asked for', () => service.received.length >= requests)
  service.send(...texts)
  const counters = () => source.health().counters
  await pullUntil(
    'all is read',
    () => counters().frames >= texts.length && source.health().queue?.items === 0,
  )
  return { all, counters: counters() }
}

describe('what a source delivers is what an independent decoder reads', () => {
  for (const decoder of DECODERS)
    test(`${decoder.exchange} (seed ${SEED})`, async (t) => {
      const texts = decoder.frames(randomOf(SEED))
      const expected = new Decoded()
      for (const text of texts) decoder.read(text, expected)
      const { all, counters } = await deliver(t, decoder, texts)
      const found = decodedOf(all)
      for (const what of ['trades', 'quotes', 'books'] as const)
        for (const symbol of decoder.symbols) {
          assert.ok((expected[what].get(symbol)?.length ?? 0) > 3, `${what} of ${symbol}`)
          assert.deepEqual(found[what].get(symbol), expected[what].get(symbol), `${what} of ${symbol}`)
        }
      assert.deepEqual([counters.malformed, counters.bookDoubts], [0, 0])
    })
})

const CHARACTERS = '0123456789-+.eE"{}[],:x \\u'

/** The text with one character replaced, left out or put in. */
function mutated(text: string, random: () => number): string {
  const at = Math.floor(random() * text.length)
  const [gone, put] = [Math.floor(random() * 2), random() < 0.8]
  const character = CHARACTERS[Math.floor(random() * CHARACTERS.length)] ?? ''
  return text.slice(0, at) + (put || gone === 0 ? character : '') + text.slice(at + gone)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const MUTATED = 10_000

describe(`${MUTATED} mutated frames`, () => {
  for (const decoder of DECODERS)
    test(`${decoder.exchange}: no trade but those that are in them, and each that is no JSON is counted (seed ${SEED})`, async (t) => {
      const random = randomOf(SEED)
      const texts = decoder.frames(random)
      const data = texts.filter((text) => !text.includes('event'))
      const spoilt = Array.from({ length: MUTATED }, () =>
        mutated(data[Math.floor(random() * data.length)] ?? '', random),
      )
      const possible = new Decoded()
      for (const text of [...texts, ...spoilt])
        try {
          decoder.read(text, possible)
        } catch {
          // Nothing can be read in it: no row of it may come.
        }
      const { all, counters } = await deliver(t, decoder, [...texts, ...spoilt])
      const found = decodedTrades(all)
      for (const symbol of decoder.symbols) {
        const rows = new Set(possible.trades.get(symbol))
        const wrong = (found.trades.get(symbol) ?? []).filter((row) => !rows.has(row))
        assert.deepEqual(wrong, [])
        assert.ok((found.trades.get(symbol)?.length ?? 0) > 100)
      }
      const broken = spoilt.filter((text) => !isJson(text)).length
      assert.ok(broken > MUTATED / 10)
      assert.ok(counters.malformed >= broken, `${counters.malformed} of ${broken} are counted`)
    })
})
