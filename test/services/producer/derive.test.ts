import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Channel } from '../../../src/domain/events.ts'
import {
  addLatest,
  type DerivedRecord,
  deriveLive,
  resetMarker,
} from '../../../src/services/producer/derive.ts'
import type { Routes } from '../../../src/services/producer/routes.ts'
import { WindowSteps } from '../../../src/services/producer/window-steps.ts'
import { NAMES } from '../../names.ts'
import { quietMeter } from '../../quiet.ts'
import { routesOf } from './routed-streams.ts'
import { ownedShard, published } from './shards.ts'

/** What is derived, by stream: the bodies. */
function bodies(derivation: ReadonlyMap<{ readonly id: string }, readonly DerivedRecord[]>) {
  return Object.fromEntries(
    [...derivation].map(([{ id }, records]) => [
      id,
      records.map(({ record }) => Buffer.from(record.value ?? []).toString()),
    ]),
  )
}

test('a derived record is the record that caused it, with its position and the owner that wrote it', () => {
  const shard = ownedShard({ k: 2, epoch: 7 })
  const routes = routesOf([shard], [{ id: 's', symbols: ['*'] }])
  shard.tails.trade.pending.push(published(40, 'A-B'))
  const [[{ record, offset } = assert.fail()] = assert.fail()] = deriveLive(
    [shard],
    routes,
    NAMES.fixed,
    new WindowSteps(quietMeter),
  ).values()
  assert.equal(offset, 40)
  assert.equal(record.key, 'kraken:A-B')
  assert.equal(String(record.value), 'A-B 40')
  assert.deepEqual(record.headers, {
    ...{ v: 1, kind: 'event', shard: 2, epoch: 7 },
    position: { topic: 'market.trades', partition: 2, offset: 40 },
  })
})

test('each stream gets in order what it asks for, of all shards, and nothing from before its start', () => {
  const shards = [ownedShard({ k: 0 }), ownedShard({ k: 1 })]
  const routes = routesOf(shards, [
    { id: 'all', symbols: ['*'] },
    { id: 'some', symbols: ['A-*'], start: [12, 0] },
    { id: 'other channel', symbols: ['*'], channel: 'status' },
  ])
  shards[0]?.tails.trade.pending.push(published(11, 'A-B'), published(12, 'A-B'), published(13, 'C-D'))
  shards[1]?.tails.trade.pending.push(published(5, 'A-E'))
  assert.deepEqual(bodies(deriveLive(shards, routes, NAMES.fixed, new WindowSteps(quietMeter))), {
    all: ['A-B 11', 'A-B 12', 'C-D 13', 'A-E 5'],
    some: ['A-B 12', 'A-E 5'],
  })
})

test('a stream gets only what its filter takes, and only the fields that it names', () => {
  const shard = ownedShard()
  const routes = routesOf(
    [shard],
    [
      { id: 'large', symbols: ['*'], where: 'size >= 3' },
      { id: 'short', symbols: ['*'], fields: ['exchange', 'symbol', 'size', 'ts'] },
      { id: 'none', symbols: ['*'], where: 'side == "sell"' },
    ],
  )
  shard.tails.trade.pending.push(published(2, 'A-B'), published(3, 'A-B'))
  const derived = deriveLive([shard], routes, NAMES.fixed, new WindowSteps(quietMeter))
  const short = (size: number): string => `{"exchange":"kraken","symbol":"A-B","size":${size},"ts":1}`
  assert.deepEqual(bodies(derived), { large: ['A-B 3'], short: [short(2), short(3)] })
  const offsets = [...derived.values()].map((records) =>
    records.map(({ record }) => record.headers.position?.offset),
  )
  assert.deepEqual(offsets, [[2, 3], [3]], 'a position says what caused a record')
})

test('a stream that is behind on a shard gets nothing of it before it has caught up, and all of the others', () => {
  const shards = [ownedShard({ k: 0 }), ownedShard({ k: 1 })]
  const routes = routesOf(shards, [{ id: 's', symbols: ['*'] }])
  shards[0]?.tails.trade.pending.push(published(1, 'A-B'))
  shards[1]?.tails.trade.pending.push(published(2, 'C-D'))
  const progress = routes.table.get('s')?.progress.get(0)
  assert.ok(progress)
  progress.behind = 0
  assert.deepEqual(bodies(deriveLive(shards, routes, NAMES.fixed, new WindowSteps(quietMeter))), {
    s: ['C-D 2'],
  })
})

test('a shard that a stream was not placed on derives nothing for it', () => {
  const routes = routesOf([ownedShard({ k: 0 })], [{ id: 's', symbols: ['*'] }])
  const unknown = ownedShard({ k: 1 })
  unknown.tails.trade.pending.push(published(1, 'A-B'))
  assert.equal(deriveLive([unknown], routes, NAMES.fixed, new WindowSteps(quietMeter)).size, 0)
})

/** A shard whose latest quotes are known, and a stream of some of them that begins now. */
function beginning(channel: Channel, start = 9) {
  const shard = ownedShard()
  for (const record of [published(7, 'C-D'), published(3, 'A-B'), published(9, 'A-E')])
    shard.tails[channel].latest.set(record.market, record)
  shard.tails[channel].pending.push(published(10, 'A-B'))
  const routes = routesOf([shard], [{ id: 's', symbols: ['A-*', 'C-D'], channel, start: [start] }])
  const live = deriveLive([shard], routes, NAMES.fixed, new WindowSteps(quietMeter))
  const add = (of: Routes = routes) => addLatest(live, new Map([[0, shard]]), of, NAMES.fixed)
  return { routes, live, add }
}

test('a stream of quotes begins with the latest known ones from before its start, in order, in front of what is new', () => {
  const { live, add, routes } = beginning('quote')
  const begun = add()
  assert.deepEqual(bodies(live), { s: ['A-B 3', 'C-D 7', 'A-B 10'] })
  assert.deepEqual(begun, [routes.table.get('s')?.progress.get(0)])
})

test('a stream that is behind does not begin yet, nor does one of trades begin with old ones', () => {
  const { live, add, routes } = beginning('quote')
  const progress = routes.table.get('s')?.progress.get(0)
  assert.ok(progress)
  progress.behind = 5
  assert.deepEqual([add(), bodies(live)], [[], { s: ['A-B 10'] }])
  const trades = beginning('trade')
  assert.deepEqual([trades.add(), bodies(trades.live)], [[], { s: ['A-B 10'] }])
})

test('a marker that says that history is gone has the reason, and the partition that begins anew', () => {
  const shard = ownedShard({ k: 1, epoch: 4 })
  const position = { topic: 'market.trades', partition: 1, offset: 0 }
  const { record, offset } = resetMarker(shard, 8, 'retention', position)
  assert.deepEqual(
    [offset, record.key, JSON.parse(Buffer.from(record.value ?? []).toString())],
    [8, null, { reset: 'retention' }],
  )
  assert.deepEqual(record.headers, { v: 1, kind: 'marker', shard: 1, epoch: 4, position })
  assert.equal('position' in resetMarker(shard, 8, 'retention').record.headers, false)
})
