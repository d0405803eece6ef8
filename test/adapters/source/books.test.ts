import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { describe, type TestContext, test } from 'node:test'
import { binance } from '../../../src/adapters/source/binance/source.ts'
import { binanceWire } from '../../../src/adapters/source/binance/wire.ts'
import { bitfinex } from '../../../src/adapters/source/bitfinex/source.ts'
import { bitstamp } from '../../../src/adapters/source/bitstamp/source.ts'
import { bybit } from '../../../src/adapters/source/bybit/source.ts'
import { coinbase } from '../../../src/adapters/source/coinbase/source.ts'
import type { SourceKind } from '../../../src/adapters/source/feed/source-kind.ts'
import { gemini } from '../../../src/adapters/source/gemini/source.ts'
import { kraken } from '../../../src/adapters/source/kraken/source.ts'
import { isChecksum, krakenLevelText } from '../../../src/domain/book-checksum.ts'
import type { Book } from '../../../src/domain/events.ts'
import { type NewLevel, OrderBook } from '../../../src/domain/order-book.ts'
import type { SourceItem } from '../../../src/ports/source.ts'
import { SEED } from '../../seed.ts'
import { BOOK_EXCHANGES, type BookExchange, bookOf, DEPTH, stateOf, type TrueBook } from './book-exchange.ts'
import { BookReader } from './books.ts'
import { capture } from './captures.ts'
import { SPEAKERS } from './exchanges.ts'
import { type Opening, openOn } from './opened.ts'
import { survive } from './random-frames.ts'
import { type RestAnswer, Service, sendFrame } from './service.ts'
import { eventsOf, pull, until } from './waiting.ts'

interface Setting {
  readonly kind: SourceKind
  readonly symbols: readonly string[]
  readonly depth?: number
  readonly received?: (frame: Record<string, unknown>, send: (frame: unknown) => void) => void
  readonly rest?: (url: URL) => RestAnswer
  readonly opening?: Opening
}

/** A source of books on a local service, and what a reader has of it. */
async function open(t: TestContext, { kind, symbols, depth = 10, received, rest, opening }: Setting) {
  const service = await Service.start(t, {
    received: (frame, socket) => received?.(frame, (answer) => sendFrame(socket, answer)),
    ...(rest && { rest }),
  })
  const markets = symbols.map((symbol) => ({ exchange: kind.name, symbol }))
  const { source, log } = await openOn(t, kind, service, {
    ...{ markets, channels: ['book'], bookDepth: depth, ...opening },
  })
  const reader = new BookReader()
  const all: SourceItem[] = []
  const pullUntil = async (what: string, enough: () => boolean): Promise<void> => {
    if (enough()) return
    let taken = 0
    await pull(source, what, (items) => {
      all.push(...items.slice(taken))
      reader.take(items.slice(taken))
      taken = items.length
      return enough()
    })
  }
  await until('the source has asked', () => service.received.length > 0)
  return { source, log, service, reader, all, pullUntil }
}

const RECORDED_KRAKEN = capture('kraken-v2-book-btcusd-20261006.jsonl')
const RECORDED_KRAKEN_V1 = capture('KRAKEN.ws.50.0')
const RECORDED_BINANCE = capture('binance-spot-nknusdt-20211012.txt')
const RECORDED_COINBASE = capture('COINBASE.ws.28.0')

async function linesOf(path: string): Promise<string[]> {
  const lines: string[] = []
  for await (const line of createInterface({ input: createReadStream(path) })) lines.push(line)
  return lines
}

