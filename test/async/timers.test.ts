import assert from 'node:assert/strict'
import { beforeEach, describe, mock, test } from 'node:test'
import { delay, startInterval, startTimer } from '../../src/async/timers.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** The longest wait that Node's own timers can hold. */
const LONGEST_MS = 2 ** 31 - 1

describe('timers', () => {
  beforeEach((context) => {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const waits = [mock.method(globalThis, 'setTimeout'), mock.method(globalThis, 'setInterval')]
    assert.ok('after' in context)
    context.after(() => {
      for (const wait of waits) {
        for (const { arguments: given } of wait.mock.calls)
          assert.ok((given[1] ?? 0) <= LONGEST_MS, `Node was asked to wait ${given[1]} ms`)
        wait.mock.restore()
      }
      mock.timers.reset()
    })
  })

  test('a wait of 60 days ends after 60 days', () => {
    let fired = 0
    startTimer(() => fired++, 60 * DAY_MS)
    for (let hour = 0; hour < 60 * 24; hour++) {
      assert.equal(fired, 0, `it fired after ${hour} hours`)
      mock.timers.tick(HOUR_MS)
    }
    // The mocked clock begins each part of the wait at the end of a tick.
    mock.timers.tick(2 * HOUR_MS)
    assert.equal(fired, 1)
  })

  test('one that was stopped, in whichever part of a long wait, fires no more', () => {
    let fired = 0
    const timer = startTimer(() => fired++, 60 * DAY_MS)
    mock.timers.tick(50 * DAY_MS)
    timer.stop()
    mock.timers.tick(60 * DAY_MS)
    assert.equal(fired, 0)
  })

  test('one that was restarted waits the whole time again', () => {
    let fired = 0
    const timer = startTimer(() => fired++, 100)
    mock.timers.tick(99)
    timer.restart()
    mock.timers.tick(99)
    assert.equal(fired, 0)
    mock.timers.tick(1)
    assert.equal(fired, 1)
  })

  test('a period of a year does not fire at once', () => {
    let fired = 0
    const timer = startInterval(() => fired++, 365 * DAY_MS)
    mock.timers.tick(DAY_MS)
    assert.equal(fired, 0)
    timer.stop()
  })

  test('a delay rejects with the reason of its signal, also when that has aborted before', async () => {
    const stop = new AbortController()
    const waiting = delay(60 * DAY_MS, stop.signal)
    const reason = new Error('enough')
    stop.abort(reason)
    await assert.rejects(waiting, reason)
    await assert.rejects(delay(1, stop.signal), reason)
  })
})
