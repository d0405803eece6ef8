import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegistryRecord } from '../../../src/control/registry-records.ts'
import { RegistryView } from '../../../src/control/registry-view.ts'
import { createLeaseClock } from '../../../src/services/coordinator/lease-clock.ts'
import { NAMES } from '../../names.ts'

const author = { v: 1, instance: 'leader', epoch: 1 } as const

/** A view with one stream and its lease of 10 s. */
function setUp() {
  const view = new RegistryView(NAMES.leaderId)
  const records: RegistryRecord[] = [
    {
      ...author,
      ...{ kind: 'stream', id: 'app.1', state: 'ready', topic: 'app.1', topicId: 't', createdAt: 0 },
      spec: { channel: 'trade', symbols: ['*'], exchanges: [] },
      start: [0],
    },
    {
      ...author,
      ...{ kind: 'lease', id: 'lease', state: 'live', reason: '', app: 'app', streamId: 'app.1' },
      ...{ ttlMs: 10_000, standing: false, opensTopic: true, createdAt: 0 },
    },
  ]
  records.forEach((record, offset) => {
    view.apply(offset, null, record)
  })
  const time = { now: 1_000_000 }
  const clock = createLeaseClock(view, () => time.now)
  /** Looks every second for so many seconds; gives the leases that ended. */
  const watch = (seconds: number, read: readonly string[] = []): string[] => {
    const ended = new Set<string>()
    for (let second = 0; second < seconds; second++) {
      time.now += 1_000
      for (const { id } of clock.expired(read)) ended.add(id)
    }
    return [...ended]
  }
  return { view, clock, time, watch }
}

test('a lease ends when nobody has read it for its time to live, whichever process its readers are in', () => {
  const { watch } = setUp()
  assert.deepEqual(watch(60, ['lease']), [])
  assert.deepEqual(watch(9), [])
  assert.deepEqual(watch(2), ['lease'])
})

test('a leader that stood still has not watched: it ends no lease for the time in which it heard of nobody', () => {
  const { time, watch } = setUp()
  assert.deepEqual(watch(2, ['lease']), [])
  time.now += 3_600_000
  assert.deepEqual(watch(1), [])
  assert.deepEqual(watch(20), ['lease'])
})

test('a clock that is set back, or forward, ends nothing', () => {
  const { time, watch } = setUp()
  watch(1, ['lease'])
  for (const step of [-86_400_000, 86_400_000]) {
    time.now += step
    assert.deepEqual(watch(1), [])
  }
})

test('a topic goes when it has had no lease for the grace, counted anew by a new leader', () => {
  const { view, clock, time } = setUp()
  view.apply(2, 'lease:lease', null)
  const look = (seconds: number): number => {
    let due = 0
    for (let second = 0; second < seconds; second++) {
      time.now += 1_000
      due = clock.abandoned({ graceMs: 30_000, retentionMs: 60_000 }).unwanted.length
    }
    return due
  }
  assert.equal(look(29), 0)
  clock.restart()
  assert.equal(look(29), 0)
  assert.equal(look(2), 1)
})
