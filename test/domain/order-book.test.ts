import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { CHECKSUMS, isChecksum, krakenLevelText } from '../../src/domain/book-checksum.ts'
import { foldBook } from '../../src/domain/book-levels.ts'
import { type BookPlace, SEQUENCE_RULES, type SequenceName } from '../../src/domain/book-sequence.ts'
import { crc32, crc32After, hashOf } from '../../src/domain/crc32.ts'
import type { Book } from '../../src/domain/events.ts'
import { isSorted, type NewLevel, OrderBook } from '../../src/domain/order-book.ts'
import { SEED } from '../seed.ts'

const kraken = (price: string, size: string) => hashOf(krakenLevelText(price, size))

describe('checksums', () => {
  test('are those that exchanges send', () => {
    const asks = [
      kraken('64000.1', '0.50000000'),
      kraken('64000.2', '0.00001000'),
      kraken('64001.0', '12.00000000'),
    ]
    const bids = [kraken('64000.0', '1.25000000'), kraken('63999.9', '0.00000001')]
    assert.equal(CHECKSUMS['asks-then-bids'].of({ bids, asks }), 1519925280)
    const small = {
      asks: [kraken('0.00001234', '1000.00000000')],
      bids: [kraken('0.00001233', '0.50000000')],
    }
    assert.equal(CHECKSUMS['asks-then-bids'].of(small), 997995041)
  })

  const IN_TURNS: readonly [name: string, bids: readonly string[], asks: readonly string[], sent: number][] =
    [
      ['Bitfinex', ['64000:1.5', '63999:0.25'], ['64001:-2', '64002.5:-0.125'], -1485329048],
      ['Bitfinex, uneven', ['64000:1.5', '63999:0.25'], ['64001:-2'], -719727112],
      ['Bitfinex, tiny', ['64000:1.5', '63999:0.25'], ['64001:-2', '64002.5:-1.2e-7'], 460327010],
      ['Bitfinex, orders', ['100000000001:1.5', '100000000004:0.25'], ['100000000002:-2'], -1657740045],
      ['OKX', ['3366.1:7', '3366:6'], ['3366.8:9', '3368:8', '3372:8'], 1362239393],
      ['OKX, bids only', ['3366.1:7', '3366:6'], [], -1858900673],
    ]
  for (const [name, bids, asks, sent] of IN_TURNS)
    test(`in turns: ${name}`, () => {
      const hashed = { bids: bids.map((text) => hashOf(text)), asks: asks.map((text) => hashOf(text)) }
      assert.ok(isChecksum('in-turns', hashed, sent))
      assert.ok(!isChecksum('in-turns', hashed, sent + 1))
    })

  test(`CRC32 is that of zlib (seed ${SEED})`, () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme-ascii', maxLength: 500 }),
        (text) => crc32(text) === zlibCrc32(text),
      ),
      { seed: SEED },
    )
  })
})

test(`CRC32 of texts one after another follows from those of each (seed ${SEED})`, () => {
  const texts = fc.array(fc.string({ unit: 'grapheme-ascii', maxLength: 300 }), { maxLength: 20 })
  fc.assert(
    fc.property(texts, (parts) => {
      const crc = parts.reduce((before, text) => crc32After(before, hashOf(text)), 0)
      return crc === zlibCrc32(parts.join('')) && crc === hashOf(...parts).crc
    }),
    { seed: SEED },
  )
})

describe('numbers of updates', () => {
  type Step = readonly [place: BookPlace, verdict: 'apply' | 'drop' | 'gap']
  const range = (first: number, last: number): BookPlace => ({ first, last })
  const link = (previous: number, last: number): BookPlace => ({ previous, last })
  const VECTORS: readonly [name: string, rule: SequenceName, snapshot: number, steps: readonly Step[]][] = [
    [
      'Binance',
      'ranges',
      160,
      [
        [range(157, 160), 'drop'],
        [range(158, 162), 'apply'],
        [range(163, 165), 'apply'],
        [range(164, 165), 'drop'],
        [range(167, 170), 'gap'],
      ],
    ],
    ['Binance, level', 'ranges', 160, [[range(161, 163), 'apply']]],
    ['Binance, beyond', 'ranges', 160, [[range(162, 163), 'gap']]],
    [
      'OKX',
      'links',
      10,
      [
        [link(10, 15), 'apply'],
        [link(15, 15), 'apply'],
        [link(15, 3), 'apply'],
        [link(3, 5), 'apply'],
        [link(4, 9), 'gap'],
      ],
    ],
    [
      'OKX, a snapshot by REST',
      'links',
      10,
      [
        [link(5, 8), 'drop'],
        [link(8, 12), 'apply'],
        [link(12, 14), 'apply'],
      ],
    ],
    [
      'Bybit',
      'steps',
      50,
      [
        [{ last: 51 }, 'apply'],
        [{ last: 51 }, 'drop'],
        [{ last: 53 }, 'gap'],
      ],
    ],
    [
      'Gemini',
      'overlaps',
      1000,
      [
        [range(1000, 1004), 'apply'],
        [range(1004, 1007), 'apply'],
        [range(1005, 1007), 'drop'],
        [range(1009, 1011), 'gap'],
      ],
    ],
  ]
  for (const [name, rule, snapshot, steps] of VECTORS)
    test(name, () => {
      let [last, isFirst] = [snapshot, true]
      for (const [place, expected] of steps) {
        const verdict = SEQUENCE_RULES[rule](place, last, isFirst)
        assert.equal(verdict, expected, JSON.stringify(place))
        if (verdict !== 'apply') continue
        last = place.last
        isFirst = false
      }
    })
})

