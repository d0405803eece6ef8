import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import type { StreamBatch } from '../../../src/ports/pipeline.ts'
import { createInbox } from '../../../src/services/consumer-dynamic/inbox.ts'

const NEVER = new AbortController().signal

/** A batch of so many events. */
function batch(count: number, topic = 'app.s'): StreamBatch {
  const events = Array.from({ length: count }, (_, offset) => ({ offset, value: new Uint8Array() }))
  return { topic, topicId: 'T', from: 0, next: count, after: emptyMemory(), events, reset: null }
}

function setUp() {
  const overflown: StreamBatch[] = []
  return { inbox: createInbox((each) => overflown.push(each)), overflown }
}

test('what has arrived is handed over together, in order, and again until it is done', async () => {
  const { inbox } = setUp()
  const [first, second, third] = [batch(1), batch(2), batch(3)]
  inbox.push(first)
  inbox.push(second)
  const held = await inbox.receive(NEVER)
  assert.deepEqual(held.fetches, [first, second])
  inbox.push(third)
  assert.equal(await inbox.receive(NEVER), held)
  held.done()
  assert.deepEqual((await inbox.receive(NEVER)).fetches, [third])
})

test('a cycle takes ten thousand events, as far as whole batches allow', async () => {
  const { inbox } = setUp()
  for (let i = 0; i < 3; i++) inbox.push(batch(6_000))
  const held = await inbox.receive(NEVER)
  assert.equal(held.fetches.length, 2)
  held.done()
  assert.equal((await inbox.receive(NEVER)).fetches.length, 1)
})

test('what finds no room is told, and there is room again once something was taken', async () => {
  const { inbox, overflown } = setUp()
  for (let i = 0; i < 5; i++) inbox.push(batch(10_000))
  const refused = batch(0)
  inbox.push(refused)
  assert.deepEqual(overflown, [refused], 'one without events needs room too')
  const held = await inbox.receive(NEVER)
  inbox.push(batch(10_000))
  assert.equal(overflown.length, 1)
  held.done()
})

test('who waits is woken by what arrives, and by an abort', async () => {
  const { inbox } = setUp()
  const waiting = inbox.receive(NEVER)
  const arrived = batch(1)
  inbox.push(arrived)
  const held = await waiting
  assert.deepEqual(held.fetches, [arrived])
  held.done()
  const stop = new AbortController()
  const givenUp = inbox.receive(stop.signal)
  stop.abort()
  await assert.rejects(givenUp, { name: 'AbortError' })
  inbox.push(arrived)
  assert.deepEqual((await inbox.receive(NEVER)).fetches, [arrived], 'it lost nothing')
})