describe('recorded books', () => {
  test('Kraken: every checksum holds', { skip: RECORDED_KRAKEN.skip }, async (t) => {
    const { service, source, reader, all, pullUntil } = await open(t, { kind: kraken, symbols: ['BTC-USD'] })
    const frames = (await readFile(RECORDED_KRAKEN.path, 'utf8')).trim().split('\n')
    for (const frame of frames) service.send(frame)
    await pullUntil(
      'all frames are read',
      () => source.health().counters.frames === frames.length && all.length > 9,
    )
    assert.deepEqual(reader.doubts, [])
    const records = eventsOf(all, 'book')
    assert.deepEqual(
      records.map(({ snapshot }) => snapshot),
      [true, false, false, false, false, true, false, false, false],
    )
    assert.deepEqual(records[1]?.asks, [
      [85601.6, 0],
      [85608, 0.04358176],
    ])
    assert.ok(reader.isValid('BTC-USD'))
  })

  test('Kraken, version 1: every checksum holds', { skip: RECORDED_KRAKEN_V1.skip }, async () => {
    type Row = readonly [price: string, size: string]
    const books = new Map<unknown, OrderBook>()
    let held = 0
    for (const line of await linesOf(RECORDED_KRAKEN_V1.path)) {
      const at = line.indexOf(': [')
      if (at < 0 || line.startsWith('wss:')) continue
      const [id, ...parts] = JSON.parse(line.slice(at + 2)) as [number, ...unknown[]]
      const told = Object.assign({}, ...parts.filter((part) => typeof part === 'object')) as Record<
        string,
        Row[]
      >
      const levels = (rows: Row[] = []): NewLevel[] =>
        rows.map(([price, size]) => ({
          ...{ price: Number(price), size: Number(size), text: krakenLevelText(price, size) },
        }))
      const book = books.get(id) ?? new OrderBook({ shown: 10, kept: 1_000 })
      books.set(id, book)
      if (told['as'] || told['bs']) book.replace({ bids: levels(told['bs']), asks: levels(told['as']) })
      else book.change({ bids: levels(told['b']), asks: levels(told['a']) })
      if (told['c'] === undefined) continue
      assert.ok(isChecksum('asks-then-bids', book.texts(10), Number(told['c'])), line)
      held++
    }
    assert.equal(held, 4269)
  })

  test('Binance: a snapshot by REST bridges to what came before it', {
    skip: RECORDED_BINANCE.skip,
  }, async (t) => {
    const lines = await linesOf(RECORDED_BINANCE.path)
    const frames = lines.filter((line) => !line.includes(' -> ')).map((line) => line.slice(line.indexOf('{')))
    const body = lines.find((line) => line.includes(' -> '))?.replace(/^.* -> [\d.]+: /, '')
    const depth = frames.filter((frame) => frame.includes('depthUpdate'))
    const calls: string[] = []
    const recorded: string[] = []
    const ignore = (): void => undefined
    const answered = (url: string, text: string) => recorded.push(new URL(url).pathname, text)
    const openTap = () => ({ opened: ignore, received: ignore, sent: ignore, closed: ignore, answered })
    const { service, source, reader, all, pullUntil } = await open(t, {
      ...{ kind: binance, symbols: ['NKN-USDT'], opening: { openTap } },
      rest: ({ pathname, search }) => {
        calls.push(pathname + search)
        return { body }
      },
    })
    service.send(depth[0])
    await until('REST is asked', () => calls.length > 0)
    for (const frame of depth.slice(1)) service.send(frame)
    await pullUntil(
      'all frames are read',
      () => source.health().counters.frames === depth.length && all.length > 20,
    )
    assert.deepEqual(calls, ['/api/v3/depth?symbol=NKNUSDT&limit=1000'])
    assert.deepEqual(recorded, ['/api/v3/depth', body])
    assert.deepEqual(reader.doubts, [])
    assert.ok(reader.isValid('NKN-USDT'))
  })

  test('Binance: one that was asked too often is left alone, for all of its markets', async (t) => {
    const { log, service } = await open(t, {
      ...{ kind: binance, symbols: ['BTC-USDT', 'ETH-USDT'] },
      rest: () => ({ status: 429, headers: { 'retry-after': '30' }, body: {} }),
    })
    const depth = (s: string) => ({ e: 'depthUpdate', E: 1_790_000_000_123, s, U: 1, u: 2, b: [], a: [] })
    service.send(depth('BTCUSDT'), depth('ETHUSDT'))
    await until(
      'both were to be asked',
      () => log.lines.filter(({ message }) => /did not come/.test(message)).length > 1,
    )
    assert.equal(service.calls.length, 1)
  })

  test('Binance: snapshots of many markets stay within what a minute allows', () => {
    const { rest } = binanceWire.books ?? {}
    for (const depth of [10, 200, 1_000]) {
      const limit = Number(new URLSearchParams(rest?.path('BTCUSDT', depth).split('?')[1]).get('limit'))
      const weight = limit <= 1_000 ? 50 : 250
      assert.ok((60_000 / (rest?.apartMs(depth) ?? 0)) * weight <= 6_000)
    }
  })

  test('Coinbase: no book is ever crossed', { skip: RECORDED_COINBASE.skip }, async (t) => {
    const symbols = ['SKL-USD', 'BAND-GBP', 'NMR-EUR', 'YFI-BTC', 'NU-GBP', 'SKL-GBP', 'CRV-EUR', 'BAND-BTC']
    const lines = await linesOf(RECORDED_COINBASE.path)
    const frames = lines
      .filter((line) => /"(snapshot|l2update)"/.test(line) && !line.startsWith('wss:'))
      .map((line) => line.slice(line.indexOf('{')))
    const { service, source, reader, all, pullUntil } = await open(t, { kind: coinbase, symbols })
    for (const frame of frames) service.send(frame)
    await pullUntil(
      'all frames are read',
      () => source.health().counters.frames === frames.length && all.length > 100,
    )
    assert.deepEqual(reader.doubts, [])
    for (const symbol of symbols) assert.ok(reader.isValid(symbol), symbol)
  })
})

