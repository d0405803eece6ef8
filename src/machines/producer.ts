import { assign, fromPromise, raise, setup } from 'xstate'
import type { FetchedBatch, ProducerNotification, PublishOutcome, TopicAnswer } from '../ports/pipeline.ts'
import { type MachineInput, SHORTEST_BACK_OFF_MS, unprovided } from './failure.ts'
import {
  afterPublish,
  beginProducing,
  hasRoom,
  isCommandDue,
  isLeftForLater,
  isServableWithoutSource,
  nextCommand,
  type ProducerContext,
  type ProducerEvent,
  remembered,
  restTopic,
  settleTopic,
} from './producer-context.ts'
import { errorState, failIn, failureOf, invokeFor, recoverFrom, retryIn } from './step.ts'

type Step = 'fetchingData' | 'publishingFixed' | 'publishingDynamic' | 'creatingTopic'

/** How long a fetch waits for data when nothing else is to be done. What comes meanwhile and is to be served soon ends it. */
const FETCH_WAIT_MS = 250

const services = {
  /** The next batch of the source; empty after `waitMs`. */
  fetchDataService: fromPromise<FetchedBatch, { waitMs: number }>(unprovided),
  /** Publishes a batch to the fixed topics; resolves when it is acknowledged. */
  publishFixedService: fromPromise<PublishOutcome, { data: FetchedBatch }>(unprovided),
  /** Derives what the fixed topics hold into the dynamic topics. */
  publishDynamicService: fromPromise<PublishOutcome, undefined>(unprovided),
  /** Sends CREATE_TOPIC_REQUEST for a standing stream and waits at most 1 s for the reply. */
  createTopicService: fromPromise<TopicAnswer, { topicName: string }>(unprovided),
}

const invoke = invokeFor<ProducerContext, ProducerEvent, typeof services>()

const failure = failureOf<ProducerContext, ProducerEvent, Step>({
  remember: (errorInfo) => ({ errorInfo }),
  retry: { type: 'RETRY' },
})

const base = setup({
  types: {} as { context: ProducerContext; events: ProducerEvent; input: MachineInput<ProducerContext> },
  actors: services,
  actions: {
    ...failure.actions,
    /** Changes the routing table and acknowledges (R11); provided. */
    applyNotification: (_, _params: { notification: ProducerNotification }) => {},
    /** Reports a command that could not be remembered; provided. */
    reportRefused: (_, _params: { event: ProducerEvent['type'] }) => {},
  },
  guards: {
    ...failure.guards,
    hasRoom: ({ context, event }) => hasRoom(context, event),
    isLeftForLater: ({ context }) => isLeftForLater(context),
    isServableWithoutSource: ({ context }) => isServableWithoutSource(context),
  },
  delays: {
    ...failure.delays,
    backOff: ({ context }) =>
      isLeftForLater(context) ? SHORTEST_BACK_OFF_MS : failure.delays.backOff({ context }),
  },
})

const takePublished = base.assign(({ context, event }) => ({
  currentData: null,
  ...afterPublish(context, event, false),
}))

/** After a derivation: what came in the meantime (NOTIFY_PRODUCER) has set `waiting.dynamic` again and stays. */
const takeDerived = base.assign(({ context, event }) => afterPublish(context, event, context.waiting.dynamic))

const remember = base.assign({ waiting: ({ context, event }) => remembered(context.waiting, event) })

const acceptNotification = [
  base.enqueueActions(({ event, enqueue }) => {
    if (event.type !== 'NOTIFY_PRODUCER') return
    enqueue({ type: 'applyNotification', params: { notification: event.notification } })
  }),
  remember,
]

/** Commands in the middle of a step. FETCH_DATA needs no memory: `idle` fetches whenever nothing else waits. */
const commands = {
  FETCH_DATA: {},
  PUBLISH_DYNAMIC: { actions: remember },
  PUBLISH_FIXED: [
    { guard: 'hasRoom', actions: remember },
    { actions: { type: 'reportRefused', params: { event: 'PUBLISH_FIXED' } } },
  ],
  CREATE_TOPIC: [
    { guard: 'hasRoom', actions: remember },
    { actions: { type: 'reportRefused', params: { event: 'CREATE_TOPIC' } } },
  ],
} as const

/**
 * The producer: pulls batches from a source, publishes them to the fixed topics, derives from these what dynamic topics
 * want, and asks the coordinator for the topics of standing streams. It is the contract's `producerActor`; all I/O comes in
 * through the four services.
 */
