import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { GRAPHS, type MachineName } from '../../src/diagram/graph.ts'
import {
  backOff,
  CREATE,
  DELETE,
  DELIVERED,
  DYNAMIC,
  derived,
  done,
  FIXED,
  fail,
  fetched,
  PREPARED,
  published,
  publishedForStreams,
  reset,
  type Step,
  send,
  walk,
} from './steps.ts'

/** How each machine gets into each state, and how it goes along each edge from there. */
interface Walks {
  readonly into: Readonly<Record<string, readonly Step[]>>
  /** From the beginning, under `from EVENT to`; RESET from every state follows from `into`. */
  readonly along: Readonly<Record<string, readonly Step[]>>
}

const ask = send({ type: 'CREATE_TOPIC', topicName: 'standing' })
const fetchFails = fail('fetchDataService')
const deriving = [fetched, publishedForStreams]
const asking = [ask, fetched, published]

const producer: Walks = {
  into: {
    fetchingData: [],
    publishingFixed: [fetched],
    publishingDynamic: deriving,
    creatingTopic: asking,
    error: [fetchFails],
  },
  along: {
    'idle FETCH_DATA fetchingData': [],
    'idle PUBLISH_FIXED publishingFixed': [fetched, reset],
    'idle PUBLISH_DYNAMIC publishingDynamic': deriving,
    'idle CREATE_TOPIC creatingTopic': asking,
    'fetchingData DATA_READY publishingFixed': [fetched],
    'fetchingData FETCH_FAILURE error': [fetchFails],
    'publishingFixed FETCH_DATA fetchingData': [fetched, published],
    'publishingFixed PUBLISH_SUCCESS idle': [fetched, publishedForStreams],
    'publishingFixed PUBLISH_FAILURE error': [fetched, fail('publishFixedService')],
    'publishingDynamic FETCH_DATA fetchingData': [...deriving, derived],
    'publishingDynamic PUBLISH_SUCCESS idle': [...deriving, ask, derived],
    'publishingDynamic PUBLISH_FAILURE error': [...deriving, fail('publishDynamicService')],
    'creatingTopic CREATE_TOPIC_SUCCESS idle': [
      ...asking,
      done('createTopicService', { topicName: 'standing', outcome: 'created' }),
    ],
    'creatingTopic CREATE_TOPIC_FAILURE error': [...asking, fail('createTopicService')],
    'error PUBLISH_DYNAMIC publishingDynamic': [fetchFails, send({ type: 'PUBLISH_DYNAMIC' })],
    'error RETRY idle': [fetchFails, ask, backOff],
    'error RETRY fetchingData': [fetchFails, backOff],
    'error RETRY publishingFixed': [fetched, fail('publishFixedService'), backOff],
    'error RETRY publishingDynamic': [...deriving, fail('publishDynamicService'), backOff],
    'error RETRY creatingTopic': [...asking, fail('createTopicService'), backOff],
  },
}

const createAsked = done('receiveRequestsService', CREATE)
const deleteAsked = done('receiveRequestsService', DELETE)
const topicCreated = done('createTopicService')
const notified = done('notifyActorsService')
const deleting = [deleteAsked, notified]

const coordinator: Walks = {
  into: {
    active: [],
    processingCreateTopic: [createAsked],
    notifyingActors: [createAsked, topicCreated],
    processingDeleteTopic: deleting,
    error: [fail('receiveRequestsService')],
  },
  along: {
    'active REQUEST_CREATE_TOPIC processingCreateTopic': [createAsked],
    'active REQUEST_DELETE_TOPIC notifyingActors': [deleteAsked],
    'active RECEIVE_FAILURE error': [fail('receiveRequestsService')],
    'processingCreateTopic CREATE_TOPIC_SUCCESS notifyingActors': [createAsked, topicCreated],
    'processingCreateTopic CREATE_TOPIC_FAILURE error': [createAsked, fail('createTopicService')],
    'notifyingActors NOTIFY_SUCCESS active': [createAsked, topicCreated, notified],
    'notifyingActors NOTIFY_SUCCESS processingDeleteTopic': deleting,
    'notifyingActors NOTIFY_FAILURE error': [createAsked, topicCreated, fail('notifyActorsService')],
    'processingDeleteTopic DELETE_TOPIC_SUCCESS active': [...deleting, done('deleteTopicService')],
    'processingDeleteTopic DELETE_TOPIC_FAILURE error': [...deleting, fail('deleteTopicService')],
    'error RETRY active': [fail('receiveRequestsService'), backOff],
    'error RETRY processingCreateTopic': [createAsked, fail('createTopicService'), backOff],
    'error RETRY processingDeleteTopic': [...deleting, fail('deleteTopicService'), backOff],
    'error RETRY notifyingActors': [createAsked, topicCreated, fail('notifyActorsService'), backOff],
  },
}

const received = done('receiveMessageService', FIXED)
const prepared = done('processMessageService', PREPARED)