describe('books that come otherwise', () => {
  test('Bitstamp: each frame is the whole book, of which the difference is told', async (t) => {
    const frame = (micros: number, bids: readonly (readonly [string, string])[]) => ({
      event: 'data',
      channel: 'order_book_btcusd',
      data: {
        timestamp: '1790000000',
        microtimestamp: String(1_790_000_000_000_000 + micros),
        bids,
        asks: [['11', '1']],
      },
    })
    const { service, reader, all, pullUntil } = await open(t, { kind: bitstamp, symbols: ['BTC-USD'] })
    service.send(
      frame(1, [
        ['10', '1'],
        ['9', '1'],
      ]),
    )
    service.send(frame(2, [['10', '2']]))
    service.send(frame(1, [['1', '1']]))
    service.send(frame(3, [['12', '1']]))
    await pullUntil('the crossed one is read', () => reader.doubts.length > 0)
    assert.deepEqual(
      eventsOf(all, 'book').map(({ snapshot, bids, asks, doubt }) => [snapshot, bids, asks, doubt]),
      [
        [
          true,
          [
            [10, 1],
            [9, 1],
          ],
          [[11, 1]],
          undefined,
        ],
        [
          false,
          [
            [10, 2],
            [9, 0],
          ],
          [],
          undefined,
        ],
        [false, [], [], 'crossed'],
      ],
    )
    assert.equal(eventsOf(all, 'quote').length, 0)
    service.send(frame(4, [['8', '1']]))
    await pullUntil('it is right again', () => reader.isValid('BTC-USD'))
  })

  test('Bitfinex: a checksum comes by itself, and two wrong ones in a row are a doubt', async (t) => {
    let chanId = 10
    const snapshot = [
      [64000, 1, 1.5],
      [63999, 1, 0.25],
      [64001, 1, -2],
      [64002.5, 1, -0.125],
    ]
    const { service, source, reader, pullUntil } = await open(t, {
      ...{ kind: bitfinex, symbols: ['BTC-USD'] },
      received: ({ event, channel, symbol, len, chanId: gone }, send) => {
        if (event === 'unsubscribe') send({ event: 'unsubscribed', status: 'OK', chanId: gone })
        if (event !== 'subscribe') return
        assert.deepEqual([channel, len], ['book', '25'])
        send({ event: 'subscribed', channel, chanId: ++chanId, symbol })
        send([chanId, snapshot])
      },
    })
    await pullUntil('there is a book', () => reader.isValid('BTC-USD'))
    assert.ok(service.received.some(({ event, flags }) => event === 'conf' && flags === 131_072))
    service.send([chanId, 'cs', -1485329048])
    service.send([chanId, [64002.5, 0, -1]])
    service.send([chanId, 'cs', -719727112])
    await pullUntil('the change is read', () => reader.of('BTC-USD')?.asks.length === 1)
    assert.deepEqual(reader.doubts, [])
    service.send([chanId, 'cs', 1])
    service.send([chanId, 'cs', 1])
    await pullUntil('a doubt and a new book', () => reader.doubts.length > 0 && reader.isValid('BTC-USD'))
    assert.deepEqual(reader.doubts, ['BTC-USD checksum'])
    const { counters, books } = source.health()
    assert.deepEqual(books, { valid: 1, doubt: 0 })
    assert.deepEqual([counters.bookDoubts, counters.bookResyncs], [1, 1])
    assert.equal(reader.of('BTC-USD')?.asks.length, 2)
    const unsubscribed = () =>
      service.received.flatMap(({ event, chanId: gone }) => (event === 'unsubscribe' ? [gone] : []))
    assert.deepEqual(unsubscribed(), [11])
    // What is unsubscribed already is not asked for again.
    service.send([chanId, [64002, 1, 1]])
    await pullUntil('it is crossed', () => reader.doubts.length > 1)
    await until('it is asked for again', () => unsubscribed().length > 1)
    assert.deepEqual(unsubscribed(), [11, 12])
    assert.equal(source.health().counters.malformed, 0)
  })
})

