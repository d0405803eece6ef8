import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WireBook } from '../../../../src/adapters/source/feed/book-wire.ts'
import { KeptBook } from '../../../../src/adapters/source/feed/kept-book.ts'
import { hashOf } from '../../../../src/domain/crc32.ts'
import type { NewLevel } from '../../../../src/domain/order-book.ts'

const levels = (...prices: number[]): NewLevel[] => prices.map((price) => ({ price, size: 1 }))
const book = (rest: Partial<WireBook>): WireBook => ({
  ...{ kind: 'book', name: 'A', snapshot: false, bids: [], asks: [], ts: undefined, ...rest },
})
const gone = (price: number): NewLevel[] => [{ price, size: 0 }]

test('a book that moves beyond the levels of its snapshot is in doubt: nobody has told the next ones', () => {
  const kept = new KeptBook({ sequence: 'ranges' }, 2)
  const snapshot = { snapshot: true, bids: levels(10, 9, 8), asks: levels(11, 12, 13), place: { last: 1 } }
  assert.equal(kept.take(book({ ...snapshot, isCut: true })).kind, 'snapshot')
  assert.equal(kept.take(book({ bids: gone(10), place: { last: 2 } })).kind, 'change')
  assert.deepEqual(kept.take(book({ bids: gone(9), place: { last: 3 } })), {
    kind: 'doubt',
    doubt: 'unknown',
  })
  assert.equal(kept.take(book({ ...snapshot, isCut: false })).kind, 'snapshot')
  for (const [i, price] of [10, 9, 8].entries())
    assert.equal(kept.take(book({ bids: gone(price), place: { last: 2 + i } })).kind, 'change')
})

test('of a service that sends whole books the difference is told', () => {
  const kept = new KeptBook({ isWhole: true }, 2)
  const whole = (last: number, bids: number[], asks: number[]) =>
    kept.take(book({ snapshot: true, bids: levels(...bids), asks: levels(...asks), place: { last } }))
  assert.equal(whole(1, [10, 9], [11]).kind, 'snapshot')
  assert.deepEqual(whole(2, [10, 8], [11, 12]), {
    ...{
      kind: 'change',
      change: {
        bids: [
          [9, 0],
          [8, 1],
        ],
        asks: [[12, 1]],
      },
    },
  })
  assert.equal(whole(2, [7], []).kind, 'repeated')
  assert.equal(whole(3, [10, 8], [11, 12]).kind, 'nothing')
  assert.deepEqual(whole(4, [12], [11]), { kind: 'doubt', doubt: 'crossed' })
})

test('one checksum that comes by itself may be wrong, two in a row may not', () => {
  const kept = new KeptBook({ checksum: 'in-turns' }, 2)
  const text = (price: number, amount: number): NewLevel => ({
    ...{ price, size: 1, hash: hashOf(`${price}:${amount}`) },
  })
  const whole = {
    bids: [text(64000, 1.5), text(63999, 0.25)],
    asks: [text(64001, -2), text(64002.5, -0.125)],
  }
  assert.equal(kept.take(book({ snapshot: true, ...whole })).kind, 'snapshot')
  assert.equal(kept.check(7).kind, 'nothing')
  assert.equal(kept.check(-1485329048).kind, 'nothing')
  assert.equal(kept.check(7).kind, 'nothing')
  assert.deepEqual(kept.check(7), { kind: 'doubt', doubt: 'checksum' })
})
