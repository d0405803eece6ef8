import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ALERT_AFTER_MS } from './bench.ts'
import { backOff, DELIVERED, DYNAMIC, done, fail, pass, reset, type Step, send, walk } from './steps.ts'

const subscribe = (topic: string) => send({ type: 'SUBSCRIBE_TO_TOPIC', topic })
const unsubscribe = (topic: string | readonly string[]) => send({ type: 'UNSUBSCRIBE_FROM_TOPIC', topic })
const subscribed = done('subscribeTopicService')
const notSubscribed = fail('subscribeTopicService')
const received = done('receiveMessageService', DYNAMIC)
const prepared = done('processMessageService')
const delivered = done('interactWithAppService', DELIVERED)
const consuming = [subscribe('a'), subscribed]

/** What happens until the machine waits for records again. */
const untilConsuming: Readonly<Record<string, readonly Step[]>> = {
  subscribing: [subscribed],
  processingMessage: [prepared, delivered],
  interactingWithApp: [delivered],
  error: [backOff, delivered],
}
const middles: Readonly<Record<string, readonly Step[]>> = {
  subscribing: [...consuming, subscribe('again')],
  processingMessage: [...consuming, received],
  interactingWithApp: [...consuming, received, prepared],
  error: [...consuming, received, prepared, fail('interactWithAppService')],
}

describe('the cycle of the dynamic consumer', () => {
  test('receives a batch, prepares it, delivers it and goes on consuming', async () => {
    const { go, bench, actor } = await walk('consumerDynamic', ...consuming)
    assert.deepEqual(bench.call('receiveMessageService').input, { topics: ['a'] })
    await go(received)
    assert.deepEqual(bench.call('processMessageService').input, { message: DYNAMIC })
    await go(prepared)
    assert.deepEqual(bench.call('interactWithAppService').input, { message: DYNAMIC })
    assert.deepEqual(await go(delivered), ['interactingWithApp INTERACT_SUCCESS consuming'])
    const { currentMessage, appInteractionResult } = actor.getSnapshot().context
    assert.equal(currentMessage, null)
    assert.deepEqual(appInteractionResult, DELIVERED)
  })
})

describe('subscribing and unsubscribing', () => {
  test('in idle subscribes at once and has nothing to leave', async () => {
    const { go, bench } = await walk('consumerDynamic')
    assert.deepEqual(await go(unsubscribe('a')), [])
    assert.deepEqual(await go(subscribe('a')), ['idle SUBSCRIBE_TO_TOPIC subscribing'])
    assert.deepEqual(bench.call('subscribeTopicService').input, { topics: ['a'] })
  })

  test('in consuming joins and leaves at once; the wait for records goes on with the topics that are left', async () => {
    const { go, bench, actor } = await walk('consumerDynamic', ...consuming)
    assert.deepEqual(await go(subscribe('b'), subscribed), [
      'consuming SUBSCRIBE_TO_TOPIC subscribing',
      'subscribing SUBSCRIBE_SUCCESS consuming',
    ])
    assert.deepEqual(bench.call('receiveMessageService').input, { topics: ['a', 'b'] })
    assert.deepEqual(await go(unsubscribe('a')), ['consuming UNSUBSCRIBE_FROM_TOPIC consuming'])
    assert.deepEqual(bench.call('receiveMessageService').input, { topics: ['b'] })
    assert.deepEqual(await go(unsubscribe('b')), ['consuming UNSUBSCRIBE_FROM_TOPIC idle'])
    assert.deepEqual(bench.running(), [])
    assert.deepEqual(actor.getSnapshot().context.currentTopics, [])
  })

  for (const [state, steps] of Object.entries(middles)) {
    test(`in ${state} are remembered, abort nothing, and are done when the step is over`, async () => {
      const { go, bench, actor } = await walk('consumerDynamic', ...steps)
      const before = bench.running()
      const asked = await go(subscribe('b'), unsubscribe('c'), subscribe('c'), unsubscribe('a'))
      assert.deepEqual(asked, [])
      assert.equal(actor.getSnapshot().value, state)
      assert.deepEqual(bench.running(), before)

      await go(...(untilConsuming[state] ?? []))
      assert.equal(actor.getSnapshot().value, 'subscribing')
      assert.deepEqual(bench.call('subscribeTopicService').input, { topics: ['b', 'c'] })
      await go(subscribed)
      const { currentTopics, waiting } = actor.getSnapshot().context
      assert.deepEqual(currentTopics, state === 'subscribing' ? ['again', 'b', 'c'] : ['b', 'c'])
      assert.deepEqual(waiting, [])
    })

    test(`in ${state}, to leave the last topic ends in idle`, async () => {
      const { go, bench, actor } = await walk(
        'consumerDynamic',
        ...steps,
        unsubscribe('a'),
        unsubscribe('again'),
      )
      await go(...(untilConsuming[state] ?? []))
      assert.equal(actor.getSnapshot().value, 'idle')
      assert.deepEqual(actor.getSnapshot().context.currentTopics, [])
      assert.deepEqual(bench.running(), [])
    })
  }

  test('leaves many topics in one step, also those that left one by one in the middle of another', async () => {
    const topics = Array.from({ length: 500 }, (_, n) => `t${n}`)
    const { go, bench } = await walk('consumerDynamic', ...consuming, ...topics.map(subscribe), subscribed)
    await go(subscribed)
    assert.deepEqual(bench.call('receiveMessageService').input, { topics: ['a', ...topics] })
    const waits = bench.calls.length
    assert.deepEqual(await go(unsubscribe(topics.slice(0, 200))), [
      'consuming UNSUBSCRIBE_FROM_TOPIC consuming',
    ])
    assert.equal(bench.calls.length, waits + 1)
    await go(received, ...topics.slice(200).map(unsubscribe))
    assert.deepEqual(await go(prepared, delivered), [
      'processingMessage PROCESS_SUCCESS interactingWithApp',
      'interactingWithApp INTERACT_SUCCESS consuming',
      'consuming UNSUBSCRIBE_FROM_TOPIC consuming',
    ])
    assert.deepEqual(bench.call('receiveMessageService').input, { topics: ['a'] })
  })

  test('of a topic that cannot be subscribed to ends the attempts', async () => {
    const { go, bench, actor } = await walk('consumerDynamic', subscribe('gone'), notSubscribed)
    await go(unsubscribe('gone'), backOff)
    assert.deepEqual(bench.call('subscribeTopicService').input, { topics: [] }, 'it is left out')
    await go(subscribed)
    assert.equal(actor.getSnapshot().value, 'idle')
    assert.equal(actor.getSnapshot().context.errorInfo, null)
  })

  test('never starts a wait for records that the same step leaves again', async () => {
    const { go, bench } = await walk('consumerDynamic', subscribe('a'), subscribe('b'))
    const before = bench.calls.length
    assert.deepEqual(await go(subscribed), [
      'subscribing SUBSCRIBE_SUCCESS consuming',
      'consuming SUBSCRIBE_TO_TOPIC subscribing',
    ])
    assert.deepEqual(
      bench.calls.slice(before).map(({ service }) => service),
      ['subscribeTopicService'],
    )
  })
})

