import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TapelineError } from '../../src/errors.ts'
import type { ActorReport } from '../../src/ports/actors.ts'
import { StartedParts } from '../../src/topology/closing.ts'
import { readiness } from '../../src/topology/readiness.ts'
import { quietLog } from '../quiet.ts'

const RUNNING = { isStarted: true, isClosing: false, servers: { broker: undefined } }

const actor = (machine: ActorReport['machine'], step?: string): ActorReport => ({
  ...{ id: machine, machine, state: step ? 'error' : 'idle', since: '', restarts: 0, context: {} },
  errorInfo: step
    ? { code: 'STORE_UNAVAILABLE', message: '', step, attempt: 1, retryable: true, since: 0 }
    : null,
})

test('ready is a process that has started, whose machines are not in error but for a source that is away', () => {
  assert.equal(readiness(RUNNING, []).ready, true)
  assert.equal(readiness({ ...RUNNING, isStarted: false }, []).ready, false)
  assert.equal(readiness(RUNNING, [actor('producer', 'fetchingData'), actor('coordinator')]).ready, true)
  assert.equal(readiness(RUNNING, [actor('producer', 'publishingFixed')]).ready, false)
  assert.equal(readiness(RUNNING, [actor('consumerDynamic', 'interactingWithApp')]).ready, true)
  const { ready, checks } = readiness(RUNNING, [actor('consumerFixed', 'writingToDB')])
  assert.equal(ready, false)
  assert.deepEqual(checks, [
    { name: 'process', ok: true, detail: 'started' },
    { name: 'broker', ok: true, detail: 'answers' },
    { name: 'consumerFixed', ok: false, detail: 'error: STORE_UNAVAILABLE' },
  ])
})

test('a machine that tries its failed step again is not ready before it succeeds', () => {
  const trying = { ...actor('consumerFixed', 'writingToDB'), state: 'writingToDB' }
  assert.deepEqual(readiness(RUNNING, [trying]).checks.at(-1), {
    ...{ name: 'consumerFixed', ok: false, detail: 'writingToDB: STORE_UNAVAILABLE' },
  })
  assert.equal(readiness(RUNNING, [{ ...trying, errorInfo: null }]).ready, true)
  assert.equal(
    readiness(RUNNING, [{ ...actor('producer', 'fetchingData'), state: 'fetchingData' }]).ready,
    true,
  )
})

test('it is not ready any more as soon as it begins to stop, while its parts drain', async () => {
  const started = new StartedParts(quietLog)
  const draining = Promise.withResolvers<void>()
  started.add('producer', () => draining.promise)
  const ready = () => readiness({ ...RUNNING, isClosing: started.isClosing }, [])
  assert.equal(ready().ready, true)
  const closed = started.close()
  assert.deepEqual(ready(), {
    ready: false,
    checks: [
      { name: 'process', ok: false, detail: 'stopping' },
      { name: 'broker', ok: true, detail: 'answers' },
    ],
  })
  draining.resolve()
  await closed
})

test('without its broker a process is not ready, whether a machine runs in it or not', () => {
  const outage = new TapelineError('BROKER_UNAVAILABLE', 'the broker does not answer')
  const { ready, checks } = readiness({ ...RUNNING, servers: { broker: outage } }, [])
  assert.equal(ready, false)
  assert.deepEqual(checks[1], { name: 'broker', ok: false, detail: 'BROKER_UNAVAILABLE' })
})

test('a process that uses the database is not ready without it, whether a machine runs in it or not', () => {
  const outage = new TapelineError('STORE_UNAVAILABLE', 'the database does not answer')
  const { ready, checks } = readiness({ ...RUNNING, servers: { broker: undefined, database: outage } }, [])
  assert.equal(ready, false)
  assert.deepEqual(checks[2], { name: 'database', ok: false, detail: 'STORE_UNAVAILABLE' })
})
