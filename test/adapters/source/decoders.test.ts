import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { SOURCES, type SourceName } from '../../../src/adapters/source/index.ts'
import { foldBook } from '../../../src/domain/book-levels.ts'
import type { Book } from '../../../src/domain/events.ts'
import type { SourceItem } from '../../../src/ports/source.ts'
import { SEED } from '../../seed.ts'
import { Decoded, type Decoder } from './decoded.ts'
import { DECODERS } from './decoders.ts'
import { decodedTrades, MUTATED, randomOf, spoiltFrames } from './mutated.ts'
import { openBooks } from './opened-books.ts'
import { until } from './waiting.ts'

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

/** Sends texts to a source, the lists of them on a connection each, and gives what it delivers of them. */
async function deliver(
  t: TestContext,
  { source: name, symbols, requests }: Decoder,
  connections: readonly (readonly string[])[],
) {
  const { service, source, all, pullUntil } = await openBooks(t, {
    ...{ kind: SOURCES[name as SourceName], symbols },
    // Later than every frame, and it stands still: no snapshot is due between them.
    opening: { channels: ['trade', 'quote', 'book'], now: () => 1_790_000_900_000_000 },
  })
  const counters = () => source.health().counters
  let sent = 0
  for (const [at, texts] of connections.entries()) {
    await until('there is a connection', () => service.upgrades.length > at && service.sockets.length === 1)
    await pullUntil('all is asked for', () => service.received.length >= requests)
    service.received.length = 0
    service.send(...texts)
    sent += texts.length
    await pullUntil('all is read', () => counters().frames >= sent && source.health().queue?.items === 0)
  }
  return { all, counters: counters() }
}

describe('what a source delivers is what an independent decoder reads', () => {
  for (const decoder of DECODERS)
    test(`${decoder.source} (seed ${SEED})`, async (t) => {
      const texts = decoder.frames(randomOf(SEED))
      const expected = new Decoded()
      for (const text of texts) decoder.read(text, expected)
      const { all, counters } = await deliver(t, decoder, [texts])
      const found = decodedOf(all)
      for (const what of ['trades', 'quotes', 'books'] as const)
        for (const symbol of decoder.symbols) {
          assert.ok((expected[what].get(symbol)?.length ?? 0) > 3, `${what} of ${symbol}`)
          assert.deepEqual(found[what].get(symbol), expected[what].get(symbol), `${what} of ${symbol}`)
        }
      assert.deepEqual([counters.malformed, counters.bookDoubts], [0, 0])
    })
})

describe(`${MUTATED} mutated frames`, () => {
  for (const decoder of DECODERS)
    test(`${decoder.source}: no trade but those that are in them, and each that is no JSON is counted (seed ${SEED})`, async (t) => {
      const { connections, check } = spoiltFrames(decoder, SEED)
      const { all, counters } = await deliver(t, decoder, connections)
      check(all, counters)
    })
})
