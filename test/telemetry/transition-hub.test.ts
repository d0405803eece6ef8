import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Transition, TransitionNews } from '../../src/ports/actors.ts'
import { createTransitionHub } from '../../src/telemetry/transition-hub.ts'

const step = (ts: number, event = 'DATA_READY'): Transition => {
  return { ts, actor: 'producer', machine: 'producer', from: 'fetchingData', event, to: 'publishingFixed' }
}
const EDGE = 'producer.fetchingData.DATA_READY.publishingFixed'

describe('the hub of transitions', () => {
  test('counts and keeps the last ones while nobody watches, and starts no timer', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const hub = createTransitionHub('here')
    for (let ts = 1; ts <= 1_000; ts++) hub.record(step(ts))
    const { transitions, counts } = hub.latest()
    assert.deepEqual(counts, { [EDGE]: 1_000 })
    assert.deepEqual(
      transitions.map(({ ts }) => ts),
      Array.from({ length: 100 }, (_, i) => 901 + i),
    )
  })

  test('tells all watchers the same, nothing twice, and nobody who has stopped', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const hub = createTransitionHub('here')
    hub.record(step(1))
    const [first, second]: [TransitionNews[], TransitionNews[]] = [[], []]
    const watch = hub.watch((news) => first.push(news))
    hub.watch((news) => second.push(news))
    t.mock.timers.tick(1_000)
    hub.record(step(2))
    hub.record(step(3, 'FETCH_FAILURE'))
    t.mock.timers.tick(1_000)
    watch.stop()
    hub.record(step(4))
    t.mock.timers.tick(1_000)
    const times = (all: readonly TransitionNews[]) =>
      all.map(({ transitions }) => transitions.map(({ ts }) => ts))
    assert.deepEqual(times(first), [[2, 3]])
    assert.deepEqual(times(second), [[2, 3], [4]])
    assert.equal(first[0]?.counts[EDGE], 2)
  })

  test('says how many it left out of one piece of news', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const hub = createTransitionHub('here')
    const told: TransitionNews[] = []
    hub.watch((news) => told.push(news))
    for (let ts = 1; ts <= 5_000; ts++) hub.record(step(ts))
    t.mock.timers.tick(1_000)
    const [news] = told
    assert.equal((news?.transitions.length ?? 0) + (news?.skipped ?? 0), 5_000)
    assert.ok((news?.skipped ?? 0) > 0)
    assert.equal(news?.counts[EDGE], 5_000)
    hub.record(step(5_001))
    t.mock.timers.tick(1_000)
    assert.equal(told[1]?.skipped, 0)
  })
})
