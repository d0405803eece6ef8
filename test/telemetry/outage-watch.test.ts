import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { delay } from '../../src/async/timers.ts'
import { TapelineError } from '../../src/errors.ts'
import type { Log } from '../../src/ports/log.ts'
import { alertOutages, watchForOutage } from '../../src/telemetry/outage-watch.ts'
import { quietLog } from '../quiet.ts'
import { until } from '../services/until.ts'

const NEVER = new AbortController().signal

/** So much time passes at once. */
const STEP_MS = 50

/** A server that answers, refuses or stands still. */
function serverThat() {
  const server = { is: 'well' as 'well' | 'refusing' | 'still' }
  const ping = async (signal: AbortSignal): Promise<void> => {
    if (server.is === 'refusing') throw new Error('connection refused')
    if (server.is === 'still') await delay(60_000, signal)
  }
  const lines: object[] = []
  const log: Log = {
    ...quietLog,
    warn: (fields, message) => void lines.push({ ...fields, message }),
  }
  const watch = watchForOutage({ name: 'the broker', code: 'BROKER_UNAVAILABLE', ping, log })
  return { server, watch, lines }
}

/** A clock that the test sets, for timers and for what measures how long something took. */
function mockClock(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let nowMs = 0
  t.mock.method(performance, 'now', () => nowMs)
  return {
    /** Lets time pass until something holds; it must within so long. */
    async passUntil(what: string, holds: () => boolean, withinMs: number): Promise<void> {
      for (const end = nowMs + withinMs; !holds(); nowMs += STEP_MS) {
        assert.ok(nowMs < end, `${what}: not so after ${withinMs} ms`)
        t.mock.timers.tick(STEP_MS)
        for (let turn = 0; turn < 3; turn++) await setImmediate()
      }
    },
  }
}

describe('an outage', () => {
  for (const away of ['refusing', 'still'] as const)
    test(`of a server that is ${away} is seen within 5 s, ends what is under way, and is over with the first answer`, async (t) => {
      const { passUntil } = mockClock(t)
      const { server, watch, lines } = serverThat()
      assert.equal(await watch.during(NEVER, async () => 7), 7)
      const raised: (string | undefined)[] = []
      watch.listen((outage) => void raised.push(outage?.code))
      const alerts: string[] = []
      const unalert = alertOutages(
        watch,
        {
          raise: (id, code) => void alerts.push(`${id} ${code}`),
          clear: (id) => void alerts.push(`${id} over`),
        },
        { id: 'gateway', afterMs: 100 },
      )
      server.is = away
      let [wasAborted, isOver] = [false, false]
      const work = watch.during(NEVER, async (signal) => {
        signal.addEventListener('abort', () => {
          wasAborted = true
        })
        // Nobody answers it, and it does not look at its signal.
        await new Promise<never>(() => {})
      })
      const ended = assert
        .rejects(work, { code: 'BROKER_UNAVAILABLE', message: 'the broker does not answer' })
        .finally(() => {
          isOver = true
        })
      await passUntil('the work has ended', () => isOver, 5_000)
      await ended
      assert.equal(wasAborted, true)
      assert.equal(watch.outage?.code, 'BROKER_UNAVAILABLE')
      await assert.rejects(
        watch.during(NEVER, async () => assert.fail('nothing is begun meanwhile')),
        { code: 'BROKER_UNAVAILABLE' },
      )
      await passUntil('the alert is raised', () => alerts.length > 0, 500)
      server.is = 'well'
      await passUntil('it is over', () => watch.outage === undefined, 5_000)
      assert.equal(await watch.during(NEVER, async () => 8), 8)
      assert.deepEqual(raised, ['BROKER_UNAVAILABLE', undefined])
      assert.deepEqual(alerts, ['gateway BROKER_UNAVAILABLE', 'gateway over'])
      const told = lines.map((line) =>
        'message' in line && 'code' in line ? [line.code, line.message] : line,
      )
      assert.deepEqual(told, [
        ['BROKER_UNAVAILABLE', 'the broker does not answer'],
        ['BROKER_UNAVAILABLE', 'the broker answers again'],
      ])
      unalert()
      await watch.close()
    })
})

test('a server that misses one answer is not away, and one that refuses work is none of its business', async () => {
  let pings = 0
  const watch = watchForOutage({
    ...{ name: 'the broker', code: 'BROKER_UNAVAILABLE', log: quietLog },
    ping: async () => {
      if (++pings === 1) throw new Error('just once')
    },
  })
  await until('it was asked again', () => pings >= 3)
  assert.equal(watch.outage, undefined)
  const refusal = new TapelineError('TOPIC_UNKNOWN', 'gone')
  await assert.rejects(
    watch.during(NEVER, () => Promise.reject(refusal)),
    refusal,
  )
  await watch.close()
})

test('work ends with the signal of its caller, and close ends a question that nobody answers', async () => {
  const { server, watch } = serverThat()
  server.is = 'still'
  const stop = new AbortController()
  const work = watch.during(stop.signal, (signal) => delay(60_000, signal))
  stop.abort(new Error('enough'))
  await assert.rejects(work, { message: 'enough' })
  await assert.rejects(
    watch.during(stop.signal, async () => 1),
    { message: 'enough' },
  )
  await watch.close()
})
