import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import type { Trade } from '../../../src/domain/events.ts'
import { TradeWindow } from '../../../src/domain/trade-window.ts'
import { GapWatch } from '../../../src/services/producer/gap-watch.ts'

const SECOND = 1_000_000
const NOON = Date.UTC(2026, 10, 20, 12) * 1_000
/** When trades arrive, after all of them. */
const ARRIVAL = NOON + 60 * SECOND
const MARKET = 'kraken:BTC-USD'
const SHARD = 0

function trade(id: string, second: number): Trade {
  const ts = NOON + second * SECOND
  return { exchange: 'kraken', symbol: 'BTC-USD', id, side: 'buy', price: 1, size: 1, ts, recvTs: ARRIVAL }
}

describe('gaps of a market', () => {
  let watch: GapWatch
  let window: TradeWindow
  beforeEach(() => {
    watch = new GapWatch()
    window = new TradeWindow()
    watch.interrupt(new Map())
  })

  /** The gap in front of a trade that is published, in seconds: from, to, whether it is filled, its cause. */
  function publish(id: string, second: number, follows?: string) {
    const each = trade(id, second)
    const gap = watch.close(MARKET, SHARD, window, each, follows)
    window.remember(each)
    return gap && [(gap.from - NOON) / SECOND, (gap.to - NOON) / SECOND, gap.filled, gap.cause]
  }

  /** A trade that is known comes again. */
  const repeat = (id: string, second: number): void => watch.repeat(MARKET, SHARD, trade(id, second), window)

  test('the very first trade has none, nor has one that follows another', () => {
    assert.equal(publish('a', 1), undefined)
    assert.equal(publish('b', 9), undefined)
  })

  test('the first trade after an interruption ends one, with its cause; the next has none', () => {
    publish('a', 1)
    watch.interrupt(new Map([[SHARD, NOON + SECOND]]), 'overflow')
    assert.deepEqual(publish('b', 5), [1, 5, false, 'overflow'])
    assert.equal(publish('c', 6), undefined)
  })

  test('it is filled where the source repeats the last trade published, or gives the next id', () => {
    publish('10', 1)
    watch.interrupt(new Map([[SHARD, NOON + SECOND]]))
    repeat('10', 1)
    assert.deepEqual(publish('15', 5), [1, 5, true, 'reconnect'])
    watch.interrupt(new Map([[SHARD, NOON + 5 * SECOND]]))
    assert.deepEqual(publish('16', 7), [5, 7, true, 'reconnect'])
    watch.interrupt(new Map([[SHARD, NOON + 7 * SECOND]]))
    assert.deepEqual(publish('18', 8), [7, 8, false, 'reconnect'])
  })

  test('a trade older than the last one does not end it, and what it shows to be missing stays missing', () => {
    publish('10', 5)
    watch.interrupt(new Map([[SHARD, NOON + 5 * SECOND]]))
    assert.equal(publish('12', 4), undefined)
    repeat('12', 4)
    assert.deepEqual(publish('13', 6), [5, 6, false, 'reconnect'])
  })

  test('what the source says a trade follows decides', () => {
    publish('10', 1)
    watch.interrupt(new Map([[SHARD, NOON + SECOND]]))
    assert.deepEqual(publish('20', 2, '10'), [1, 2, true, 'reconnect'], 'nothing lies between')
    assert.deepEqual(publish('40', 3, '30'), [2, 3, false, 'source'], 'also without an interruption')
    assert.equal(publish('50', 4, '40'), undefined)
  })

  test('a later trade that the source names is a gap once, until a later one is named', () => {
    const name = (id: string, second: number) =>
      watch.name(MARKET, SHARD, window, { channel: 'last-trade', ...trade(id, second) })
    assert.equal(name('9', 1), undefined, 'nothing of it was published')
    publish('10', 1)
    assert.equal(name('10', 2), undefined)
    assert.equal(name('12', 3)?.cause, 'source')
    assert.equal(name('12', 4), undefined)
    assert.equal(publish('13', 5, '12'), undefined, 'flagged already')
  })

  test('a shard that came from another process says so, for markets known and new', () => {
    publish('a', 1)
    watch.interruptShard(SHARD, (market) => market === MARKET, NOON + 2 * SECOND)
    assert.deepEqual(publish('b', 5), [1, 5, false, 'takeover'])
    const other = watch.close('kraken:ETH-USD', SHARD, new TradeWindow(), trade('x', 7))
    assert.deepEqual([other?.from, other?.cause], [NOON + 2 * SECOND, 'takeover'])
  })

  test('a market that is forgotten counts as one that nobody has watched', () => {
    publish('a', 1)
    watch.forget((market) => market === MARKET)
    assert.deepEqual(publish('b', 3), [1, 3, false, 'restart'])
  })
})
