import assert from 'node:assert/strict'
import { describe, mock, type TestContext, test } from 'node:test'
import { watchOverload } from '../../src/telemetry/overload.ts'
import { quietMeter } from '../quiet.ts'

const LOOK_MS = 500

/** A process whose use the test sets; `look` has the watch look at it so many times. */
function setUp(t: TestContext) {
  mock.timers.enable({ apis: ['setInterval'] })
  t.after(() => mock.timers.reset())
  const use = { heap: 0, threadHeap: 0, streams: 0, lateMs: 0 }
  const alerts = new Map<string, string>()
  const told: string[] = []
  let clock = 0
  const watch = watchOverload({
    limits: { eventLoopDelayMs: 1_000, streams: 20, topics: 20, sockets: 20 },
    counted: () => ({ streams: use.streams, topics: undefined, sockets: 0 }),
    alerts: {
      raise(id, code) {
        if (!alerts.has(id)) told.push(`raise ${id}`)
        alerts.set(id, code)
      },
      clear(id) {
        if (alerts.delete(id)) told.push(`clear ${id}`)
      },
    },
    meter: quietMeter,
    onPressure: (isPressed) => told.push(isPressed ? 'pressed' : 'relieved'),
    heaps: () => [
      { usedBytes: use.heap, limitBytes: 100 },
      { thread: 'store', usedBytes: use.threadHeap, limitBytes: 200 },
    ],
    now: () => clock,
  })
  t.after(() => watch.stop())
  const look = (times: number): void => {
    for (let i = 0; i < times; i++) {
      clock += LOOK_MS + use.lateMs
      mock.timers.tick(LOOK_MS)
    }
  }
  return { use, alerts, told, watch, look }
}

describe('overload', () => {
  test('of the heap begins when it stays at its limit, and ends when it stays well below', (t) => {
    const { use, told, watch, look } = setUp(t)
    use.heap = 100
    look(2)
    use.heap = 50
    look(1)
    assert.equal(watch.reason, undefined, 'a collection of garbage was due')
    use.heap = 100
    look(3)
    assert.match(watch.reason ?? '', /heap/)
    assert.deepEqual(told, ['raise overload', 'pressed'])
    for (let i = 0; i < 50; i++) {
      use.heap = i % 2 === 0 ? 99 : 101
      look(1)
    }
    assert.deepEqual(told, ['raise overload', 'pressed'], 'nothing flaps round the limit')
    use.heap = 90
    look(9)
    assert.ok(watch.reason)
    look(1)
    assert.equal(watch.reason, undefined)
    assert.deepEqual(told, ['raise overload', 'pressed', 'clear overload', 'relieved'])
  })

  test('of the heap may be that of any thread, which is named', (t) => {
    const { use, watch, look } = setUp(t)
    use.heap = 50
    use.threadHeap = 199
    look(3)
    assert.equal(watch.reason, undefined)
    use.threadHeap = 200
    look(3)
    assert.match(watch.reason ?? '', /heap of its thread store/)
  })

  test('of the event loop is work that is late again and again', (t) => {
    const { use, alerts, watch, look } = setUp(t)
    use.lateMs = 5_000
    look(1)
    use.lateMs = 0
    look(5)
    assert.equal(watch.reason, undefined, 'once is a start, or a suspended machine')
    use.lateMs = 1_000
    look(3)
    assert.match(watch.reason ?? '', /late by more than 1000 ms/)
    assert.equal(alerts.get('overload'), 'OVERLOADED')
    use.lateMs = 400
    look(10)
    assert.equal(watch.reason, undefined)
  })

  test('a limit of streams that is reached is an alert of its own, and no pressure', (t) => {
    const { use, alerts, told, watch, look } = setUp(t)
    use.streams = 20
    look(1)
    assert.deepEqual([...alerts], [['overload-streams', 'LIMIT_REACHED']])
    use.streams = 20 - 1 / 2
    look(5)
    assert.deepEqual(told, ['raise overload-streams'])
    use.streams = 19
    look(1)
    assert.deepEqual(told, ['raise overload-streams', 'clear overload-streams'])
    assert.equal(watch.reason, undefined)
  })

  test('ends with the process', (t) => {
    const { use, alerts, watch, look } = setUp(t)
    use.heap = 200
    use.streams = 30
    look(3)
    assert.equal(alerts.size, 2)
    watch.stop()
    assert.equal(alerts.size, 0)
  })
})
