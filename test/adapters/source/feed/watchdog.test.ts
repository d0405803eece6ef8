import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import { Watchdog } from '../../../../src/adapters/source/feed/watchdog.ts'

describe('the watchdog', () => {
  test('calls a silent connection stale after its limit, once', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const stale = mock.fn()
    const watchdog = new Watchdog(1_000, stale)
    watchdog.start()
    t.mock.timers.tick(900)
    assert.equal(stale.mock.callCount(), 0)
    t.mock.timers.tick(10_000)
    assert.equal(stale.mock.callCount(), 1)
  })

  test('anything that is heard puts it off', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const stale = mock.fn()
    const watchdog = new Watchdog(1_000, stale)
    watchdog.start()
    for (let n = 0; n < 20; n++) {
      t.mock.timers.tick(800)
      watchdog.heard()
    }
    assert.equal(stale.mock.callCount(), 0)
    watchdog.stop()
    t.mock.timers.tick(10_000)
    assert.equal(stale.mock.callCount(), 0, 'stopped, it still barks')
  })

  test('two missed heartbeats of a rhythm that it has learned are enough', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    let now = 0
    t.mock.method(performance, 'now', () => now)
    const pass = (ms: number) => {
      now += ms
      t.mock.timers.tick(ms)
    }
    const stale = mock.fn()
    const watchdog = new Watchdog(135_000, stale)
    watchdog.start()
    for (let n = 0; n < 3; n++) {
      watchdog.beat()
      pass(2_000)
    }
    pass(2_000)
    assert.equal(stale.mock.callCount(), 0, 'one missed heartbeat is not stale')
    pass(3_000)
    assert.equal(stale.mock.callCount(), 1)
    watchdog.start()
    pass(60_000)
    assert.equal(stale.mock.callCount(), 1, 'a new connection has its own rhythm to learn')
    watchdog.stop()
  })

  test('heartbeats that the network delivered together teach no wrong rhythm', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const stale = mock.fn()
    const watchdog = new Watchdog(10_000, stale)
    watchdog.start()
    for (let n = 0; n < 5; n++) watchdog.beat()
    t.mock.timers.tick(900)
    assert.equal(stale.mock.callCount(), 0)
    watchdog.stop()
  })
})