describe('RESET of the dynamic consumer', () => {
  const states = { ...middles, consuming }
  for (const [state, steps] of Object.entries(states)) {
    test(`subscribes anew from ${state} to all that it had, and receives again`, async () => {
      const { go, bench, actor } = await walk('consumerDynamic', ...steps)
      const [inFlight] = bench.running()
      const { currentMessage } = actor.getSnapshot().context
      assert.deepEqual(await go(reset), [`${state} RESET idle`, 'idle SUBSCRIBE_TO_TOPIC subscribing'])
      assert.equal(inFlight?.signal.aborted ?? true, true)
      const topics = state === 'subscribing' ? ['a', 'again'] : ['a']
      assert.deepEqual(bench.call('subscribeTopicService').input, { topics })
      assert.deepEqual(actor.getSnapshot().context.currentMessage, currentMessage)
      await go(subscribed)
      assert.deepEqual(bench.call('receiveMessageService').input, { topics })
    })
  }

  test('leaves what was to be left', async () => {
    const { go, actor } = await walk('consumerDynamic', ...consuming, received, unsubscribe('a'))
    assert.deepEqual(await go(reset), ['processingMessage RESET idle'])
    assert.deepEqual(actor.getSnapshot().context.waiting, [])
  })

  test('with nothing left to do ends the failure and its alert', async () => {
    const steps = [subscribe('a'), notSubscribed, pass(ALERT_AFTER_MS), notSubscribed]
    const { go, bench, actor } = await walk('consumerDynamic', ...steps, pass(0))
    await go(unsubscribe('a'), reset)
    assert.equal(actor.getSnapshot().value, 'idle')
    assert.equal(actor.getSnapshot().context.errorInfo, null)
    assert.deepEqual(bench.alerts(), ['raiseAlert', 'clearAlert'])
  })
})

describe('a failed step of the dynamic consumer', () => {
  test('is done again with the batch in hand', async () => {
    const { go, bench } = await walk('consumerDynamic', ...(middles['error'] ?? []))
    assert.deepEqual(await go(backOff), ['error RETRY interactingWithApp'])
    assert.deepEqual(bench.call('interactWithAppService').input, { message: DYNAMIC })
  })

  test('of receiving clears its alert when records come, or after a quiet minute', async () => {
    for (const recovered of [received, pass(60_000)]) {
      const failed = fail('receiveMessageService')
      const { go, bench } = await walk('consumerDynamic', ...consuming, failed, pass(ALERT_AFTER_MS), failed)
      await go(pass(0), backOff, recovered)
      assert.deepEqual(bench.alerts(), ['raiseAlert', 'clearAlert'])
    }
  })
})
