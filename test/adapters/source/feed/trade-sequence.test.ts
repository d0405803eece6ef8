import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { TradeSequences } from '../../../../src/adapters/source/feed/trade-sequence.ts'
import type { Trade } from '../../../../src/domain/events.ts'
import type { SourceItem } from '../../../../src/ports/source.ts'
import { SEED } from '../../../seed.ts'

const SECOND = 1_000_000
const MARKET = { exchange: 'x', symbol: 'A-B' }

function trade(id: number | string, recvTs: number): Trade {
  return { ...MARKET, id: String(id), side: 'buy', price: 1, size: 1, ts: recvTs, recvTs }
}

function setUp() {
  const items: SourceItem[] = []
  const sequences = new TradeSequences((item) => items.push(item))
  const given = (): string[] =>
    items.map((item) => {
      if (item.channel === 'trade')
        return item.follows === undefined ? item.event.id : `${item.follows}<${item.event.id}`
      return item.channel === 'last-trade' ? `named ${item.id}` : item.channel
    })
  return { sequences, given }
}

describe('trades whose ids rise by one', () => {
  test('one after a hole waits for a second at most, and for no other market', () => {
    const { sequences, given } = setUp()
    for (const id of [5, 8]) sequences.trade(trade(id, 0))
    sequences.trade({ ...trade(70, 1), symbol: 'C-D' })
    assert.deepEqual(given(), ['4<5', '69<70'])
    assert.ok(sequences.isWaiting)
    sequences.elapse(SECOND - 1)
    assert.equal(given().length, 2)
    sequences.elapse(SECOND)
    assert.deepEqual(given().slice(2), ['7<8'])
    assert.ok(!sequences.isWaiting)
    sequences.trade(trade(6, 2 * SECOND))
    assert.deepEqual(given().slice(3), ['5<6'], 'what comes later still is passed on')
  })

  test('the end of a connection passes on what waits; the next one begins anew', () => {
    const { sequences, given } = setUp()
    for (const id of [5, 8, 7]) sequences.trade(trade(id, 0))
    sequences.ended()
    sequences.trade(trade(12, 1))
    assert.deepEqual(given(), ['4<5', '6<7', '7<8', '11<12'])
  })

  test('what was refused is no hole, before and after it', () => {
    const { sequences, given } = setUp()
    sequences.trade(trade(5, 0))
    sequences.refused(MARKET, '6')
    sequences.trade(trade(9, 0))
    for (const id of ['8', '7']) sequences.refused(MARKET, id)
    sequences.trade(trade(10, 0))
    assert.deepEqual(given(), ['4<5', '5<9', '9<10'])
  })

  test('a later trade that the source names is told after five seconds, once, unless it comes', () => {
    const { sequences, given } = setUp()
    sequences.trade(trade(5, 0))
    sequences.names(MARKET, '5', 0, 0)
    assert.ok(!sequences.isWaiting)
    sequences.names(MARKET, '7', 1, SECOND)
    sequences.elapse(5 * SECOND)
    assert.deepEqual(given(), ['4<5'])
    sequences.names(MARKET, '7', 2, 6 * SECOND)
    for (let n = 6; n < 20; n++) sequences.elapse(n * SECOND)
    assert.deepEqual(given(), ['4<5', 'named 7'])
    sequences.trade(trade(8, 20 * SECOND))
    assert.deepEqual(given().slice(2), ['7<8'], 'the hole is known, so nothing waits')
    sequences.names(MARKET, '9', 3, 21 * SECOND)
    sequences.trade(trade(9, 21 * SECOND + 1))
    sequences.elapse(40 * SECOND)
    assert.deepEqual(given().slice(3), ['8<9'])
  })

  test('ids that are no numbers, and those beyond 2^53', () => {
    const { sequences, given } = setUp()
    const big = '9007199254740993'
    for (const id of ['a', big, '9007199254740995', '9007199254740994']) sequences.trade(trade(id, 0))
    assert.deepEqual(given(), [
      'a',
      `9007199254740992<${big}`,
      `${big}<9007199254740994`,
      '9007199254740994<9007199254740995',
    ])
  })

  test('a market after a long hole keeps a bounded number waiting', () => {
    const { sequences, given } = setUp()
    sequences.trade(trade(1, 0))
    for (let id = 3; id < 1_200; id++) sequences.trade(trade(id, 0))
    assert.ok(given().length > 1_000)
  })

  test(`whatever the order within a second, each trade comes once and in its place (seed ${SEED})`, () => {
    const ids = Array.from({ length: 12 }, (_, n) => n + 2)
    fc.assert(
      fc.property(fc.shuffledSubarray(ids, { minLength: ids.length }), fc.nat(11), (order, cut) => {
        const { sequences, given } = setUp()
        sequences.trade(trade(1, 0))
        order.forEach((id, n) => {
          if (n === cut) sequences.trade(trade(1, n))
          sequences.elapse(n)
          sequences.trade(trade(id, n))
        })
        assert.deepEqual(
          given().filter((each, n) => n === 0 || each !== '0<1'),
          ['0<1', ...ids.map((id) => `${id - 1}<${id}`)],
        )
        assert.ok(!sequences.isWaiting)
      }),
      { seed: SEED },
    )
  })
})
