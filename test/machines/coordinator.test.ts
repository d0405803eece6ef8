import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TapelineError } from '../../src/errors.ts'
import { ALERT_AFTER_MS } from './bench.ts'
import { backOff, CREATE, DELETE, done, fail, pass, reset, walk } from './steps.ts'

const createAsked = done('receiveRequestsService', CREATE)
const deleteAsked = done('receiveRequestsService', DELETE)
const created = done('createTopicService')
const notified = done('notifyActorsService')
const deleted = done('deleteTopicService')

describe('the cycle of the coordinator', () => {
  test('makes the topics of a batch of requests, tells the others and takes the next batch', async () => {
    const { go, bench, actor } = await walk('coordinator', createAsked)
    assert.deepEqual(bench.call('createTopicService').input, { batch: CREATE })
    await go(created)
    assert.deepEqual(bench.call('notifyActorsService').input, { batch: CREATE })
    assert.deepEqual(await go(notified), ['notifyingActors NOTIFY_SUCCESS active'])
    assert.equal(actor.getSnapshot().context.pendingTopic, null)
    bench.call('receiveRequestsService')
  })

  test('tells the others before it deletes topics', async () => {
    const { go, bench, actor } = await walk('coordinator', deleteAsked)
    assert.deepEqual(bench.call('notifyActorsService').input, { batch: DELETE })
    await go(notified)
    assert.deepEqual(bench.call('deleteTopicService').input, { batch: DELETE })
    await go(deleted)
    assert.equal(actor.getSnapshot().context.pendingTopic, null)
  })
})

describe('RESET of the coordinator', () => {
  const states = {
    active: [],
    processingCreateTopic: [createAsked],
    notifyingActors: [createAsked, created],
    processingDeleteTopic: [deleteAsked, notified],
    error: [createAsked, fail('createTopicService')],
  }
  for (const [state, steps] of Object.entries(states)) {
    test(`receives again from ${state}, and keeps the batch in hand meanwhile`, async () => {
      const { go, bench, actor } = await walk('coordinator', ...steps)
      const { pendingTopic } = actor.getSnapshot().context
      const [inFlight] = bench.running()
      assert.deepEqual(await go(reset), [`${state} RESET active`])
      assert.notEqual(bench.call('receiveRequestsService'), inFlight)
      assert.equal(inFlight?.signal.aborted ?? true, true)
      assert.deepEqual(actor.getSnapshot().context.pendingTopic, pendingTopic)
    })
  }
})

describe('a failed step of the coordinator', () => {
  test('is done again with the batch in hand', async () => {
    const { go, bench } = await walk('coordinator', createAsked, created, fail('notifyActorsService'))
    assert.deepEqual(await go(backOff), ['error RETRY notifyingActors'])
    assert.deepEqual(bench.call('notifyActorsService').input, { batch: CREATE })
  })

  test('keeps its alert and its count over a RESET until that step succeeds', async () => {
    const failed = fail('createTopicService')
    const { go, bench, actor } = await walk('coordinator', createAsked, failed, pass(ALERT_AFTER_MS), failed)
    await go(pass(0), reset, createAsked)
    assert.deepEqual(bench.alerts(), ['raiseAlert'])
    assert.equal(actor.getSnapshot().context.errorInfo.attempt, 2)
    await go(created)
    assert.deepEqual(bench.alerts(), ['raiseAlert', 'clearAlert'])
    assert.equal(actor.getSnapshot().context.errorInfo, null)
  })

  for (const { code, quietMs } of [
    { code: 'BROKER_UNAVAILABLE', quietMs: 5_000 },
    { code: 'TIMEOUT', quietMs: 60_000 },
  ] as const)
    test(`of receiving (${code}) is over when requests come, or when ${quietMs} ms have passed without another`, async () => {
      for (const recovered of [createAsked, pass(quietMs)]) {
        const failed = fail('receiveRequestsService', new TapelineError(code, 'failed'))
        const { go, bench, actor } = await walk('coordinator', failed, pass(ALERT_AFTER_MS), failed)
        await go(pass(0), backOff)
        assert.equal(actor.getSnapshot().value, 'active')
        await go(pass(quietMs - 1))
        assert.deepEqual(bench.alerts(), ['raiseAlert'], 'it is not over yet')
        await go(recovered)
        assert.deepEqual(bench.alerts(), ['raiseAlert', 'clearAlert'])
        assert.equal(actor.getSnapshot().context.errorInfo, null)
      }
    })
})
