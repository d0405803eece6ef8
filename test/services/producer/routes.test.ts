import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { knownAt, type Route, SLACK_MS, startOf } from '../../../src/services/producer/route.ts'
import { routing, type StreamOf } from './routed-streams.ts'
import { ownedShard } from './shards.ts'

/** One shard whose fixed topics are derived up to 100, and a clock that the test moves. */
function setUp(checkpoint: Parameters<typeof ownedShard>[0] = {}) {
  const clock = { ms: 1_000_000 }
  const shard = ownedShard({
    ...checkpoint,
    checkpoint: { registryOffset: 2, positions: { trade: 90, quote: 90 }, ...checkpoint.checkpoint },
  })
  const world = routing([shard], () => clock.ms)
  const { routes, write } = world
  const add = (stream: StreamOf): Route => {
    write(stream)
    const route = routes.table.get(stream.id)
    assert.ok(route)
    return route
  }
  const due = (): string[] => [...routes.due()].map(({ id }) => id)
  return { ...world, clock, shard, add, due }
}

/** As far as the tests look at it. */
function progressOf(route: Route) {
  const { notBefore, behind, latestDue, anew } = route.progress.get(0) ?? {}
  return { notBefore, behind, latestDue, anew: anew?.reason }
}

describe('the streams of the registry', () => {
  test('are routed when they are ready, and no longer when they end', () => {
    const { routes, write } = setUp()
    write({ id: 's', state: 'creating' })
    assert.equal(routes.table.get('s'), undefined)
    write({ id: 's' })
    assert.equal(routes.table.get('s')?.topic, 'app.s')
    assert.equal(routes.coveredOffset, 2)
    write({ id: 's', state: 'ending' })
    assert.equal(routes.table.get('s'), undefined)
  })

  test('that the checkpoint covers are as far as it says, the others begin at their start', () => {
    const { add } = setUp({ checkpoint: { behind: { slow: 40 } } })
    const level = { latestDue: false, anew: undefined }
    assert.deepEqual(progressOf(add({ id: 'covered', start: [7] })), {
      ...level,
      ...{ notBefore: 90, behind: undefined },
    })
    assert.deepEqual(progressOf(add({ id: 'slow', start: [7] })), { ...level, notBefore: 40, behind: 40 })
    assert.deepEqual(progressOf(add({ id: 'new', start: [70] })), { ...level, notBefore: 70, behind: 70 })
    assert.deepEqual(progressOf(add({ id: 'newest', start: [95] })), {
      ...level,
      ...{ notBefore: 95, behind: undefined },
    })
  })

  test('read from the log what was chosen without them', () => {
    const { add, shard } = setUp()
    shard.tails.trade.chosenTo = 96
    add({ id: 'one' })
    add({ id: 'two' })
    assert.equal(progressOf(add({ id: 'new', start: [95] })).behind, 95)
  })

  test('of quotes begin with the latest known ones, those that began before do not', () => {
    const { add } = setUp()
    assert.equal(progressOf(add({ id: 'covered', channel: 'quote' })).latestDue, false)
    add({ id: 'other' })
    assert.equal(progressOf(add({ id: 'new', channel: 'quote', start: [95] })).latestDue, true)
    assert.equal(progressOf(add({ id: 'new status', channel: 'status', start: [95] })).latestDue, false)
  })

  test('begin anew, with a word, where their fixed topic was made anew', () => {
    const lost = new Map([['trade', { code: 'TOPIC_REPLACED', reason: 'made anew' }] as const])
    const { add } = setUp({ lost, log: { since: 5 }, checkpoint: { positions: {} } })
    assert.deepEqual(progressOf(add({ id: 's', start: [70] })), {
      ...{ notBefore: 0, behind: 0, latestDue: false, anew: 'made anew' },
    })
  })
})

test('a start lies in the log of now: none of a topic that is gone, none beyond an end that was lost', () => {
  const { add } = setUp()
  const early = add({ id: 'early', start: [70] })
  const late = add({ id: 'late', start: [70] })
  assert.equal(startOf(early, ownedShard()), 70)
  assert.equal(startOf(early, ownedShard({ log: { since: early.readyOffset + 1 } })), 0)
  const lostEnds = [{ from: 50, to: 80, registryOffset: late.readyOffset }]
  assert.equal(startOf(early, ownedShard({ log: { lostEnds } })), 50)
  assert.equal(startOf(late, ownedShard({ log: { lostEnds } })), 70)
})