export const producerMachine = base.createMachine({
  id: 'producerActor',
  description: 'Producer',
  context: ({ input }) => beginProducing(input),
  initial: 'idle',
  on: {
    NOTIFY_PRODUCER: { actions: acceptNotification },
    RESET: {
      target: '.idle',
      description: 'RESET works in every state; what was in hand is done again.',
      actions: remember,
    },
  },
  states: {
    idle: {
      description: 'Awaiting data fetch or commands',
      meta: { label: 'Idle' },
      entry: raise(({ context }) => nextCommand(context)),
      on: {
        FETCH_DATA: 'fetchingData',
        PUBLISH_FIXED: {
          target: 'publishingFixed',
          description: 'The batch in hand after a RESET, or one from outside, is published from here.',
          actions: assign({
            currentData: ({ context, event }) => event.data ?? context.currentData,
            waiting: ({ context, event }) => ({
              ...context.waiting,
              batches: context.waiting.batches.filter((batch) => batch !== event.data),
            }),
          }),
        },
        PUBLISH_DYNAMIC: {
          target: 'publishingDynamic',
          description: 'What was published matches streams, or a stream is behind.',
        },
        CREATE_TOPIC: {
          target: 'creatingTopic',
          actions: [remember, assign({ newTopicName: ({ event }) => event.topicName })],
        },
      },
    },
    fetchingData: {
      description: 'Retrieving data from external sources',
      meta: { label: 'Fetching Data' },
      invoke: invoke({
        src: 'fetchDataService',
        input: (context) => ({
          waitMs: context.waiting.dynamic || isCommandDue(context) ? 0 : FETCH_WAIT_MS,
        }),
        done: (data) => ({ type: 'DATA_READY', data }),
        failed: (error) => ({ type: 'FETCH_FAILURE', error }),
      }),
      on: {
        ...commands,
        DATA_READY: {
          guard: 'isRaised',
          target: 'publishingFixed',
          actions: [
            assign({
              currentData: ({ event }) => event.data,
              waiting: ({ context, event }) => ({ ...context.waiting, data: event.data.items.length > 0 }),
            }),
            recoverFrom('fetchingData'),
          ],
        },
        FETCH_FAILURE: failIn('fetchingData'),
      },
    },
    publishingFixed: {
      description: 'Publishing data to fixed topics',
      meta: { label: 'Publishing to Fixed Topics' },
      invoke: invoke({
        src: 'publishFixedService',
        input: ({ currentData }) => ({ data: currentData ?? { items: [] } }),
        done(outcome, context) {
          const dynamicWaiting = outcome.dynamicWaiting || context.waiting.dynamic
          return dynamicWaiting || isCommandDue(context)
            ? { type: 'PUBLISH_SUCCESS', completed: { ...outcome, dynamicWaiting } }
            : { type: 'FETCH_DATA', completed: outcome }
        },
        failed: (error) => ({ type: 'PUBLISH_FAILURE', error }),
      }),
      on: {
        ...commands,
        FETCH_DATA: {
          guard: 'isRaised',
          target: 'fetchingData',
          actions: [takePublished, recoverFrom('publishingFixed')],
        },
        PUBLISH_SUCCESS: {
          guard: 'isRaised',
          target: 'idle',
          actions: [takePublished, recoverFrom('publishingFixed')],
        },
        PUBLISH_FAILURE: failIn('publishingFixed'),
      },
    },
    publishingDynamic: {
      description: 'Publishing data to dynamic topics',
      meta: { label: 'Publishing to Dynamic Topics' },
      entry: assign({ waiting: ({ context }) => ({ ...context.waiting, dynamic: false }) }),
      invoke: invoke({
        src: 'publishDynamicService',
        input: () => undefined,
        done: (completed, context) => ({
          type: isCommandDue(context) ? 'PUBLISH_SUCCESS' : 'FETCH_DATA',
          completed,
        }),
        failed: (error) => ({ type: 'PUBLISH_FAILURE', error }),
      }),
      on: {
        ...commands,
        FETCH_DATA: {
          guard: 'isRaised',
          target: 'fetchingData',
          actions: [takeDerived, recoverFrom('publishingDynamic')],
        },
        PUBLISH_SUCCESS: {
          guard: 'isRaised',
          target: 'idle',
          actions: [takeDerived, recoverFrom('publishingDynamic')],
        },
        PUBLISH_FAILURE: failIn('publishingDynamic'),
      },
    },
    creatingTopic: {
      description: 'Handling dynamic topic creation requests',
      meta: { label: 'Creating Dynamic Topic' },
      invoke: invoke({
        src: 'createTopicService',
        input: ({ newTopicName }) => ({ topicName: newTopicName ?? '' }),
        done: (answer) => ({ type: 'CREATE_TOPIC_SUCCESS', answer }),
        failed: (error) => ({ type: 'CREATE_TOPIC_FAILURE', error }),
      }),
      on: {
        ...commands,
        CREATE_TOPIC_SUCCESS: {
          guard: 'isRaised',
          target: 'idle',
          actions: [
            assign({
              newTopicName: null,
              waiting: ({ context, event }) => ({
                ...context.waiting,
                topics: settleTopic(context, event.answer),
              }),
            }),
            recoverFrom('creatingTopic'),
          ],
        },
        CREATE_TOPIC_FAILURE: failIn('creatingTopic'),
      },
    },
    error: {
      ...errorState,
      on: {
        ...commands,
        NOTIFY_PRODUCER: { actions: [...acceptNotification, raise({ type: 'PUBLISH_DYNAMIC' })] },
        PUBLISH_DYNAMIC: [
          {
            guard: { type: 'failedIn', params: { step: 'fetchingData' } },
            target: 'publishingDynamic',
            description:
              'A source that is away does not keep streams waiting for what the fixed topics hold.',
          },
          commands.PUBLISH_DYNAMIC,
        ],
        RETRY: [
          {
            guard: 'isLeftForLater',
            target: 'idle',
            description: 'A request for a topic that keeps failing rests, so that data goes on.',
            actions: assign({
              waiting: ({ context }) => ({ ...context.waiting, topics: restTopic(context) }),
            }),
          },
          {
            guard: 'isServableWithoutSource',
            target: 'idle',
            description: 'A source that is away does not keep commands waiting.',
          },
          ...retryIn('fetchingData', 'publishingFixed', 'publishingDynamic', 'creatingTopic'),
        ],
        RESET: { target: 'idle', actions: remember },
      },
    },
  },
})
