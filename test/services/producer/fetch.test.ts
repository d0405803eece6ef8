import assert from 'node:assert/strict'
import { test } from 'node:test'
import { untilAborted } from '../../../src/async/abort.ts'
import type { Source, SourceItem } from '../../../src/ports/source.ts'
import { createSourceFetch } from '../../../src/services/producer/fetch.ts'
import type { ProducerParts } from '../../../src/services/producer/parts.ts'
import { idleSource } from './idle-source.ts'
import { NEVER, setUp, trades } from './one-shard.ts'

const NEVER_SETTLES = new Promise<never>(() => {})

/** A source that gives what it has to whoever does not wait, and to whoever waits nothing, ever. */
function patientSource(items: SourceItem[]): Source {
  return {
    ...idleSource,
    next: ({ waitMs }, signal) =>
      waitMs === 0 ? Promise.resolve({ items: items.splice(0) }) : untilAborted(NEVER_SETTLES, signal),
  }
}

const fetchOf = (source: Source) => createSourceFetch({ source, lingerMs: 0 } as unknown as ProducerParts)

test('what is to be done besides ends the wait for data, and what the source has by then is not lost', async () => {
  const items: SourceItem[] = []
  const fetch = fetchOf(patientSource(items))
  const waiting = fetch.next(1_000, true, NEVER)
  items.push(...trades('A-A', 'a1').items)
  fetch.wake()
  const batch = await waiting
  assert.equal(batch.items.length, 1)
  batch.done()
  fetch.wake()
  const next = await fetch.next(1_000, true, NEVER)
  assert.deepEqual(next.items, [], 'it waits for nothing where something came in between')
  next.done()
  const stop = new AbortController()
  const aborted = fetch.next(1_000, true, stop.signal)
  stop.abort(new Error('stopped'))
  await assert.rejects(aborted, /stopped/)
})

test('a stream that becomes ready ends the wait for data', async (t) => {
  const { services } = await setUp(t)
  const waiting = services.fetchData(86_400_000, NEVER)
  services.applyNotification({ ready: ['app.new'], ended: [] })
  assert.deepEqual((await waiting).items, [])
})

test('a source that is closed and answers at once leaves room for all else', async () => {
  const fetch = fetchOf({ ...idleSource, next: () => Promise.resolve({ items: [] }) })
  let hadRoom = false
  setTimeout(() => {
    hadRoom = true
  })
  for (let fetches = 0; !hadRoom; fetches++) {
    // Far more than a fast machine does in the millisecond of the timer.
    assert.ok(fetches < 1_000_000, 'no timer came through')
    const batch = await fetch.next(1_000, true, NEVER)
    batch.done()
  }
})
