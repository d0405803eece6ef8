import { and, assign, fromPromise, setup } from 'xstate'
import type { Carried, DeliveryResult, DynamicBatch } from '../ports/pipeline.ts'
import {
  applyChanges,
  beginConsuming,
  type ConsumerDynamicContext,
  type ConsumerDynamicEvent,
  rememberChanges,
  resubscribed,
  withoutTopics,
  withTopics,
} from './consumer-dynamic-context.ts'
import { type MachineInput, unprovided } from './failure.ts'
import { errorState, failIn, failureOf, invokeFor, recoverFrom, recoverInTime, retryIn } from './step.ts'

type Step = 'subscribing' | 'consuming' | 'processingMessage' | 'interactingWithApp'

const services = {
  /** Has the shared reader read these topics for this application; with none it resolves at once. */
  subscribeTopicService: fromPromise<void, { topics: readonly string[] }>(unprovided),
  /** Waits for records of the topics; gives the batch in hand again until it is delivered. */
  receiveMessageService: fromPromise<Carried<DynamicBatch>, { topics: readonly string[] }>(unprovided),
  /**
   * Encodes each batch once for all endpoints. The rules of readers are applied before: the shared reader does it once for all
   * applications.
   */
  processMessageService: fromPromise<void, { message: Carried<DynamicBatch> }>(unprovided),
  /** Hands the encoded batches to the application's endpoints. */
  interactWithAppService: fromPromise<DeliveryResult, { message: Carried<DynamicBatch> }>(unprovided),
}

const invoke = invokeFor<ConsumerDynamicContext, ConsumerDynamicEvent, typeof services>()

const failure = failureOf<ConsumerDynamicContext, ConsumerDynamicEvent, Step>({
  remember: (errorInfo) => ({ errorInfo }),
  retry: { type: 'RETRY' },
})

const base = setup({
  types: {} as {
    context: ConsumerDynamicContext
    events: ConsumerDynamicEvent
    input: MachineInput<ConsumerDynamicContext>
  },
  actors: services,
  ...failure,
  guards: {
    ...failure.guards,
    hasTopics: ({ context }) => applyChanges(context.currentTopics, context.waiting).length > 0,
    keepsTopics: ({ context, event }) =>
      event.type === 'UNSUBSCRIBE_FROM_TOPIC' && withoutTopics(context.currentTopics, event.topic).length > 0,
  },
})

const remember = {
  SUBSCRIBE_TO_TOPIC: {
    actions: base.assign({
      waiting: ({ context, event }) =>
        event.type === 'SUBSCRIBE_TO_TOPIC' && event.topic !== undefined
          ? rememberChanges(context.waiting, 'subscribe', event.topic)
          : context.waiting,
    }),
  },
  UNSUBSCRIBE_FROM_TOPIC: {
    actions: base.assign({
      waiting: ({ context, event }) =>
        event.type === 'UNSUBSCRIBE_FROM_TOPIC'
          ? rememberChanges(context.waiting, 'unsubscribe', event.topic)
          : context.waiting,
    }),
  },
} as const

/** `idle` reads nothing: there is nothing to leave, and it subscribes to what is wanted. */
const serveWhenIdle = base.enqueueActions(({ context, enqueue }) => {
  const wanted = context.waiting.filter(({ change }) => change === 'subscribe')
  enqueue.assign({ currentTopics: [], waiting: wanted })
  if (wanted.length > 0) enqueue.raise({ type: 'SUBSCRIBE_TO_TOPIC' })
  // Nobody wants what failed any more: the failure would stay reported for ever.
  else enqueue('recover')
})

/** Raises the events that came in the middle of a step, as if they came now: it first leaves topics, all together. */
const serveWhenConsuming = base.enqueueActions(({ context, enqueue }) => {
  const leaving = context.waiting.filter(({ change }) => change === 'unsubscribe')
  if (leaving.length > 0) {
    enqueue.assign({ waiting: context.waiting.filter(({ change }) => change !== 'unsubscribe') })
    enqueue.raise({ type: 'UNSUBSCRIBE_FROM_TOPIC', topic: leaving.map(({ topic }) => topic) })
  } else if (context.waiting.length > 0) enqueue.raise({ type: 'SUBSCRIBE_TO_TOPIC' })
})

/** For a second try of `subscribing`: a topic that has ended meanwhile would fail for ever. */
const leaveOutUnsubscribed = base.assign({
  subscribing: ({ context }) =>
    withoutTopics(
      context.subscribing,
      context.waiting.flatMap(({ change, topic }) => (change === 'unsubscribe' ? [topic] : [])),
    ),
})

/** The topics to subscribe to: those of the event, all that were remembered, and after a RESET all that it had. */
const chooseTopics = base.assign({
  subscribing: ({ context, event }) => {
    const asked = event.type === 'SUBSCRIBE_TO_TOPIC' && event.topic !== undefined ? [event.topic].flat() : []
    const remembered = context.waiting.map(({ topic }) => topic)
    return [...new Set([...asked, ...remembered])]
  },
  waiting: [],
})

const takeTopics = base.assign({
  currentTopics: ({ context }) => withTopics(context.currentTopics, context.subscribing),
  subscribing: [],
})

const resubscribe = base.assign(({ context }) => resubscribed(context))

