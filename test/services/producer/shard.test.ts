import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Trade } from '../../../src/domain/events.ts'
import { TradeWindow } from '../../../src/domain/trade-window.ts'
import { ownedShard } from './shards.ts'

const MARKET = 'kraken:A-B'
const SECOND = 1_000_000

function trade(id: string, second: number): Trade {
  const ts = second * SECOND
  return { exchange: 'kraken', symbol: 'A-B', id, side: 'buy', price: 1, size: 1, ts, recvTs: ts }
}

test('what it publishes carries the shard and its epoch', () => {
  const { headers, reentering, markerHeaders } = ownedShard({ k: 3, epoch: 8 })
  assert.deepEqual(headers, { v: 1, kind: 'event', shard: 3, epoch: 8 })
  assert.deepEqual(reentering, { ...headers, reentering: true })
  assert.deepEqual(markerHeaders, { ...headers, kind: 'marker' })
})

test('a trade that it is about to publish is known from then on, and its market is part of the next checkpoint', () => {
  const shard = ownedShard()
  assert.equal(shard.judge(MARKET, trade('1', 1)), 'new')
  assert.deepEqual([shard.isAhead, shard.changed.size], [false, 0])
  shard.rememberAhead(MARKET, trade('1', 1))
  assert.equal(shard.judge(MARKET, trade('1', 1)), 'duplicate')
  assert.deepEqual([shard.isAhead, [...shard.changed]], [true, [MARKET]])
})

test('where records are gone that nobody has read, trades of that time may have been published', () => {
  const shard = ownedShard({ checkpoint: { unknownTo: 5 * SECOND } })
  const verdict = (second: number) => shard.judge(MARKET, trade('1', second))
  assert.deepEqual([verdict(5), verdict(6)], ['maybe', 'new'])
  shard.missTrades(10 * SECOND)
  // Clocks differ by a minute at most.
  assert.deepEqual([verdict(70), verdict(71)], ['maybe', 'new'])
  shard.missTrades(1)
  assert.equal(shard.unknownTo, 70 * SECOND, 'it never goes back')
  shard.rememberAhead(MARKET, trade('1', 70))
  assert.equal(verdict(70), 'duplicate', 'what is known is known')
})

test('the epoch in front of a position is its own only once it has derived beyond its marker', () => {
  const shard = ownedShard({ epoch: 8, checkpoint: { epochs: { trade: 5 }, positions: { trade: 0 } } })
  // Its marker lies at -1, so a position of -1 lies in front of it.
  assert.equal(shard.epochBefore('trade'), 8)
  shard.tails.trade.derivedTo = -1
  assert.equal(shard.epochBefore('trade'), 5)
  shard.tails.quote.derivedTo = -1
  assert.equal(shard.epochBefore('quote'), -1, 'there was none')
  shard.tails.trade.owners.push({ epoch: 6, offset: -3, marker: -3 })
  assert.equal(shard.epochBefore('trade'), 6, 'a hole has taken it beyond the marker of another')
})

test('it tells the last trade of any market', () => {
  const shard = ownedShard()
  assert.equal(shard.lastTradeTs, -1)
  shard.rememberAhead(MARKET, trade('2', 7))
  shard.rememberAhead('kraken:C-D', trade('1', 4))
  assert.equal(shard.lastTradeTs, 7 * SECOND)
})

test('trades may be missing since its first owner; at the first start only where others owned it before', () => {
  const shard = ownedShard()
  assert.equal(shard.ownedSince(false), -1)
  shard.noteOwner(true, 500)
  assert.deepEqual([shard.ownedSince(true), shard.ownedSince(false)], [-1, 500])
  shard.noteOwner(false, 700)
  shard.noteOwner(false, 300)
  assert.deepEqual([shard.ownedSince(true), shard.ownedSince(false)], [300, 300])
})

test('a market that was forgotten begins again with what cannot be told any more', () => {
  const old = new TradeWindow()
  old.remember(trade('10', 5))
  const shard = ownedShard({ windows: new Map([[MARKET, old]]) })
  shard.forgetMarkets(100 * SECOND)
  assert.equal(shard.windows.has(MARKET), false)
  assert.equal(shard.judge(MARKET, trade('10', 5)), 'maybe')
  assert.equal(shard.judge(MARKET, trade('11', 200)), 'new')
  shard.forgetMarkets(100 * SECOND)
  assert.equal(shard.windows.has(MARKET), true, 'it was asked for meanwhile')
})