describe('numbers and checksums that begin anew', () => {
  const topic = 'orderbook.50.BTCUSDT'
  const frame = (type: string, u: number, b: readonly (readonly [string, string])[]) => {
    const data = { s: 'BTCUSDT', b, a: type === 'snapshot' ? [['11', '1']] : [], u, seq: u }
    return { topic, ts: 1_790_000_000_123, type, data, cts: 1_790_000_000_123 }
  }
  const opening = { kind: bybit, symbols: ['BTC-USDT'], depth: 50 }

  test('Bybit: number 1 is the whole book after a restart, whatever it is called', async (t) => {
    const { service, source, reader, pullUntil } = await open(t, opening)
    service.send(frame('snapshot', 50, [['10', '1']]), frame('delta', 1, [['9', '1']]))
    service.send(frame('delta', 2, [['8', '1']]))
    const bids = () => reader.of('BTC-USDT')?.bids
    await pullUntil('the change is read', () => bids()?.some(([price]) => price === 8) === true)
    assert.deepEqual(bids(), [
      [9, 1],
      [8, 1],
    ])
    assert.deepEqual(reader.doubts, [])
    service.send(frame('full', 3, [['7', '1']]))
    await until('it is refused', () => source.health().counters.malformed === 1)
    assert.deepEqual(reader.doubts, [])
  })

  test('Bybit: numbers that go on from a lower one are no repeats for ever', async (t) => {
    const { service, source, reader, pullUntil } = await open(t, opening)
    service.send(frame('snapshot', 5_000, [['10', '1']]))
    await pullUntil('there is a book', () => reader.isValid('BTC-USDT'))
    for (let u = 2; u < 102; u++) service.send(frame('delta', u, [['9', String(u)]]))
    await pullUntil('nobody believes it', () => reader.doubts.length > 0)
    assert.deepEqual(reader.doubts, ['BTC-USDT sequence'])
    assert.equal(source.health().counters.duplicates, 99)
  })

  test('Kraken: a checksum that cannot be read is a wrong one', async (t) => {
    const { service, reader, pullUntil } = await open(t, { kind: kraken, symbols: ['BTC-USD'] })
    const level = (price: number, qty: number) => ({ price, qty })
    const told = (type: string, rest: object) => ({
      ...{ channel: 'book', type },
      data: [{ symbol: 'BTC/USD', timestamp: '2026-11-29T10:00:00.123456Z', ...rest }],
    })
    service.send(told('snapshot', { bids: [level(10.5, 0.5)], asks: [level(11.5, 0.5)] }))
    await pullUntil('there is a book', () => reader.isValid('BTC-USD'))
    service.send(told('update', { bids: [level(10.5, 1.5)], asks: [], checksum: '1519925280' }))
    await pullUntil('it is in doubt', () => reader.doubts.length > 0)
    assert.deepEqual(reader.doubts, ['BTC-USD checksum'])
  })
})

describe("Gemini's books", () => {
  type Rows = readonly (readonly [price: string, size: string])[]
  /** The number of the time has more digits than a double. */
  const frame = (U: number, u: number, b: Rows, a: Rows = []) =>
    JSON.stringify({ E: 0, s: 'btcusd', U, u, b, a }).replace('"E":0', '"E":1790000000123456789')
  const whole: Rows = [
    ['9', '1'],
    ['10', '1'],
  ]
  const shown = (all: readonly SourceItem[]) =>
    eventsOf(all, 'book').map(({ snapshot, bids, doubt }) => (snapshot ? 'whole' : (doubt ?? bids)))

  test('the first frame is the whole book, unsorted; each change begins with the number of the one before', async (t) => {
    const { service, source, reader, all, pullUntil } = await open(t, { kind: gemini, symbols: ['BTC-USD'] })
    assert.deepEqual(service.received[0]?.['params'], ['btcusd@depth@100ms'])
    service.send(frame(1_000, 1_000, whole, [['11', '1']]))
    service.send({ id: '1', status: 200 })
    service.send(frame(1_000, 1_004, [['10', '2']]), frame(1_004, 1_007, [['9', '0']]))
    service.send(frame(1_005, 1_007, [['8', '1']]))
    service.send(frame(1_009, 1_011, [['7', '1']]))
    await pullUntil('something is missing', () => reader.doubts.length > 0)
    assert.deepEqual(shown(all), ['whole', [[10, 2]], [[9, 0]], 'sequence'])
    assert.equal(eventsOf(all, 'book')[0]?.ts, 1_790_000_000_123_456)
    assert.equal(source.health().counters.malformed, 0)
  })

  test('a book that is asked for anew begins with the next whole one, and not with what was on its way', async (t) => {
    const { service, reader, all, pullUntil } = await open(t, { kind: gemini, symbols: ['BTC-USD'] })
    service.send(frame(1_000, 1_000, whole, [['11', '1']]))
    service.send(frame(1_000, 1_001, [['12', '1']]))
    await pullUntil('it is crossed', () => reader.doubts.length > 0)
    await service.asked('an unsubscribe', ({ method }) => method === 'unsubscribe')
    await service.asked('a subscribe', ({ id, method }) => method === 'subscribe' && id !== '1')
    service.send(frame(1_001, 1_002, [['10', '5']]))
    service.send(frame(2_000, 2_000, whole, [['12', '1']]))
    service.send(frame(2_000, 2_003, [['11', '1']]))
    await pullUntil('it is right again', () => all.length > 0 && reader.of('BTC-USD')?.bids.length === 3)
    assert.deepEqual(shown(all), ['whole', 'crossed', 'whole', [[11, 1]]])
    assert.deepEqual(reader.doubts, ['BTC-USD crossed'])
  })
})

