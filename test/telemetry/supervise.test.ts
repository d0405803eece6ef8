import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setup } from 'xstate'
import type { Log, Meter } from '../../src/ports/log.ts'
import { superviseActor } from '../../src/telemetry/supervise.ts'
import { Bench, provideConsumerDynamic, provideProducer } from '../machines/bench.ts'
import { outcome, sourceBatch } from '../machines/steps.ts'

const NOTIFY = { type: 'NOTIFY_PRODUCER', notification: { ready: [], ended: [] } } as const

/** A producer whose `applyNotification` throws as long as `isBroken`. */
function supervised() {
  const bench = new Bench()
  const noted: string[] = []
  const state = { isBroken: true }
  const log: Log = {
    ...bench.log,
    warn: (_, message) => void noted.push(message),
    error: (_, message) => void noted.push(message),
  }
  const meter: Meter = {
    count: (name, _, labels) => void noted.push(`${name} ${labels?.['machine']}`),
    gauge() {},
    observe() {},
  }
  const actor = superviseActor({
    machine: provideProducer(bench).provide({
      actions: {
        applyNotification() {
          if (state.isBroken) throw new Error('broken routing table')
        },
      },
    }),
    kind: 'producer',
    id: 'producer',
    settings: bench.settings,
    summarise: ({ currentData, waiting }) => ({
      batch: currentData?.items.length ?? 0,
      topics: waiting.topics.map(({ name }) => name),
    }),
    onTransition: ({ from, event, to }) => bench.transitions.push(`${from} ${event} ${to}`),
    log,
    meter,
    clock: bench.clock,
  })
  return { bench, actor, noted, state }
}

/** Whatever a supervision needs where a test does not look at it. */
const quiet = (bench: Bench) => ({
  kind: 'consumerDynamic' as const,
  id: 'c1',
  settings: bench.settings,
  onTransition: () => {},
  log: bench.log,
  meter: { count() {}, gauge() {}, observe() {} },
  clock: bench.clock,
})

const CRASH = ['the actor failed; it is restarted', 'actor_restarts_total producer']

describe('a supervised actor', () => {
  test('reports its state, since when, and what it has in hand', async () => {
    const { bench, actor } = supervised()
    await bench.pass(5_000)
    await bench.done('fetchDataService', sourceBatch('fetched'))
    assert.deepEqual(actor.report(), {
      id: 'producer',
      machine: 'producer',
      state: 'publishingFixed',
      since: '1970-01-01T00:00:05.000Z',
      restarts: 0,
      errorInfo: null,
      context: { batch: 1, topics: [] },
    })
    await bench.fail('publishFixedService')
    assert.equal(actor.report().errorInfo?.code, 'BROKER_UNAVAILABLE')
    actor.stop()
  })

  test('that throws is restarted, is reported, and goes on with what it had in hand', async () => {
    const { bench, actor, noted } = supervised()
    actor.send({ type: 'CREATE_TOPIC', topicName: 'standing' })
    await bench.done('fetchDataService', sourceBatch('fetched'))
    const inFlight = bench.call('publishFixedService')
    await bench.pass(1_000)
    actor.send(NOTIFY)
    assert.deepEqual(noted, CRASH)
    assert.equal(inFlight.signal.aborted, true, 'its service does not run on')
    const { state, since, restarts, errorInfo, context } = actor.report()
    assert.deepEqual([state, since, restarts], ['error', '1970-01-01T00:00:01.000Z', 1])
    assert.deepEqual(errorInfo, {
      code: 'INTERNAL',
      message: 'broken routing table',
      step: 'publishingFixed',
      attempt: 1,
      retryable: true,
      since: 1_000,
    })
    assert.deepEqual(context, { batch: 1, topics: ['standing'] })

    await bench.pass(99)
    assert.deepEqual(bench.running(), [])
    await bench.pass(1)
    assert.deepEqual(bench.call('publishFixedService').input, { data: sourceBatch('fetched') })
    assert.equal(actor.report().errorInfo, null)
    await bench.done('publishFixedService', outcome())
    await bench.done('publishDynamicService', outcome())
    assert.equal(bench.call('createTopicService').input['topicName'], 'standing')
    actor.stop()
  })

  test('waits longer after each crash in a row, and briefly again after a minute of health', async () => {
    const { bench, actor } = supervised()
    bench.chance = 0.999999
    const attempts: (number | undefined)[] = []
    for (const waitMs of [200, 400, 800, 1_600]) {
      actor.send(NOTIFY)
      attempts.push(actor.report().errorInfo?.attempt)
      await bench.pass(waitMs - 1)
      assert.deepEqual(bench.running(), [], `restarted before ${waitMs} ms`)
      await bench.pass(1)
      assert.equal(bench.running().length, 1)
    }
    await bench.pass(60_000)
    actor.send(NOTIFY)
    assert.deepEqual([...attempts, actor.report().errorInfo?.attempt], [1, 2, 3, 4, 1])
    assert.equal(actor.report().restarts, 5)
    actor.stop()
  })

  test('keeps 1,000 events while it is restarted, refuses more and says so', async () => {
    const { bench, actor, noted, state } = supervised()
    actor.send(NOTIFY)
    for (let n = 0; n <= 1_000; n++) actor.send({ type: 'CREATE_TOPIC', topicName: `t${n}` })
    assert.deepEqual(noted.slice(2), ['an event was refused: too many wait for the restart'])
    state.isBroken = false
    await bench.pass(100)
    const { topics } = actor.report().context as { topics: string[] }
    assert.equal(topics.length, 1_000)
    assert.equal(topics.at(-1), 't999')
    actor.stop()
  })

  test('is reset by RESET, and out of a wait for its restart', async () => {
    const { bench, actor } = supervised()
    await bench.done('fetchDataService', sourceBatch('fetched'))
    bench.path()
    actor.reset()
    assert.equal(bench.path()[0], 'publishingFixed RESET idle')
    actor.send(NOTIFY)
    assert.equal(actor.report().state, 'error')
    actor.reset()
    assert.equal(bench.call('publishFixedService').service, 'publishFixedService')
    await bench.pass(60_000)
    assert.equal(bench.running().length, 1, 'the timer of the restart is gone')
    actor.stop()
  })

  test('ends for good by stop, running or not', async () => {
    for (const crashed of [false, true]) {
      const { bench, actor } = supervised()
      if (crashed) actor.send(NOTIFY)
      actor.stop()
      actor.reset()
      actor.send({ type: 'FETCH_DATA' })
      await bench.pass(60_000)
      assert.deepEqual(bench.running(), [])
    }
  })

  test('that throws as it begins is tried again too', async () => {
    const bench = new Bench()
    let attempts = 0
    const machine = setup({ types: {} as { context: { errorInfo: null } } }).createMachine({
      context() {
        if (attempts++ === 0) throw new Error('not yet')
        return { errorInfo: null }
      },
      initial: 'idle',
      states: { idle: {} },
    })
    const actor = superviseActor({ ...quiet(bench), machine, summarise: () => ({ attempts }) })
    assert.deepEqual([actor.report().state, actor.report().context], ['error', {}])
    assert.equal(actor.report().errorInfo?.message, 'not yet')
    await bench.pass(100)
    assert.deepEqual([actor.report().state, actor.report().context], ['idle', { attempts: 2 }])
    actor.stop()
  })
})

