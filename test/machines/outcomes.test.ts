import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Actor, AnyStateMachine } from 'xstate'
import { GRAPHS, type MachineName } from '../../src/diagram/graph.ts'
import {
  CREATE,
  DELETE,
  DELIVERED,
  DYNAMIC,
  done,
  FIXED,
  fail,
  fetched,
  outcome,
  PREPARED,
  publishedForStreams,
  type Step,
  send,
  sourceBatch,
  walk,
} from './steps.ts'

/** All that a service may have raised, as somebody else would send it. */
const FORGED = [
  { type: 'FETCH_DATA', completed: outcome() },
  { type: 'DATA_READY', data: sourceBatch('forged') },
  { type: 'PUBLISH_SUCCESS', completed: outcome() },
  { type: 'CREATE_TOPIC_SUCCESS', answer: { topicName: 'standing', outcome: 'created' } },
  { type: 'DELETE_TOPIC_SUCCESS' },
  { type: 'NOTIFY_SUCCESS' },
  { type: 'MESSAGE_RECEIVED', message: FIXED },
  { type: 'PROCESS_SUCCESS', record: { ...PREPARED, rows: 99 } },
  { type: 'WRITE_SUCCESS' },
  { type: 'SUBSCRIBE_SUCCESS' },
  { type: 'INTERACT_SUCCESS', result: DELIVERED },
  ...[
    'FETCH',
    'PUBLISH',
    'CREATE_TOPIC',
    'DELETE_TOPIC',
    'NOTIFY',
    'RECEIVE',
    'PROCESS',
    'WRITE',
    'SUBSCRIBE',
    'INTERACT',
  ].map((step) => ({ type: `${step}_FAILURE`, error: new Error('forged') })),
] as const

const ask = send({ type: 'CREATE_TOPIC', topicName: 'standing' })
const subscribe = send({ type: 'SUBSCRIBE_TO_TOPIC', topic: 'app.1' })
const subscribed = [subscribe, done('subscribeTopicService')]

/** The ways into each state, and how it goes on from there to prove that the step at hand is still the same. */
const STATES: Readonly<
  Record<MachineName, Readonly<Record<string, { into: readonly Step[]; on?: Step; to?: string }>>>
> = {
  producer: {
    fetchingData: { into: [], on: fetched, to: 'publishingFixed' },
    publishingFixed: { into: [fetched], on: publishedForStreams, to: 'publishingDynamic' },
    publishingDynamic: {
      into: [fetched, publishedForStreams],
      on: done('publishDynamicService', outcome()),
      to: 'fetchingData',
    },
    creatingTopic: {
      into: [ask, fetched, done('publishFixedService', outcome())],
      on: done('createTopicService', { topicName: 'standing', outcome: 'created' }),
      to: 'fetchingData',
    },
    error: { into: [fail('fetchDataService')] },
  },
  coordinator: {
    active: { into: [], on: done('receiveRequestsService', CREATE), to: 'processingCreateTopic' },
    processingCreateTopic: {
      into: [done('receiveRequestsService', CREATE)],
      on: done('createTopicService'),
      to: 'notifyingActors',
    },
    notifyingActors: {
      into: [done('receiveRequestsService', DELETE)],
      on: done('notifyActorsService'),
      to: 'processingDeleteTopic',
    },
    processingDeleteTopic: {
      into: [done('receiveRequestsService', DELETE), done('notifyActorsService')],
      on: done('deleteTopicService'),
      to: 'active',
    },
    error: { into: [fail('receiveRequestsService')] },
  },
  consumerFixed: {
    idle: { into: [], on: done('receiveMessageService', FIXED), to: 'processingMessage' },
    processingMessage: {
      into: [done('receiveMessageService', FIXED)],
      on: done('processMessageService', PREPARED),
      to: 'writingToDB',
    },
    writingToDB: {
      into: [done('receiveMessageService', FIXED), done('processMessageService', PREPARED)],
      on: done('writeToDBService'),
      to: 'idle',
    },
    error: { into: [fail('receiveMessageService')] },
  },
  consumerDynamic: {
    idle: { into: [], on: subscribe, to: 'subscribing' },
    subscribing: { into: [subscribe], on: done('subscribeTopicService'), to: 'consuming' },
    consuming: { into: subscribed, on: done('receiveMessageService', DYNAMIC), to: 'processingMessage' },
    processingMessage: {
      into: [...subscribed, done('receiveMessageService', DYNAMIC)],
      on: done('processMessageService'),
      to: 'interactingWithApp',
    },
    interactingWithApp: {
      into: [...subscribed, done('receiveMessageService', DYNAMIC), done('processMessageService')],
      on: done('interactWithAppService', DELIVERED),
      to: 'consuming',
    },
    error: { into: [subscribe, fail('subscribeTopicService')] },
  },
}
/** An event that no service has raised; commands change what is remembered, and are another matter. */
const forge =
  (event: { readonly type: string }): Step =>
  (bench, actor) =>
    send(event as never)(bench, actor)

const contextOf = (actor: Actor<AnyStateMachine>): unknown => actor.getSnapshot().context

for (const machine of Object.keys(STATES) as MachineName[])
  describe(`${machine}: an outcome that no service has raised changes nothing`, () => {
    test('in every state there is a way into it', () => {
      // The producer never stays in idle.
      const known = GRAPHS[machine].states
        .map(({ name }) => name)
        .filter((name) => machine !== 'producer' || name !== 'idle')
      assert.deepEqual(Object.keys(STATES[machine]).toSorted(), known.toSorted())
    })
    for (const [state, { into, on, to }] of Object.entries(STATES[machine]))
      test(state, async () => {
        const { actor, go } = await walk(machine, ...into)
        assert.equal(actor.getSnapshot().value, state)
        const before = contextOf(actor)
        for (const event of FORGED) {
          assert.deepEqual(await go(forge(event)), [], event.type)
          assert.equal(actor.getSnapshot().value, state, event.type)
        }
        assert.deepEqual(contextOf(actor), before)
        if (on === undefined) return
        await go(on)
        assert.equal(actor.getSnapshot().value, to, 'the step at hand goes on as if nothing had been')
      })
  })
