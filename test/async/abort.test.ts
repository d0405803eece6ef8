import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import { onAbort, untilAborted, untilDone, whenAborted, withAbort } from '../../src/async/abort.ts'
import { doubled } from '../../src/async/back-off.ts'

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

describe('waits that a signal ends', () => {
  test('onAbort runs once, at once where the signal has aborted, and never after it was taken back', () => {
    const stop = new AbortController()
    let runs = 0
    const off = onAbort(stop.signal, () => runs++)
    onAbort(stop.signal, () => runs++)
    off()
    stop.abort()
    assert.equal(runs, 1)
    onAbort(stop.signal, () => runs++)
    assert.equal(runs, 2)
  })

  test('untilAborted gives the outcome, or the reason of the signal, and leaves no listener', async () => {
    const stop = new AbortController()
    assert.equal(await untilAborted(Promise.resolve(1), stop.signal), 1)
    await assert.rejects(untilAborted(Promise.reject(new Error('work')), stop.signal), /work/)
    await new Promise(setImmediate)
    assert.equal(listeners(stop.signal), 0)
    const waiting = untilAborted(new Promise(() => {}), stop.signal)
    stop.abort(new Error('stopped'))
    await assert.rejects(waiting, /stopped/)
    const named = untilAborted(new Promise(() => {}), stop.signal, () => new Error('named'))
    await assert.rejects(named, /named/)
  })

  test('untilDone ends without an error when the signal aborts, and raises what the work raises', async () => {
    const stop = new AbortController()
    await assert.rejects(untilDone(Promise.reject(new Error('work')), stop.signal), /work/)
    const waiting = untilDone(new Promise(() => {}), stop.signal)
    stop.abort()
    await waiting
    await whenAborted(stop.signal)
  })

  test('withAbort hands the abort on, and leaves no listener', async () => {
    const stop = new AbortController()
    await withAbort(stop.signal, async ({ signal }) => assert.equal(signal.aborted, false))
    assert.equal(listeners(stop.signal), 0)
    const work = withAbort(stop.signal, ({ signal }) => untilAborted(new Promise(() => {}), signal))
    stop.abort(new Error('stopped'))
    await assert.rejects(work, /stopped/)
  })
})

test('a doubled wait grows from the first to the longest', () => {
  assert.deepEqual(
    [-1, 0, 1, 2, 3, 1_000].map((failures) => doubled(20, 100, failures)),
    [20, 20, 40, 80, 100, 100],
  )
})