/** The same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const FAULTS = ['none', 'drop', 'repeat', 'swap', 'change'] as const
type Fault = (typeof FAULTS)[number]

/** The frames of some changes of a book, with a fault at a place. */
function steps(exchange: BookExchange, book: TrueBook, fault: Fault, at: number): readonly object[] {
  const told = Array.from({ length: 12 }, (_, i) => {
    const change = book.change()
    return exchange.update(book, fault === 'change' && i === at ? spoilt(change) : change)
  })
  const [step = [], next = []] = told.slice(at)
  switch (fault) {
    case 'drop':
      return told.toSpliced(at, 1).flat()
    case 'repeat':
      return told.toSpliced(at, 0, step).flat()
    case 'swap':
      return told.toSpliced(at, 2, next, step).flat()
    default:
      return told.flat()
  }
}

/** The change with another size of its first level. */
function spoilt({ bids, asks }: ReturnType<TrueBook['change']>): ReturnType<TrueBook['change']> {
  const [[price, size] = [1, 1], ...others] = bids.length > 0 ? bids : asks
  const changed = [[price, size + 1] as const, ...others]
  return bids.length > 0 ? { bids: changed, asks } : { bids, asks: changed }
}

describe('a book with a fault', () => {
  for (const exchange of BOOK_EXCHANGES)
    for (const fault of FAULTS)
      test(`${exchange.kind.title}: ${fault} (seed ${SEED})`, async (t) => {
        const random = randomOf(SEED)
        const book = bookOf(exchange, random)
        let asked = 0
        const { service, source, reader, pullUntil } = await open(t, {
          ...{ kind: exchange.kind, symbols: [exchange.symbol], depth: DEPTH },
          received: (frame, send) => {
            for (const each of exchange.answers(frame)) send(each)
            if (!exchange.isAsked(frame)) return
            asked++
            for (const each of exchange.snapshot?.(book) ?? []) send(each)
          },
          ...(exchange.rest && { rest: () => ({ body: exchange.rest?.(book) }) }),
        })
        await until('the book is asked for', () => asked > 0)
        const current = () => reader.isValid(exchange.symbol) && stateOf(reader.of(exchange.symbol) as Book)
        service.send(...exchange.update(book, book.change()))
        await pullUntil('there is a book', () => reader.isValid(exchange.symbol))
        const { missing, spoilt: isShown } = exchange.shows
        const isKnown = fault === 'none' || fault === 'repeat' || (fault === 'change' ? isShown : missing)
        /** Each book that is valid is one that the exchange has had. */
        const isTrue = () => !current() || exchange.isLate || book.states.has(String(current()))
        let expected = source.health().counters.frames
        for (let round = 0; round < 5; round++) {
          const sent = steps(exchange, book, round === 2 ? fault : 'none', 1 + Math.floor(random() * 8))
          service.send(...sent)
          // All of it is read before the next round begins.
          expected += sent.length
          await pullUntil('the round is read', () => source.health().counters.frames >= expected)
          if (isKnown) assert.ok(isTrue(), 'a book that never was')
        }
        if (!isKnown) return
        await pullUntil('the book is right', () => {
          assert.ok(isTrue(), 'a book that never was')
          return current() === stateOf(book.shown)
        })
        if (fault === 'none') assert.deepEqual(reader.doubts, [])
        const isDoubted = fault === 'drop' || (fault === 'swap' && exchange.kind !== kraken)
        if (isDoubted && !exchange.isLate && !exchange.isWhole)
          assert.ok(reader.doubts.length > 0, 'no doubt')
      })
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
    const valid = [trade('1'), ...snapshots, ...steps(exchange, book, 'none', 0)]
    const reader = new BookReader()
    await survive(source, service, { valid, last: trade('last'), seen: (items) => reader.take(items) })
  })
}