test('a dynamic consumer that was restarted subscribes again to all its topics', async () => {
  const bench = new Bench()
  let isBroken = false
  const actor = superviseActor({
    ...quiet(bench),
    machine: provideConsumerDynamic(bench).provide({
      actions: {
        clearAlert() {
          if (isBroken) throw new Error('broken alerts')
        },
      },
    }),
    summarise: ({ currentTopics }) => ({ currentTopics }),
  })
  actor.send({ type: 'SUBSCRIBE_TO_TOPIC', topic: 'a' })
  await bench.done('subscribeTopicService')
  await bench.fail('receiveMessageService')
  await bench.pass(100)
  isBroken = true
  await bench.done('receiveMessageService', { fetches: [] })
  assert.equal(actor.report().restarts, 1)
  isBroken = false
  await bench.pass(100)
  assert.deepEqual(bench.call('subscribeTopicService').input, { topics: ['a'] })
  await bench.done('subscribeTopicService')
  assert.deepEqual(actor.report().context, { currentTopics: ['a'] })
  actor.stop()
})

test('a failure is logged with its code when it begins and when it is over, not at each attempt, and tried again at once when what it needs is back', async () => {
  const bench = new Bench()
  const lines: object[] = []
  const keep = (fields: object, message: string): void => void lines.push({ ...fields, message })
  const actor = superviseActor({
    ...quiet(bench),
    ...{ kind: 'producer', id: 'producer' },
    machine: provideProducer(bench),
    log: { ...bench.log, warn: keep },
    summarise: () => ({}),
  })
  await bench.done('fetchDataService', sourceBatch('fetched'))
  await bench.fail('publishFixedService')
  await bench.pass(100)
  await bench.fail('publishFixedService')
  const failure = { actor: 'producer', code: 'BROKER_UNAVAILABLE', step: 'publishingFixed' }
  assert.deepEqual(lines, [{ ...failure, reason: 'away', message: 'the machine is in error' }])

  actor.retry('STORE_UNAVAILABLE')
  assert.equal(actor.report().state, 'error', 'what is back is not what failed')
  actor.retry('BROKER_UNAVAILABLE')
  assert.equal(actor.report().state, 'publishingFixed')
  actor.retry('BROKER_UNAVAILABLE')
  assert.equal(bench.running().length, 1, 'a step under way is left alone')
  await bench.pass(900)
  await bench.done('publishFixedService', outcome())
  assert.deepEqual(lines[1], { ...failure, forMs: 1_000, message: 'the machine works again' })
  actor.stop()
})
