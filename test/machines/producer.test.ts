import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TapelineError } from '../../src/errors.ts'
import { ALERT_AFTER_MS } from './bench.ts'
import {
  backOff,
  derived,
  done,
  fail,
  fetched,
  fetchedNothing,
  outcome,
  pass,
  published,
  publishedForStreams,
  reset,
  send,
  sourceBatch,
  walk,
} from './steps.ts'

const ask = (topicName: string) => send({ type: 'CREATE_TOPIC', topicName })
const answered = (topicName: string, result: 'created' | 'open') =>
  done('createTopicService', { topicName, outcome: result })
const notification = { ready: ['s1'], ended: [] }
const notify = send({ type: 'NOTIFY_PRODUCER', notification })
const sourceFails = fail('fetchDataService', new TapelineError('SOURCE_UNAVAILABLE', 'away'))
const refused = fail('createTopicService', new TapelineError('INPUT_INVALID', 'no such channel'))

describe('the outcome of publishingFixed', () => {
  test('is FETCH_DATA, straight back, while nothing else waits', async () => {
    const { go, actor } = await walk('producer', fetched)
    assert.deepEqual(await go(done('publishFixedService', outcome(false, ['market.trades']))), [
      'publishingFixed FETCH_DATA fetchingData',
    ])
    const { currentData, targetTopic } = actor.getSnapshot().context
    assert.equal(currentData, null)
    assert.deepEqual(targetTopic, ['market.trades'])
  })

  test('is PUBLISH_SUCCESS where the batch matches streams, which are served at once', async () => {
    const { go } = await walk('producer', fetched)
    assert.deepEqual(await go(publishedForStreams), [
      'publishingFixed PUBLISH_SUCCESS idle',
      'idle PUBLISH_DYNAMIC publishingDynamic',
    ])
  })

  test('is PUBLISH_SUCCESS where a command waits, which is served at once', async () => {
    const { go } = await walk('producer', fetched, ask('standing'))
    assert.deepEqual(await go(published), [
      'publishingFixed PUBLISH_SUCCESS idle',
      'idle CREATE_TOPIC creatingTopic',
    ])
  })
})

describe('the outcome of publishingDynamic', () => {
  test('is FETCH_DATA while no command waits, though streams are still behind: fixed topics come first', async () => {
    const { go, bench } = await walk('producer', fetched, publishedForStreams)
    assert.deepEqual(await go(done('publishDynamicService', outcome(true, ['app.1']))), [
      'publishingDynamic FETCH_DATA fetchingData',
    ])
    assert.deepEqual(bench.call('fetchDataService').input, { waitMs: 0 }, 'the fetch does not wait for data')
    assert.deepEqual(await go(fetchedNothing, published), [
      'fetchingData DATA_READY publishingFixed',
      'publishingFixed PUBLISH_SUCCESS idle',
      'idle PUBLISH_DYNAMIC publishingDynamic',
    ])
  })

  test('is PUBLISH_SUCCESS where a command waits, which is served at once', async () => {
    const { go } = await walk('producer', fetched, publishedForStreams, ask('standing'))
    assert.deepEqual(await go(derived), [
      'publishingDynamic PUBLISH_SUCCESS idle',
      'idle CREATE_TOPIC creatingTopic',
    ])
  })
})

