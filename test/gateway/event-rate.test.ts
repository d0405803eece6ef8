import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createEventRate, throttledEndpoint } from '../../src/gateway/event-rate.ts'
import type { AppEndpoint } from '../../src/ports/transport.ts'

const NEVER = new AbortController().signal

function endpointOf(sent: number[]): AppEndpoint {
  return {
    ...{ id: 'e', pendingBytes: 7, closed: false, send() {}, async drained() {} },
    sendEncoded: (_bytes, _cursor, events) => sent.push(events),
  }
}

describe('the rate of events of an application', () => {
  test('lets the events of a second through at once, then as many a second as it says', () => {
    let now = 0
    const rate = createEventRate(100, () => now)
    rate.count(60)
    assert.equal(rate.isSpent, false)
    rate.count(60)
    assert.equal(rate.isSpent, true, 'twenty too many')
    now += 200
    assert.equal(rate.isSpent, true)
    now += 10
    assert.equal(rate.isSpent, false)
    now += 60_000
    rate.count(100)
    assert.equal(rate.isSpent, true, 'no more than a second is saved')
  })

  test('makes a connection full, for all connections that share it, and lets nothing get lost', async () => {
    let now = 0
    const rate = createEventRate(1_000, () => now)
    const sent: number[] = []
    const [one, other] = [
      throttledEndpoint(endpointOf(sent), rate),
      throttledEndpoint(endpointOf(sent), rate),
    ]
    assert.equal(one.pendingBytes, 7)
    one.sendEncoded(Buffer.from('{}'), 'c', 1_010)
    assert.deepEqual(sent, [1_010])
    assert.ok(other.pendingBytes > 1e9)
    let isReady = false
    const ready = other.drained(10, NEVER).then(() => {
      isReady = true
    })
    assert.equal(isReady, false)
    now += 20
    await ready
    assert.equal(other.pendingBytes, 7)
  })

  test('waits no longer than its signal', async () => {
    const stop = new AbortController()
    const rate = createEventRate(1, () => 0)
    rate.count(1_000)
    const waiting = rate.ready(stop.signal)
    stop.abort(new Error('over'))
    await assert.rejects(waiting, /over|abort/i)
  })
})