const level = (price: number, size: number): NewLevel => ({ price, size })

describe('a book', () => {
  test('forgets what falls out of the depth that the exchange tells, without a word of it', () => {
    const book = new OrderBook({ shown: 2, kept: 2 })
    book.replace({ bids: [], asks: [level(10, 1), level(11, 1)] })
    assert.deepEqual(book.change({ bids: [], asks: [level(9, 1)] }).asks, [
      [9, 1],
      [11, 0],
    ])
    assert.deepEqual(book.change({ bids: [], asks: [level(9, 0)] }).asks, [[9, 0]])
    assert.deepEqual(book.shown.asks, [[10, 1]])
  })

  test('is crossed where somebody bids as much as somebody asks', () => {
    const book = new OrderBook({ shown: 5 })
    book.replace({ bids: [level(9, 1)], asks: [level(10, 1)] })
    assert.ok(!book.isCrossed)
    book.change({ bids: [level(10, 1)], asks: [] })
    assert.ok(book.isCrossed)
  })

  test('a snapshot is sorted where the best stands first and each price once', () => {
    assert.ok(isSorted({ bids: [level(2, 1), level(1, 1)], asks: [level(3, 1), level(4, 1)] }))
    assert.ok(!isSorted({ bids: [level(1, 1), level(2, 1)], asks: [] }))
    assert.ok(!isSorted({ bids: [], asks: [level(3, 1), level(3, 2)] }))
  })

  const changes = fc.array(
    fc.record({
      isBid: fc.boolean(),
      price: fc.integer({ min: 1, max: 12 }),
      size: fc.integer({ min: 0, max: 3 }),
    }),
    { maxLength: 6 },
  )
  test(`what it says of its best levels makes the same book elsewhere (seed ${SEED})`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined }),
        fc.array(changes, { maxLength: 40 }),
        (shown, more, steps) => {
          const book = new OrderBook({ shown, kept: more === undefined ? undefined : shown + more })
          const market = { exchange: 'kraken', symbol: 'BTC-USD', ts: 1, recvTs: 1 }
          let seq = 0
          let copy: Book = { ...market, snapshot: true, bids: [], asks: [], seq }
          for (const step of steps) {
            // Asks lie above all bids, so that nothing is crossed.
            const of = (isBid: boolean) => step.filter((each) => each.isBid === isBid)
            const told = book.change({
              bids: of(true).map(({ price, size }) => level(price, size)),
              asks: of(false).map(({ price, size }) => level(price + 100, size)),
            })
            copy = foldBook(copy, { ...market, snapshot: false, ...told, seq: ++seq })
            assert.deepEqual({ bids: copy.bids, asks: copy.asks }, book.shown)
            assert.ok(copy.bids.length <= shown)
          }
        },
      ),
      { seed: SEED, numRuns: 500 },
    )
  })
})

describe('the records of a market', () => {
  const record = (seq: number, rest: Partial<Book>): Book => ({
    ...{
      exchange: 'okx',
      symbol: 'BTC-USDT',
      snapshot: false,
      bids: [],
      asks: [],
      seq,
      ts: seq,
      recvTs: seq,
    },
    ...rest,
  })
  const start = record(1, { snapshot: true, bids: [[9, 1]], asks: [[10, 1]] })

  test('are a book from a snapshot on, up to a doubt, and again from the next snapshot on', () => {
    assert.equal(foldBook(undefined, record(4, { bids: [[1, 1]] })).doubt, 'unknown')
    const next = foldBook(
      start,
      record(2, {
        bids: [
          [9, 0],
          [8, 2],
        ],
      }),
    )
    assert.deepEqual([next.bids, next.asks, next.seq, next.snapshot], [[[8, 2]], [[10, 1]], 2, true])
    const doubted = foldBook(next, record(3, { doubt: 'checksum' }))
    assert.deepEqual([doubted.doubt, doubted.bids], ['checksum', []])
    assert.equal(foldBook(doubted, record(4, { bids: [[8, 3]] })).doubt, 'checksum')
    assert.equal(foldBook(doubted, start).doubt, undefined)
  })

  test('that skip or repeat a number, or cross the book, are a doubt', () => {
    assert.equal(foldBook(start, record(3, { bids: [[8, 2]] })).doubt, 'sequence')
    assert.equal(foldBook(start, record(1, { bids: [[8, 2]] })).doubt, 'sequence')
    assert.equal(foldBook(start, record(2, { bids: [[10, 2]] })).doubt, 'crossed')
  })
})