describe('commands in the middle of a step', () => {
  const middles = {
    fetchingData: [],
    publishingFixed: [fetched],
    publishingDynamic: [fetched, publishedForStreams],
    creatingTopic: [ask('other'), fetched, published],
    error: [fetched, fail('publishFixedService')],
  }
  const extra = sourceBatch('extra')

  for (const [state, steps] of Object.entries(middles)) {
    test(`are remembered in ${state} and abort nothing`, async () => {
      const { actor, bench, go } = await walk('producer', ...steps)
      const before = bench.running()
      const went = await go(
        send({ type: 'FETCH_DATA' }),
        send({ type: 'PUBLISH_FIXED', data: extra }),
        send({ type: 'PUBLISH_DYNAMIC' }),
        ask('standing'),
        ask('standing'),
      )
      assert.deepEqual(went, [])
      assert.equal(actor.getSnapshot().value, state)
      assert.deepEqual(bench.running(), before)
      const { waiting } = actor.getSnapshot().context
      assert.deepEqual(waiting.batches, [extra])
      assert.equal(waiting.dynamic, true)
      const asked = waiting.topics.map(({ name }: { name: string }) => name)
      assert.deepEqual(asked, state === 'creatingTopic' ? ['other', 'standing'] : ['standing'])
    })
  }

  test('are served in their order: batches, dynamic topics, requests, the source', async () => {
    const { go, bench } = await walk('producer', fetched)
    const asked = [
      ask('standing'),
      send({ type: 'PUBLISH_DYNAMIC' }),
      send({ type: 'PUBLISH_FIXED', data: extra }),
    ]
    assert.deepEqual(await go(...asked, published), [
      'publishingFixed PUBLISH_SUCCESS idle',
      'idle PUBLISH_FIXED publishingFixed',
    ])
    assert.deepEqual(bench.call('publishFixedService').input, { data: extra })
    assert.deepEqual(await go(published, derived, answered('standing', 'created')), [
      'publishingFixed PUBLISH_SUCCESS idle',
      'idle PUBLISH_DYNAMIC publishingDynamic',
      'publishingDynamic PUBLISH_SUCCESS idle',
      'idle CREATE_TOPIC creatingTopic',
      'creatingTopic CREATE_TOPIC_SUCCESS idle',
      'idle FETCH_DATA fetchingData',
    ])
    assert.deepEqual(await go(fetched, published), [
      'fetchingData DATA_READY publishingFixed',
      'publishingFixed FETCH_DATA fetchingData',
    ])
  })

  test('are refused and reported beyond the bound', async () => {
    const { actor, bench, go } = await walk('producer', fetched)
    const batches = Array.from({ length: 65 }, () => send({ type: 'PUBLISH_FIXED', data: extra }))
    const topics = Array.from({ length: 1_001 }, (_, n) => ask(`t${n}`))
    await go(...batches, ...topics)
    assert.deepEqual(
      bench.told.map(({ action }) => action),
      ['refused PUBLISH_FIXED', 'refused CREATE_TOPIC'],
    )
    const { waiting } = actor.getSnapshot().context
    assert.equal(waiting.batches.length, 64)
    assert.equal(waiting.topics.length, 1_000)
  })
})