describe('a stream that is behind', () => {
  test('is due, and each that was helped on lets the others go first', () => {
    const { routes, add, due } = setUp()
    const [a, b] = [add({ id: 'a' }), add({ id: 'b' })]
    assert.equal(routes.isCatchUpDue(), false)
    routes.fallBehind(a, () => 90, false)
    routes.fallBehind(b, () => 91, false)
    assert.deepEqual([due(), routes.behind(0)], [['a', 'b'], { a: 90, b: 91 }])
    routes.served(a)
    assert.deepEqual(due(), ['b', 'a'])
  })

  test('keeps the first place it fell behind from, and has its topic read for what was sent', () => {
    const { routes, add, clock } = setUp()
    const route = add({ id: 's' })
    routes.fallBehind(route, () => 90, true)
    clock.ms += 5
    routes.fallBehind(route, () => 95, true)
    const progress = route.progress.get(0)
    assert.deepEqual([progress?.behind, progress?.prepared, progress?.sentAt], [90, false, 1_000_000])
  })

  test('is not due while its shard is not owned, or what it has to read rests', () => {
    const { routes, add, due, owned, shard, clock } = setUp()
    routes.fallBehind(add({ id: 's' }), () => 90, false)
    owned.delete(0)
    assert.deepEqual(due(), [])
    owned.set(0, shard)
    routes.rest(0, 'quote')
    assert.deepEqual(due(), ['s'], 'another channel rests')
    routes.rest(0, 'trade')
    assert.deepEqual(due(), [])
    clock.ms += 1_000
    assert.deepEqual(due(), ['s'])
    routes.rest(0, 'trade')
    clock.ms += 1_000
    assert.deepEqual(due(), [], 'it rests longer each time')
    routes.wake(0, 'trade')
    assert.deepEqual(due(), ['s'])
  })

  test('is forgotten once it is level on every shard, and when its shard is another process’s', () => {
    const { routes, add } = setUp()
    const [a, b] = [add({ id: 'a' }), add({ id: 'b' })]
    for (const route of [a, b]) routes.fallBehind(route, () => 90, false)
    routes.settle(a)
    assert.equal(routes.unsettled.has(a), true, 'it is not level yet')
    const progress = a.progress.get(0)
    assert.ok(progress)
    progress.behind = undefined
    routes.settle(a)
    routes.leaveShard(0)
    assert.equal(routes.unsettled.size, 0)
  })
})

test('topics that cannot be written rest together, and one is tried at a time, the longest waiting first', () => {
  const { routes, add, due, clock } = setUp()
  for (const id of ['a', 'b', 'c']) {
    const route = add({ id })
    routes.fallBehind(route, () => 90, false)
    if (id !== 'c') routes.setAside(route)
  }
  const [a] = routes.aside
  assert.deepEqual(due(), ['c'], 'the others do not wait for them')
  clock.ms += 30_000
  assert.deepEqual(due(), ['a', 'c'])
  assert.ok(a)
  routes.setAside(a)
  clock.ms += 30_000
  assert.deepEqual(due(), ['b', 'c'])
  routes.restore(a)
  assert.deepEqual(due(), ['b', 'a', 'c'])
  routes.settle(a)
  assert.equal(routes.unsettled.has(a), true, 'it is still behind')
})

describe('what the next owner of a shard is told of streams', () => {
  test('of one that is behind for long and whose topic could not be looked into: since when', () => {
    const { routes, add, clock, shard } = setUp({ checkpoint: { at: 999_000 } })
    const route = add({ id: 's' })
    routes.fallBehind(route, () => 90, false)
    assert.equal(routes.passedOver(0), undefined, 'the checkpoint is young enough')
    clock.ms += SLACK_MS
    assert.deepEqual(routes.passedOver(0), { s: { at: 999_000, positions: { trade: 90 } } })
    const progress = route.progress.get(0)
    assert.ok(progress)
    assert.equal(knownAt(progress, shard), 999_000)
    progress.isRead = true
    assert.equal(routes.passedOver(0), undefined, 'this owner has read it')
  })

  test('of one that is not understood: how far it was derived', () => {
    const { routes, view, add, owned, clock } = setUp()
    add({ id: 's' })
    view.withhold(view.nextOffset, 'stream:s', 'of a later version')
    routes.sync(owned.values())
    assert.equal(routes.table.get('s'), undefined, 'it is not derived any more')
    assert.deepEqual(routes.passedOver(0), { s: { at: clock.ms, positions: { trade: 90 } } })
    add({ id: 's' })
    assert.equal(routes.passedOver(0), undefined, 'it is understood again')
  })
})
