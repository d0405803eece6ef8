import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { ToldBook, ToldLevel, ToldLevels } from '../../../src/simulator/exchanges/dialect.ts'
import { SEED } from '../../seed.ts'
import {
  BOOK_EXCHANGES,
  type BookExchange,
  bookOf,
  DEPTH,
  FAULTS,
  type Fault,
  stateOf,
  type TrueBook,
  toldOf,
} from './book-exchange.ts'
import { BookReader } from './books.ts'
import { SPEAKERS } from './exchanges.ts'
import { openOn } from './opened.ts'
import { openBooks } from './opened-books.ts'
import { survive } from './random-frames.ts'
import { Service, sendFrame } from './service.ts'
import { nowMicros, until } from './waiting.ts'

/** The same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** So many changes after the one with the fault leave its levels alone: else they would mend it by chance. */
const CALM = 2

const pricesOf = ({ bids, asks }: ToldLevels) => [...bids, ...asks].map(([price]) => price)

/** Where a fault can be: a change that sets a level, and whose levels the next ones leave alone; -1 where there is none. */
function placeOf(told: readonly ToldBook[]): number {
  return told.findIndex(({ levels }, at) => {
    const after = told.slice(at + 1, at + 1 + CALM)
    const prices = new Set(pricesOf(levels))
    const [[, size] = [0, 0]] = levels.bids.length > 0 ? levels.bids : levels.asks
    const isCalm = after.every((next) => pricesOf(next.levels).every((price) => !prices.has(price)))
    return at > 0 && size > 0 && after.length === CALM && isCalm
  })
}

/** Some changes of a book, one of which can have a fault. */
function changesOf(book: TrueBook): readonly ToldBook[] {
  const told: ToldBook[] = []
  while (told.length < 12 || placeOf(told) < 0) told.push(toldOf(book, book.change()))
  return told
}

/** What becomes of a level, whose price is near 1,000. `sign`: 1 for a bid. */
const SPOILT: Readonly<Partial<Record<Fault, (level: ToldLevel, sign: 1 | -1) => ToldLevel>>> = {
  size: ([price, size]) => [price, size + 1],
  price: ([price, size], sign) => [price - 20 * sign, size],
  crossing: ([price, size], sign) => [price + 900 * sign, size],
  negative: ([price, size]) => [price, -size],
}

function spoilt({ bids, asks }: ToldLevels, fault: Fault): ToldLevels {
  const spoil = SPOILT[fault]
  if (spoil === undefined) return { bids, asks }
  const first = (levels: readonly ToldLevel[], sign: 1 | -1) =>
    levels.map((level, i) => (i === 0 ? spoil(level, sign) : level))
  return bids.length > 0 ? { bids: first(bids, 1), asks } : { bids, asks: first(asks, -1) }
}

/** The frames of some changes of a book, with a fault at one of them. */
function framesOf({ update, isWhole }: BookExchange, book: TrueBook, fault: Fault): readonly object[] {
  const told = changesOf(book)
  const at = placeOf(told)
  const which = isWhole ? 'whole' : 'levels'
  const frames = told.map((each, i) =>
    update(i === at ? { ...each, [which]: spoilt(each[which], fault) } : each),
  )
  const [step = [], next = []] = frames.slice(at)
  if (fault === 'drop') return frames.toSpliced(at, 1).flat()
  if (fault === 'repeat') return frames.toSpliced(at, 0, step).flat()
  if (fault === 'swap') return frames.toSpliced(at, 2, next, step).flat()
  return frames.flat()
}