const inHand = ({ currentMessage }: ConsumerDynamicContext): { message: Carried<DynamicBatch> } => ({
  message: currentMessage ?? { fetches: [], done: () => {} },
})

/**
 * The dynamic consumer: stands for one application. It reads dynamic topics, prepares what came and hands it to the
 * application's endpoints. It is the contract's `consumerDynamicActor`.
 */
export const consumerDynamicMachine = base.createMachine({
  id: 'consumerDynamicActor',
  description: 'Consumer Dynamic',
  context: ({ input }) => beginConsuming(input),
  initial: 'idle',
  on: {
    RESET: {
      target: '.idle',
      description:
        'RESET works in every state; the topics are subscribed to again, the batch in hand is received again.',
      actions: resubscribe,
    },
  },
  states: {
    idle: {
      description: 'Awaiting subscription commands',
      meta: { label: 'Idle' },
      entry: serveWhenIdle,
      on: { SUBSCRIBE_TO_TOPIC: { target: 'subscribing', actions: chooseTopics } },
    },
    subscribing: {
      description: 'Subscribing to a new dynamic topic',
      meta: { label: 'Subscribing' },
      entry: leaveOutUnsubscribed,
      invoke: invoke({
        src: 'subscribeTopicService',
        input: ({ subscribing }) => ({ topics: subscribing }),
        done: () => ({ type: 'SUBSCRIBE_SUCCESS' }),
        failed: (error) => ({ type: 'SUBSCRIBE_FAILURE', error }),
      }),
      on: {
        ...remember,
        SUBSCRIBE_SUCCESS: {
          guard: 'isRaised',
          target: 'consuming',
          actions: [takeTopics, recoverFrom('subscribing')],
        },
        SUBSCRIBE_FAILURE: failIn('subscribing'),
      },
    },
    consuming: {
      description: 'Actively consuming messages from dynamic topics',
      meta: { label: 'Consuming' },
      entry: serveWhenConsuming,
      invoke: invoke({
        src: 'receiveMessageService',
        input: ({ currentTopics }) => ({ topics: currentTopics }),
        done: (message) => ({ type: 'MESSAGE_RECEIVED', message }),
        failed: (error) => ({ type: 'RECEIVE_FAILURE', error }),
      }),
      after: recoverInTime('consuming'),
      on: {
        MESSAGE_RECEIVED: {
          guard: 'isRaised',
          target: 'processingMessage',
          actions: [assign({ currentMessage: ({ event }) => event.message }), recoverFrom('consuming')],
        },
        SUBSCRIBE_TO_TOPIC: {
          target: 'subscribing',
          description: 'Further topics of the same application join those that it reads.',
          actions: chooseTopics,
        },
        UNSUBSCRIBE_FROM_TOPIC: [
          {
            guard: 'keepsTopics',
            target: 'consuming',
            reenter: true,
            description: 'Topics that nobody reads any more leave; the others go on.',
            actions: assign({
              currentTopics: ({ context, event }) => withoutTopics(context.currentTopics, event.topic),
            }),
          },
          {
            target: 'idle',
            description: 'The last topic has left.',
            actions: assign({ currentTopics: [] }),
          },
        ],
        RECEIVE_FAILURE: {
          ...failIn('consuming'),
          description:
            'Topics cannot be read while the broker is away; without this edge that would go unseen.',
        },
      },
    },
    processingMessage: {
      description: 'Processing the consumed message',
      meta: { label: 'Processing Message' },
      invoke: invoke({
        src: 'processMessageService',
        input: inHand,
        done: () => ({ type: 'PROCESS_SUCCESS' }),
        failed: (error) => ({ type: 'PROCESS_FAILURE', error }),
      }),
      on: {
        ...remember,
        PROCESS_SUCCESS: {
          guard: 'isRaised',
          target: 'interactingWithApp',
          actions: recoverFrom('processingMessage'),
        },
        PROCESS_FAILURE: failIn('processingMessage'),
      },
    },
    interactingWithApp: {
      description: 'Interacting with application services based on the message',
      meta: { label: 'Interacting with App' },
      invoke: invoke({
        src: 'interactWithAppService',
        input: inHand,
        done: (result) => ({ type: 'INTERACT_SUCCESS', result }),
        failed: (error) => ({ type: 'INTERACT_FAILURE', error }),
      }),
      on: {
        ...remember,
        INTERACT_SUCCESS: [
          {
            guard: and(['isRaised', 'hasTopics']),
            target: 'consuming',
            description: 'While topics are subscribed to, it goes on consuming.',
            actions: [
              assign({ currentMessage: null, appInteractionResult: ({ event }) => event.result }),
              recoverFrom('interactingWithApp'),
            ],
          },
          {
            guard: 'isRaised',
            target: 'idle',
            actions: [
              assign({ currentMessage: null, appInteractionResult: ({ event }) => event.result }),
              recoverFrom('interactingWithApp'),
            ],
          },
        ],
        INTERACT_FAILURE: failIn('interactingWithApp'),
      },
    },
    error: {
      ...errorState,
      on: {
        ...remember,
        RETRY: retryIn('subscribing', 'consuming', 'processingMessage', 'interactingWithApp'),
        RESET: { target: 'idle', actions: resubscribe },
      },
    },
  },
})