describe('a request for a topic', () => {
  const asking = [ask('standing'), fetched, published]

  test('that stays open is asked again after 5 s, when the source is quiet', async () => {
    const { go } = await walk('producer', ...asking, answered('standing', 'open'))
    const nothingAsked = [
      'fetchingData DATA_READY publishingFixed',
      'publishingFixed FETCH_DATA fetchingData',
    ]
    assert.deepEqual(await go(pass(4_999), fetchedNothing, published), nothingAsked)
    assert.deepEqual(await go(pass(1), fetched, published), nothingAsked, 'never in front of waiting data')
    assert.deepEqual(await go(fetchedNothing, published), [
      'fetchingData DATA_READY publishingFixed',
      'publishingFixed PUBLISH_SUCCESS idle',
      'idle CREATE_TOPIC creatingTopic',
    ])
    assert.deepEqual(await go(answered('standing', 'created'), pass(60_000), fetchedNothing, published), [
      'creatingTopic CREATE_TOPIC_SUCCESS idle',
      'idle FETCH_DATA fetchingData',
      ...nothingAsked,
    ])
  })

  test('that stays open waits after streams', async () => {
    const { go } = await walk('producer', ...asking, answered('standing', 'open'), pass(5_000), notify)
    const went = await go(fetchedNothing, published, derived)
    assert.equal(went.at(-3), 'idle PUBLISH_DYNAMIC publishingDynamic')
    assert.equal(went.at(-1), 'idle CREATE_TOPIC creatingTopic')
  })

  test('that is refused for good makes room for data after 100 ms and rests for 30 s', async () => {
    const { go, bench, actor } = await walk('producer', ...asking, refused)
    bench.chance = 0.999
    assert.deepEqual(await go(backOff), ['error RETRY idle', 'idle FETCH_DATA fetchingData'])
    assert.equal(actor.getSnapshot().context.errorInfo.code, 'INPUT_INVALID', 'the failure stays visible')
    assert.equal(
      (await go(pass(29_999), fetched, published)).at(-1),
      'publishingFixed FETCH_DATA fetchingData',
    )
    assert.equal((await go(pass(1), fetched, published)).at(-1), 'idle CREATE_TOPIC creatingTopic')
    await go(answered('standing', 'created'))
    assert.equal(actor.getSnapshot().context.errorInfo, null)
  })

  test('that fails for the third time makes room for data as well', async () => {
    const failed = fail('createTopicService')
    const { go } = await walk('producer', ...asking, failed, backOff, failed)
    assert.deepEqual(await go(backOff, failed, backOff), [
      'error RETRY creatingTopic',
      'creatingTopic CREATE_TOPIC_FAILURE error',
      'error RETRY idle',
      'idle FETCH_DATA fetchingData',
    ])
  })
})

describe('NOTIFY_PRODUCER', () => {
  const states = {
    fetchingData: [],
    publishingFixed: [fetched],
    publishingDynamic: [fetched, publishedForStreams],
    creatingTopic: [ask('standing'), fetched, published],
    error: [fetched, fail('publishFixedService')],
  }
  for (const [state, steps] of Object.entries(states)) {
    test(`is handled at once in ${state}, and its streams are served`, async () => {
      const { actor, bench, go } = await walk('producer', ...steps)
      const before = bench.running()
      assert.deepEqual(await go(notify), [])
      assert.equal(actor.getSnapshot().value, state)
      assert.deepEqual(bench.running(), before, 'nothing is aborted')
      assert.deepEqual(bench.told, [{ action: 'applyNotification', notification }])
      assert.equal(actor.getSnapshot().context.waiting.dynamic, true)
    })
  }

  test('is served in front of the source, and while the source is away', async () => {
    const { go } = await walk('producer', sourceFails)
    assert.deepEqual(await go(notify), ['error PUBLISH_DYNAMIC publishingDynamic'])
    assert.deepEqual(await go(derived), ['publishingDynamic FETCH_DATA fetchingData'])
    assert.deepEqual(await go(notify, sourceFails, backOff), [
      'fetchingData FETCH_FAILURE error',
      'error RETRY idle',
      'idle PUBLISH_DYNAMIC publishingDynamic',
    ])
  })

  test('that comes during a derivation has another one follow', async () => {
    const { go } = await walk('producer', fetched, publishedForStreams, notify)
    const went = await go(derived, fetchedNothing, published)
    assert.equal(went.at(-1), 'idle PUBLISH_DYNAMIC publishingDynamic')
  })
})