/** A source on a service that has a random book, up to where a reader has the same. `isExact`: the reader never has one that the service has not had. */
async function follow(t: TestContext, exchange: BookExchange, isExact: boolean) {
  const book = bookOf(exchange, randomOf(SEED))
  const asked = { times: 0 }
  const clock = { ahead: 0 }
  const { snapshot, rest, symbol } = exchange
  const { service, reader, pullUntil, source } = await openBooks(t, {
    ...{ kind: exchange.kind, symbols: [symbol], depth: DEPTH },
    opening: { now: () => nowMicros() + clock.ahead },
    received: (frame, send) => {
      for (const each of exchange.answers(frame)) send(each)
      if (!exchange.isAsked(frame)) return
      asked.times++
      for (const each of snapshot?.(book) ?? []) send(each)
    },
    ...(rest && { rest: () => ({ body: rest(book) }) }),
    seen: () => {
      if (isExact) assert.ok(current() === undefined || book.states.has(String(current())), 'never was')
    },
  })
  const current = () => {
    const found = reader.of(symbol)
    return found === undefined || found.doubt !== undefined ? undefined : stateOf(found)
  }
  const isRight = () => current() === stateOf(book.shown)
  /** Sends some changes, and waits until all of it is read, or until `enough`. */
  const play = async (fault: Fault, enough?: () => boolean): Promise<void> => {
    const sent = framesOf(exchange, book, fault)
    const expected = source.health().counters.frames + sent.length
    service.send(...sent)
    await pullUntil(`what follows ${fault}`, enough ?? (() => source.health().counters.frames >= expected))
  }
  await until('the book is asked for', () => asked.times > 0)
  service.send(...exchange.update(toldOf(book, book.change())))
  await pullUntil('there is a book', isRight)
  return { reader, source, clock, pullUntil, isRight, play }
}

type Followed = Awaited<ReturnType<typeof follow>>

/** What is expected of a reader after a fault. */
const PROOFS = {
  async right({ reader, play, pullUntil, isRight }: Followed, fault: Fault) {
    await play(fault)
    await pullUntil('the book is right', isRight)
    assert.deepEqual(reader.doubts, [])
  },
  /** It is marked once, and the first snapshot that is asked for ends it. */
  async doubt({ reader, source, play, isRight }: Followed, fault: Fault) {
    await play(fault, () => reader.doubts.length > 0 && isRight())
    assert.equal(reader.doubts.length, 1)
    const { bookDoubts, bookResyncs } = source.health().counters
    assert.deepEqual([bookDoubts, bookResyncs], [1, 1])
    assert.deepEqual(source.health().books, { valid: 1, doubt: 0 })
  },
}

describe('a book with a fault', () => {
  for (const exchange of BOOK_EXCHANGES)
    for (const fault of FAULTS) {
      const outcome = fault === 'none' ? 'right' : exchange.outcomes[fault]
      const words = typeof outcome === 'string' ? outcome : `unseen, since ${outcome.unseen}`
      test(`${exchange.kind.title}: ${fault} is ${words} (seed ${SEED})`, async (t) => {
        const isExact = (outcome === 'right' || outcome === 'doubt') && !exchange.isLate
        const followed = await follow(t, exchange, isExact)
        const { play, pullUntil, isRight, clock } = followed
        await play('none')
        if (typeof outcome === 'string') {
          await PROOFS[outcome === 'doubt' ? 'doubt' : 'right'](followed, fault)
          await play('none')
          await pullUntil('the book is right', isRight)
          return
        }
        // What a reader gets is possible all the same: that is asserted of each record.
        await play(fault)
        await play('none')
        if (exchange.refreshMs === undefined) return
        clock.ahead = exchange.refreshMs * 1_000
        await pullUntil('the next snapshot ends it', isRight)
      })
    }
})

for (const speaker of SPEAKERS) {
  const exchange = BOOK_EXCHANGES.find(({ kind }) => kind === speaker.kind)
  if (exchange === undefined) continue
  test(`${exchange.kind.title}: random frames of books stop nothing (seed ${SEED})`, async (t) => {
    const { asks, answer, frame } = speaker
    const book = bookOf(exchange, randomOf(SEED))
    const service = await Service.start(t, {
      received: (asked, socket) => {
        for (const each of asks(asked) ? answer(asked, []) : []) sendFrame(socket, each)
      },
    })
    const { source } = await openOn(t, exchange.kind, service, {
      markets: [{ exchange: exchange.kind.name, symbol: exchange.symbol }],
      ...{ reconnect: 1_000, channels: ['trade', 'book'], bookDepth: DEPTH },
    })
    const trade = (id: string) =>
      frame({
        ...{ exchange: exchange.kind.name, symbol: exchange.symbol, id, side: 'buy' },
        ...{ price: 100, size: 1, ts: 1_753_190_418_654_000 },
      })
    const snapshots = exchange.snapshot?.(book) ?? []
    const valid = [trade('1'), ...snapshots, ...framesOf(exchange, book, 'none')]
    const reader = new BookReader()
    await survive(source, service, { valid, last: trade('last'), seen: (items) => reader.take(items) })
  })
}
