import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { TapelineError } from '../../src/errors.ts'
import type { Alert } from '../../src/ports/actors.ts'
import type { AlertReceiver } from '../../src/ports/alert-receiver.ts'
import { startAlertSender } from '../../src/telemetry/alert-sender.ts'
import { quietLog } from '../quiet.ts'

const SINCE = '2026-03-02T00:00:00.000Z'
const alert = (id: string, code = 'SOURCE_STALE'): Alert => ({ id, code, message: 'said', since: SINCE })

function setUp(t: TestContext, repeatMs?: number) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  const current = new Map<string, Alert>()
  const heard: string[] = []
  const logged: string[] = []
  const state = { isAway: false }
  const receiver: AlertReceiver = {
    name: 'test',
    ...(repeatMs !== undefined && { repeatMs }),
    async tell({ raised, ended }) {
      if (state.isAway) throw new TapelineError('ALERT_NOT_SENT', 'away')
      heard.push(...raised.map(({ id, code }) => `${id} ${code}`), ...ended.map(({ id }) => `${id} over`))
    },
  }
  const note = (_: object, message: string) => logged.push(message)
  const log = { ...quietLog, warn: note, error: note }
  const sender = startAlertSender({ alerts: { list: () => [...current.values()] }, receiver, log })
  t.after(() => sender.close())
  const after = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      await setImmediate()
      t.mock.timers.tick(1_000)
    }
    await setImmediate()
    return heard.splice(0)
  }
  const raise = (...args: Parameters<typeof alert>) => current.set(args[0], alert(...args))
  return { current, heard, logged, state, sender, after, raise }
}

test('a receiver hears once that an alert begins, and once that it is over', async (t) => {
  const { current, after, raise } = setUp(t)
  raise('producer')
  assert.deepEqual(await after(3), ['producer SOURCE_STALE'])
  assert.deepEqual(await after(5), [])
  raise('producer', 'SOURCE_UNAUTHORIZED')
  assert.deepEqual(await after(2), ['producer SOURCE_UNAUTHORIZED'])
  current.clear()
  assert.deepEqual(await after(8), [])
  assert.deepEqual(await after(5), ['producer over'])
})

test('an alert that flaps is told once', async (t) => {
  const { current, after, raise } = setUp(t)
  for (let i = 0; i < 5; i++) {
    raise('producer')
    await after(2)
    current.clear()
    await after(4)
  }
  raise('producer')
  current.set('other', alert('other'))
  assert.deepEqual(await after(2), ['other SOURCE_STALE'])
})

test('a receiver that is away is said to be once, and hears of what lasts when it is back', async (t) => {
  const { after, raise, state, logged, current } = setUp(t)
  state.isAway = true
  raise('producer')
  raise('gone')
  assert.deepEqual(await after(10), [])
  current.delete('gone')
  state.isAway = false
  assert.deepEqual(await after(20), ['producer SOURCE_STALE'])
  assert.deepEqual(logged, ['alerts are not sent', 'the receiver of alerts is told again'])
})

test('who forgets is told again, and all that lasts ends with the process', async (t) => {
  const { after, raise, sender, heard } = setUp(t, 60_000)
  raise('producer')
  assert.deepEqual(await after(2), ['producer SOURCE_STALE'])
  assert.deepEqual(await after(62), ['producer SOURCE_STALE'])
  const closing = sender.close()
  await setImmediate()
  await closing
  assert.deepEqual(heard, ['producer over'])
})