describe('a failed step of the producer', () => {
  test('is done again with the batch in hand, and counts its attempts until it succeeds', async () => {
    const failed = fail('publishFixedService')
    const { go, bench, actor } = await walk('producer', fetched, failed, backOff, failed)
    const { since, ...errorInfo } = actor.getSnapshot().context.errorInfo
    assert.equal(since, 0)
    assert.deepEqual(errorInfo, {
      code: 'BROKER_UNAVAILABLE',
      message: 'away',
      step: 'publishingFixed',
      attempt: 2,
      retryable: true,
    })
    bench.chance = 0.5
    assert.deepEqual(await go(pass(99)), [])
    assert.deepEqual(await go(pass(1)), ['error RETRY publishingFixed'], 'chance was 0 when it failed')
    await go(failed)
    assert.deepEqual(await go(pass(399)), [], 'half of 800 ms')
    assert.deepEqual(await go(pass(1)), ['error RETRY publishingFixed'])
    assert.deepEqual(bench.call('publishFixedService').input, { data: sourceBatch('fetched') })
    await go(published)
    assert.equal(actor.getSnapshot().context.errorInfo, null)
  })

  test('raises an alert when it has lasted, in the middle of a back-off too, and clears it', async () => {
    const failed = fail('publishFixedService')
    const { go, bench } = await walk('producer', fetched)
    bench.chance = 0.999
    for (let attempt = 1; attempt <= 5; attempt++) await go(failed, pass(100 * 2 ** attempt))
    await go(failed)
    const lasted = bench.clock.now()
    assert.ok(lasted < ALERT_AFTER_MS)
    assert.deepEqual(bench.alerts(), [])
    await go(pass(ALERT_AFTER_MS - lasted - 1))
    assert.deepEqual(bench.alerts(), [])
    assert.equal(bench.running().length, 0, 'it is in a back-off')
    await go(pass(1))
    assert.deepEqual(bench.alerts(), ['raiseAlert'])
    assert.equal(bench.told[0]?.errorInfo?.attempt, 6)
    await go(pass(30_000), published)
    assert.deepEqual(bench.alerts(), ['raiseAlert', 'clearAlert'])
  })

  test('asks a source that has long been away again as soon as it is told that it is back', async () => {
    const { go, bench } = await walk('producer')
    bench.chance = 0.999
    for (let attempt = 1; attempt <= 20; attempt++) {
      await go(sourceFails)
      if (attempt < 20) await go(pass(30_000))
    }
    assert.deepEqual(await go(pass(20_000)), [], 'it is in a long back-off')
    assert.deepEqual(await go(send({ type: 'RETRY' })), ['error RETRY fetchingData'])
    assert.deepEqual(await go(send({ type: 'RETRY' })), [], 'in the middle of a step it changes nothing')
  })

  test('keeps its alert while commands are served in between', async () => {
    const { go, bench, actor } = await walk('producer', sourceFails, pass(ALERT_AFTER_MS))
    await go(sourceFails, pass(0))
    assert.deepEqual(bench.alerts(), ['raiseAlert'])
    await go(notify, derived)
    assert.deepEqual(bench.alerts(), ['raiseAlert'], 'the source is still away')
    assert.equal(actor.getSnapshot().context.errorInfo.step, 'fetchingData')
  })
})

describe('RESET of the producer', () => {
  test('publishes the batch in hand again, from a publish in flight and from error', async () => {
    for (const steps of [[fetched], [fetched, fail('publishFixedService')]]) {
      const { go, bench } = await walk('producer', ...steps)
      const [inFlight] = bench.running()
      assert.equal((await go(reset)).at(-1), 'idle PUBLISH_FIXED publishingFixed')
      assert.equal(inFlight?.signal.aborted ?? true, true)
      assert.deepEqual(bench.call('publishFixedService').input, { data: sourceBatch('fetched') })
    }
  })

  test('derives again, from a derivation in flight and from error', async () => {
    for (const steps of [[], [fail('publishDynamicService')]]) {
      const { go } = await walk('producer', fetched, publishedForStreams, ...steps)
      assert.equal((await go(reset)).at(-1), 'idle PUBLISH_DYNAMIC publishingDynamic')
    }
  })

  test('asks for the topic again, from a request in flight and from error', async () => {
    for (const steps of [[], [fail('createTopicService')]]) {
      const { go } = await walk('producer', ask('standing'), fetched, published, ...steps)
      assert.equal((await go(reset, derived)).at(-1), 'idle CREATE_TOPIC creatingTopic')
    }
  })

  test('cancels the back-off', async () => {
    const { go } = await walk('producer', fetched, fail('publishFixedService'), reset)
    assert.deepEqual(await go(pass(60_000)), [])
  })
})
