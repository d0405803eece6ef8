import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ReconnectPacer } from '../../../../src/adapters/source/feed/reconnect-pacer.ts'

/** A pacer on a clock that the test moves. */
function pacerAt(firstMs: number, maxMs: number) {
  let now = 0
  const pacer = new ReconnectPacer({ firstMs, maxMs }, () => now)
  return { pacer, move: (ms: number) => (now += ms) }
}

describe('the pace of connects', () => {
  test('waits at least the first time, more from attempt to attempt, and never longer than the longest', () => {
    const { pacer } = pacerAt(5_000, 60_000)
    let longest = 0
    for (let attempt = 0; attempt < 50; attempt++) {
      const delay = pacer.delayMs(false)
      assert.ok(delay >= 5_000 && delay <= 60_000, `attempt ${attempt} waits ${delay} ms`)
      if (attempt === 0) assert.ok(delay <= 7_500, `the first attempt waits ${delay} ms`)
      longest = Math.max(longest, delay)
    }
    assert.ok(longest > 10_000, `no attempt waited longer than ${longest} ms`)
  })

  test('waits are spread, so that clients dropped together do not come back together', () => {
    const delays = Array.from({ length: 20 }, () => pacerAt(5_000, 60_000).pacer.delayMs(false))
    assert.ok(new Set(delays).size > 10)
  })

  test('a connection that lived long starts the back-off afresh, a short one does not', () => {
    const { pacer } = pacerAt(5_000, 60_000)
    for (let attempt = 0; attempt < 10; attempt++) pacer.delayMs(false)
    pacer.lived(60_000)
    assert.ok(pacer.delayMs(false) <= 7_500)
  })

  test('a rate limit waits the longest time', () => {
    assert.equal(pacerAt(5_000, 60_000).pacer.delayMs(true), 60_000)
  })

  test('never more than 60 connects a minute', () => {
    const { pacer, move } = pacerAt(1, 10)
    const connects: number[] = []
    let now = 0
    for (let n = 0; n < 200; n++) {
      pacer.connecting()
      connects.push(now)
      const delay = pacer.delayMs(false)
      now += delay
      move(delay)
    }
    for (const [n, at] of connects.entries()) {
      const sixtieth = connects[n + 60]
      if (sixtieth !== undefined) assert.ok(sixtieth - at >= 60_000, `61 connects within ${sixtieth - at} ms`)
    }
  })

  test('a deliberate stop and start keeps the distance too', () => {
    const { pacer, move } = pacerAt(5_000, 60_000)
    assert.equal(pacer.restMs(), 0)
    pacer.connecting()
    move(2_000)
    assert.equal(pacer.restMs(), 3_000)
    move(3_000)
    assert.equal(pacer.restMs(), 0)
  })
})
