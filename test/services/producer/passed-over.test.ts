import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHANNELS } from '../../../src/domain/events.ts'
import { PassedOverStreams } from '../../../src/services/producer/passed-over.ts'
import { routesOf } from './routed-streams.ts'
import { ownedShard } from './shards.ts'

/** What a checkpoint of the owner before says: derived up to 90, of all that was registered before offset 10. */
const CHECKPOINT = { at: 500, registryOffset: 10, positions: { trade: 90, quote: 80 }, behind: { slow: 40 } }

const unknown = (id: string, offset: number) => ({ id, offset, route: undefined })

test('a stream that this owner derived is as far as the others, or where it was behind', () => {
  const shard = ownedShard({ checkpoint: CHECKPOINT })
  shard.tails.trade.derivedTo = 120
  const route = routesOf([shard], [{ id: 's', start: [200] }]).table.get('s')
  const progress = route?.progress.get(0)
  assert.ok(progress)
  const level = new PassedOverStreams()
  level.add(shard, { id: 's', offset: 3, route }, 1_000)
  assert.deepEqual(level.of(0), { s: { at: 1_000, positions: { trade: 120 } } })
  progress.behind = 110
  const behind = new PassedOverStreams()
  behind.add(shard, { id: 's', offset: 3, route }, 1_000)
  assert.deepEqual(behind.of(0), { s: { at: 1_000, positions: { trade: 110 } } })
})

test('a stream that a former owner derived is as far as its checkpoint says', () => {
  const shard = ownedShard({ checkpoint: CHECKPOINT })
  const passed = new PassedOverStreams()
  passed.add(shard, unknown('level', 9), 1_000)
  passed.add(shard, unknown('slow', 9), 1_000)
  assert.deepEqual(passed.get(shard, 'level'), { at: 500, positions: { trade: 90, quote: 80 } })
  // Nobody knows of which channel it is.
  const positions = Object.fromEntries(CHANNELS.map((channel) => [channel, 40]))
  assert.deepEqual(passed.get(shard, 'slow'), { at: 500, positions })
})

test('a stream that came after the checkpoint is still to be begun', () => {
  const shard = ownedShard({ checkpoint: CHECKPOINT })
  const passed = new PassedOverStreams()
  passed.add(shard, unknown('new', 10), 1_000)
  assert.deepEqual(passed.of(0), { new: { at: 500, positions: {} } })
})

test('what a former owner noted stands, and what was noted first is not moved by later looks', () => {
  const note = { at: 100, positions: { trade: 30 } }
  const shard = ownedShard({ checkpoint: { ...CHECKPOINT, passedOver: { noted: note } } })
  const passed = new PassedOverStreams()
  assert.equal(passed.of(0), undefined)
  assert.deepEqual(passed.get(shard, 'noted'), note, 'also before a look')
  passed.add(shard, unknown('noted', 3), 1_000)
  passed.add(shard, unknown('new', 11), 1_000)
  shard.tails.trade.derivedTo = 500
  passed.add(shard, unknown('noted', 3), 2_000)
  assert.deepEqual(passed.of(0), { noted: note, new: { at: 500, positions: {} } })
})

test('streams that are gone or understood are forgotten, and so is a shard that another process has', () => {
  const shard = ownedShard({ checkpoint: CHECKPOINT })
  const passed = new PassedOverStreams()
  passed.add(shard, unknown('gone', 9), 0)
  passed.add(shard, unknown('still', 9), 0)
  passed.forgetOthers(new Set(['still']))
  assert.deepEqual(Object.keys(passed.of(0) ?? {}), ['still'])
  passed.leaveShard(0)
  assert.equal(passed.of(0), undefined)
})
