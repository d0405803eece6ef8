import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ALERT_AFTER_MS } from './bench.ts'
import { backOff, done, FIXED, fail, PREPARED, pass, reset, walk } from './steps.ts'

const received = done('receiveMessageService', FIXED)
const prepared = done('processMessageService', PREPARED)
const written = done('writeToDBService')

describe('the cycle of the fixed consumer', () => {
  test('receives a batch, prepares it, writes it and receives the next', async () => {
    const { go, bench, actor } = await walk('consumerFixed', received)
    assert.deepEqual(bench.call('processMessageService').input, { message: FIXED })
    await go(prepared)
    assert.deepEqual(bench.call('writeToDBService').input, { record: PREPARED })
    assert.deepEqual(await go(written), ['writingToDB WRITE_SUCCESS idle'])
    const { currentMessage, dbRecord } = actor.getSnapshot().context
    assert.deepEqual([currentMessage, dbRecord], [null, null])
    bench.call('receiveMessageService')
  })
})

describe('RESET of the fixed consumer', () => {
  const states = {
    idle: [],
    processingMessage: [received],
    writingToDB: [received, prepared],
    error: [received, prepared, fail('writeToDBService')],
  }
  for (const [state, steps] of Object.entries(states)) {
    test(`receives again from ${state}, and keeps the batch in hand meanwhile`, async () => {
      const { go, bench, actor } = await walk('consumerFixed', ...steps)
      const { currentMessage } = actor.getSnapshot().context
      const [inFlight] = bench.running()
      assert.deepEqual(await go(reset), [`${state} RESET idle`])
      assert.notEqual(bench.call('receiveMessageService'), inFlight)
      assert.equal(inFlight?.signal.aborted ?? true, true)
      assert.deepEqual(actor.getSnapshot().context.currentMessage, currentMessage)
    })
  }
})

describe('a failed step of the fixed consumer', () => {
  test('is done again with the batch in hand', async () => {
    const { go, bench } = await walk('consumerFixed', received, prepared, fail('writeToDBService'))
    assert.deepEqual(await go(backOff), ['error RETRY writingToDB'])
    assert.deepEqual(bench.call('writeToDBService').input, { record: PREPARED })
  })

  test('of receiving clears its alert when records come, or after a quiet minute', async () => {
    for (const recovered of [received, pass(60_000)]) {
      const failed = fail('receiveMessageService')
      const { go, bench, actor } = await walk('consumerFixed', failed, pass(ALERT_AFTER_MS), failed)
      await go(pass(0), backOff)
      assert.deepEqual(bench.alerts(), ['raiseAlert'])
      await go(recovered)
      assert.deepEqual(bench.alerts(), ['raiseAlert', 'clearAlert'])
      assert.equal(actor.getSnapshot().context.errorInfo, null)
    }
  })

  test('of preparing is over when that succeeds, before the batch is written', async () => {
    const { go, actor } = await walk('consumerFixed', received, fail('processMessageService'), backOff)
    assert.equal(actor.getSnapshot().context.errorInfo.attempt, 1)
    await go(prepared)
    assert.equal(actor.getSnapshot().context.errorInfo, null)
  })
})
