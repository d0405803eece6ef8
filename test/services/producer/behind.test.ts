import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { TapelineError } from '../../../src/errors.ts'
import { NEVER, setUp, trades } from './one-shard.ts'

type World = Awaited<ReturnType<typeof setUp>>

const ids = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `t${from + i}`)

/** Derives what is in hand, and helps streams on that are behind, so many steps. */
async function step({ services }: World, steps = 1): Promise<void> {
  for (let n = 0; n < steps; n++) await services.publishDynamic(NEVER)
}

/** A write to a topic fails, and the broker names it. */
function refuse({ mine }: World, topic: string, isRefused: () => boolean): void {
  mine.beforePublish = async (entries) => {
    if (!isRefused() || !entries.some((entry) => entry.topic === topic)) return
    const partitions = [{ topic, partition: 0 }]
    throw new TapelineError('BROKER_UNAVAILABLE', 'no leader', { partitions })
  }
}

/** Two streams of all trades, of which app.one could not be written for the last two, and can be again. */
async function setUpOneBehind(t: TestContext) {
  const world = await setUp(t)
  const { services, announce, derive } = world
  await announce('app.one', ['*'], 0)
  await announce('app.two', ['*'], 0)
  await services.publishFixed(trades('A-A', ...ids(0, 2)), NEVER)
  await derive()
  let isBad = true
  refuse(world, 'app.one', () => isBad)
  await services.publishFixed(trades('A-A', ...ids(2, 4)), NEVER)
  await step(world)
  isBad = false
  return world
}

test('a stream whose topic the broker does not show for a while misses nothing, and keeps no other waiting', async (t) => {
  const world = await setUp(t)
  const { services, announce, idsIn, derive, state, clock } = world
  await announce('app.one', ['*'], 0)
  await announce('app.two', ['*'], 0)
  await services.publishFixed(trades('A-A', ...ids(0, 2)), NEVER)
  await derive()
  state.hidden.add('app.one')
  await services.publishFixed(trades('A-A', ...ids(2, 4)), NEVER)
  await step(world)
  assert.equal(services.topicsAside(), 1, 'it is visible')
  await services.publishFixed(trades('A-A', ...ids(4, 6)), NEVER)
  await step(world)
  assert.deepEqual(await idsIn('app.two'), ids(0, 6))
  for (let looks = 0; looks < 3; looks++) {
    clock.skippedMs += 60_000
    await step(world)
  }
  state.hidden.clear()
  assert.deepEqual(await idsIn('app.one'), ids(0, 2))
  clock.skippedMs += 60_000
  await services.publishFixed(trades('A-A', ...ids(6, 8)), NEVER)
  await derive()
  assert.deepEqual(await idsIn('app.one'), ids(0, 8))
  assert.deepEqual(await idsIn('app.two'), ids(0, 8))
  assert.equal(services.topicsAside(), 0)
  assert.equal(state.listed, 0, 'nobody asks for the whole cluster')
})

test('nothing is written to a topic that others made anew', async (t) => {
  const world = await setUp(t)
  const { services, announce, idsIn, derive, state, clock } = world
  await announce('app.one', ['*'], 0)
  await announce('app.two', ['*'], 0)
  await services.publishFixed(trades('A-A', ...ids(0, 2)), NEVER)
  await derive()
  // It is deleted, as far as this process sees, and another one comes.
  state.hidden.add('app.one')
  await services.publishFixed(trades('A-A', ...ids(2, 4)), NEVER)
  await step(world)
  state.replaced.add('app.one')
  state.hidden.clear()
  for (let looks = 0; looks < 3; looks++) {
    clock.skippedMs += 60_000
    await services.publishFixed(trades('A-A', `more${looks}`), NEVER)
    await step(world)
  }
  assert.deepEqual(await idsIn('app.one'), ids(0, 2))
  assert.deepEqual(await idsIn('app.two'), [...ids(0, 4), 'more0', 'more1', 'more2'])
  assert.equal(services.topicsAside(), 1)
})

test('a stream that was set aside for an hour makes no other wait that is a little behind', async (t) => {
  const world = await setUp(t)
  const { services, announce, idsIn, derive, clock } = world
  await announce('app.bad', ['*'], 0)
  await announce('app.good', ['B-*'], 0)
  await services.publishFixed(trades('B-B', 'b0'), NEVER)
  await derive()
  let isBad = true
  refuse(world, 'app.bad', () => isBad)
  for (let n = 0; n < 40_000; n += 5_000) {
    await services.publishFixed(trades(`A-${n}`, ...ids(n, n + 5_000)), NEVER)
    await step(world)
  }
  assert.equal(services.topicsAside(), 1)
  // The good one falls behind: a write of unknown outcome.
  isBad = false
  refuse(world, 'app.good', () => isBad)
  isBad = true
  await services.publishFixed(trades('B-B', 'b1'), NEVER)
  await step(world)
  isBad = false
  clock.skippedMs += 60_000
  await step(world, 2)
  assert.deepEqual(await idsIn('app.good'), ['b0', 'b1'], 'it has caught up')
  const bad = await idsIn('app.bad')
  assert.ok(bad.length < 35_000, `the other is still behind: ${bad.length}`)
  clock.skippedMs += 60_000
  await derive()
  assert.deepEqual(await idsIn('app.bad'), ['b0', ...ids(0, 40_000), 'b1'])
})

test('a read that fails while a stream catches up is no failure of the step, and is tried again', async (t) => {
  const world = await setUpOneBehind(t)
  const { services, mine, idsIn, derive, clock } = world
  clock.skippedMs += 60_000
  const { openReader } = mine
  let refused = 0
  mine.openReader = async () => {
    refused++
    throw new TapelineError('BROKER_UNAVAILABLE', 'a partition has no leader')
  }
  await services.publishFixed(trades('A-A', ...ids(4, 6)), NEVER)
  await step(world, 20)
  assert.ok(refused >= 1 && refused < 10, `it rests in between: ${refused}`)
  const { dynamicWaiting } = await services.publishDynamic(NEVER)
  assert.equal(dynamicWaiting, false, 'nothing calls for another step while it rests')
  mine.openReader = openReader
  clock.skippedMs += 60_000
  await derive()
  assert.deepEqual(await idsIn('app.one'), ids(0, 6))
  assert.deepEqual(await idsIn('app.two'), ids(0, 6))
})

test('a stream that is behind on a shard in doubt calls for no step until the shard is owned again', async (t) => {
  const world = await setUpOneBehind(t)
  const { services, mine, idsIn, derive, clock } = world
  mine.beforePublish = async () => {}
  // The broker is away, and nobody knows whose the shard is.
  await mine.lose()
  const waiting = trades('A-A', ...ids(4, 6))
  await assert.rejects(services.publishFixed(waiting, NEVER), {
    code: 'BROKER_UNAVAILABLE',
  })
  clock.skippedMs += 60_000
  const { dynamicWaiting } = await services.publishDynamic(NEVER)
  assert.equal(dynamicWaiting, false, 'nothing can be done for it')
  await mine.find()
  await services.publishFixed(waiting, NEVER)
  clock.skippedMs += 60_000
  await derive()
  assert.deepEqual(await idsIn('app.one'), ids(0, 6))
  assert.deepEqual(await idsIn('app.two'), ids(0, 6))
})
