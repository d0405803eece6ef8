import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { describe, test } from 'node:test'
import { binance } from '../../../src/adapters/source/binance/source.ts'
import { binanceWire } from '../../../src/adapters/source/binance/wire.ts'
import { bitfinex } from '../../../src/adapters/source/bitfinex/source.ts'
import { bitstamp } from '../../../src/adapters/source/bitstamp/source.ts'
import { bybit } from '../../../src/adapters/source/bybit/source.ts'
import { coinbase } from '../../../src/adapters/source/coinbase/source.ts'
import { gemini } from '../../../src/adapters/source/gemini/source.ts'
import { kraken } from '../../../src/adapters/source/kraken/source.ts'
import { isChecksum, krakenLevelText } from '../../../src/domain/book-checksum.ts'
import { hashOf } from '../../../src/domain/crc32.ts'
import { type NewLevel, OrderBook } from '../../../src/domain/order-book.ts'
import type { SourceItem } from '../../../src/ports/source.ts'
import { capture } from './captures.ts'
import { openBooks } from './opened-books.ts'
import { eventsOf, until } from './waiting.ts'

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
    const { service, source, reader, all, pullUntil } = await openBooks(t, {
      kind: kraken,
      symbols: ['BTC-USD'],
    })
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
          ...{ price: Number(price), size: Number(size), hash: hashOf(krakenLevelText(price, size)) },
        }))
      const book = books.get(id) ?? new OrderBook({ shown: 10, kept: 1_000 })
      books.set(id, book)
      if (told['as'] || told['bs']) book.replace({ bids: levels(told['bs']), asks: levels(told['as']) })
      else book.change({ bids: levels(told['b']), asks: levels(told['a']) })
      if (told['c'] === undefined) continue
      assert.ok(isChecksum('asks-then-bids', book.hashes(10), Number(told['c'])), line)
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
    const { service, source, reader, all, pullUntil } = await openBooks(t, {
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
    const { log, service } = await openBooks(t, {
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
    const { service, source, reader, all, pullUntil } = await openBooks(t, { kind: coinbase, symbols })
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
    const { service, reader, all, pullUntil } = await openBooks(t, { kind: bitstamp, symbols: ['BTC-USD'] })
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
    const { service, source, reader, pullUntil } = await openBooks(t, {
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

  for (const [what, row] of [
    ['price of 0', [0, 1, 1.5]],
    ['price below 0', [-64000, 1, 1.5]],
    ['size of 0', [63990, 1, 0]],
    ['count below 0', [63990, -1, 1.5]],
  ] as const)
    test(`Bitfinex: a ${what} makes the book doubtful, and is never a level`, async (t) => {
      let chanId = 10
      const { service, source, reader, pullUntil } = await openBooks(t, {
        ...{ kind: bitfinex, symbols: ['BTC-USD'] },
        received: ({ event, channel, symbol }, send) => {
          if (event !== 'subscribe') return
          send({ event: 'subscribed', channel, chanId: ++chanId, symbol })
          send([
            chanId,
            [
              [64000, 1, 1.5],
              [64001, 1, -2],
            ],
          ])
        },
      })
      await pullUntil('there is a book', () => reader.isValid('BTC-USD'))
      service.send([chanId, row])
      await pullUntil('a doubt and a new book', () => reader.doubts.length > 0 && reader.isValid('BTC-USD'))
      assert.deepEqual(reader.doubts, ['BTC-USD unreadable'])
      assert.equal(source.health().counters.malformed, 1)
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
    const { service, source, reader, pullUntil } = await openBooks(t, opening)
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
    const { service, source, reader, pullUntil } = await openBooks(t, opening)
    service.send(frame('snapshot', 5_000, [['10', '1']]))
    await pullUntil('there is a book', () => reader.isValid('BTC-USDT'))
    for (let u = 2; u < 102; u++) service.send(frame('delta', u, [['9', String(u)]]))
    await pullUntil('nobody believes it', () => reader.doubts.length > 0)
    assert.deepEqual(reader.doubts, ['BTC-USDT sequence'])
    assert.equal(source.health().counters.duplicates, 99)
  })

  test('Kraken: a checksum that cannot be read is a wrong one', async (t) => {
    const { service, reader, pullUntil } = await openBooks(t, { kind: kraken, symbols: ['BTC-USD'] })
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
    const { service, source, reader, all, pullUntil } = await openBooks(t, {
      kind: gemini,
      symbols: ['BTC-USD'],
    })
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
    const { service, reader, all, pullUntil } = await openBooks(t, { kind: gemini, symbols: ['BTC-USD'] })
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