const consumerFixed: Walks = {
  into: {
    idle: [],
    processingMessage: [received],
    writingToDB: [received, prepared],
    error: [fail('receiveMessageService')],
  },
  along: {
    'idle MESSAGE_RECEIVED processingMessage': [received],
    'idle RECEIVE_FAILURE error': [fail('receiveMessageService')],
    'processingMessage PROCESS_SUCCESS writingToDB': [received, prepared],
    'processingMessage PROCESS_FAILURE error': [received, fail('processMessageService')],
    'writingToDB WRITE_SUCCESS idle': [received, prepared, done('writeToDBService')],
    'writingToDB WRITE_FAILURE error': [received, prepared, fail('writeToDBService')],
    'error RETRY idle': [fail('receiveMessageService'), backOff],
    'error RETRY processingMessage': [received, fail('processMessageService'), backOff],
    'error RETRY writingToDB': [received, prepared, fail('writeToDBService'), backOff],
  },
}

const subscribe = send({ type: 'SUBSCRIBE_TO_TOPIC', topic: 'app.1' })
const unsubscribe = send({ type: 'UNSUBSCRIBE_FROM_TOPIC', topic: 'app.1' })
const consuming = [subscribe, done('subscribeTopicService')]
const processing = [...consuming, done('receiveMessageService', DYNAMIC)]
const interacting = [...processing, done('processMessageService')]
const delivered = done('interactWithAppService', DELIVERED)
const consumingTwo = [
  ...consuming,
  send({ type: 'SUBSCRIBE_TO_TOPIC', topic: 'app.2' }),
  done('subscribeTopicService'),
]

const consumerDynamic: Walks = {
  into: {
    idle: [],
    subscribing: [subscribe],
    consuming,
    processingMessage: processing,
    interactingWithApp: interacting,
    error: [subscribe, fail('subscribeTopicService')],
  },
  along: {
    'idle SUBSCRIBE_TO_TOPIC subscribing': [subscribe],
    'subscribing SUBSCRIBE_SUCCESS consuming': consuming,
    'subscribing SUBSCRIBE_FAILURE error': [subscribe, fail('subscribeTopicService')],
    'consuming MESSAGE_RECEIVED processingMessage': processing,
    'consuming SUBSCRIBE_TO_TOPIC subscribing': consumingTwo,
    'consuming UNSUBSCRIBE_FROM_TOPIC consuming': [...consumingTwo, unsubscribe],
    'consuming UNSUBSCRIBE_FROM_TOPIC idle': [...consuming, unsubscribe],
    'consuming RECEIVE_FAILURE error': [...consuming, fail('receiveMessageService')],
    'processingMessage PROCESS_SUCCESS interactingWithApp': interacting,
    'processingMessage PROCESS_FAILURE error': [...processing, fail('processMessageService')],
    'interactingWithApp INTERACT_SUCCESS consuming': [...interacting, delivered],
    'interactingWithApp INTERACT_SUCCESS idle': [...interacting, unsubscribe, delivered],
    'interactingWithApp INTERACT_FAILURE error': [...interacting, fail('interactWithAppService')],
    'error RETRY subscribing': [subscribe, fail('subscribeTopicService'), backOff],
    'error RETRY consuming': [...consuming, fail('receiveMessageService'), backOff],
    'error RETRY processingMessage': [...processing, fail('processMessageService'), backOff],
    'error RETRY interactingWithApp': [...interacting, fail('interactWithAppService'), backOff],
  },
}

const WALKS: Readonly<Record<MachineName, Walks>> = { producer, coordinator, consumerFixed, consumerDynamic }

/** `idle` of the producer is left as soon as it is entered: nothing can arrive there. */
const NEVER_AT_REST = new Set(['producer idle RESET idle'])

for (const [machine, graph] of Object.entries(GRAPHS) as [MachineName, (typeof GRAPHS)[MachineName]][]) {
  describe(`${machine} goes along every edge of its diagram`, () => {
    const { into, along } = WALKS[machine]

    for (const { from, event, to } of graph.edges) {
      const edge = `${from} ${event} ${to}`
      if (NEVER_AT_REST.has(`${machine} ${edge}`)) continue
      test(edge, async () => {
        const steps = event === 'RESET' ? [...(into[from] ?? []), reset] : along[edge]
        assert.ok(steps, 'the diagram has an edge that no walk goes along')
        const { bench } = await walk(machine, ...steps)
        assert.ok(bench.transitions.includes(edge), `went ${bench.transitions.join(', ')}`)
        assert.deepEqual(bench.failures, [])
        assert.ok(bench.running().length <= 1, 'a service of a state that was left still runs')
      })
    }

    test('and along no other', async () => {
      const edges = new Set(graph.edges.map(({ from, event, to }) => `${from} ${event} ${to}`))
      for (const [edge, steps] of Object.entries(along)) {
        assert.ok(edges.has(edge), `a walk goes along ${edge}, which the diagram does not have`)
        const { bench } = await walk(machine, ...steps)
        assert.deepEqual(
          bench.transitions.filter((taken) => !edges.has(taken)),
          [],
        )
      }
    })
  })
}
