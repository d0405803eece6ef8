import { assign, fromPromise, raise, setup } from 'xstate'
import type { ErrorInfo } from '../ports/actors.ts'
import type { DeliveryResult, DynamicBatch } from '../ports/pipeline.ts'
import { backOffMs, isAlertDue, type MachineSettings, recordFailure, unprovided } from './failure.ts'

type Step = 'subscribing' | 'consuming' | 'processingMessage' | 'interactingWithApp'

export interface ConsumerDynamicContext {
  /** The dynamic topics it reads. */
  readonly currentTopics: readonly string[]
  /** The batch in hand, as received. */
  readonly currentMessage: DynamicBatch | null
  /** What the last delivery came to. */
  readonly appInteractionResult: DeliveryResult | null
  readonly errorInfo: ErrorInfo | null
  /** What was asked for in the middle of a step, in order; applied when the step is over. */
  readonly waiting: readonly TopicChange[]
  /** The topics that `subscribing` is about. */
  readonly subscribing: readonly string[]
  readonly settings: MachineSettings
}

interface TopicChange {
  readonly change: 'subscribe' | 'unsubscribe'
  readonly topic: string
}

export type ConsumerDynamicEvent =
  /** Without `topic` it subscribes again to all that it has: after a RESET. */
  | { readonly type: 'SUBSCRIBE_TO_TOPIC'; readonly topic?: string }
  | { readonly type: 'UNSUBSCRIBE_FROM_TOPIC'; readonly topic: string }
  | { readonly type: 'SUBSCRIBE_SUCCESS' }
  | { readonly type: 'SUBSCRIBE_FAILURE'; readonly error: unknown }
  | { readonly type: 'MESSAGE_RECEIVED'; readonly message: DynamicBatch }
  | { readonly type: 'RECEIVE_FAILURE'; readonly error: unknown }
  | { readonly type: 'PROCESS_SUCCESS' }
  | { readonly type: 'PROCESS_FAILURE'; readonly error: unknown }
  | { readonly type: 'INTERACT_SUCCESS'; readonly result: DeliveryResult }
  | { readonly type: 'INTERACT_FAILURE'; readonly error: unknown }
  | { readonly type: 'RETRY' }
  | { readonly type: 'RESET' }

/** The topics after a list of changes. */
function applyChanges(topics: readonly string[], changes: readonly TopicChange[]): readonly string[] {
  const result = new Set(topics)
  for (const { change, topic } of changes) {
    if (change === 'subscribe') result.add(topic)
    else result.delete(topic)
  }
  return [...result]
}

/** One change a topic is enough: the last one counts, so the list is bounded by the number of topics. */
function rememberChange(waiting: readonly TopicChange[], change: TopicChange): readonly TopicChange[] {
  return [...waiting.filter(({ topic }) => topic !== change.topic), change]
}

const base = setup({
  types: {} as { context: ConsumerDynamicContext; events: ConsumerDynamicEvent; input: MachineSettings },
  actors: {
    /** Has the shared reader read these topics for this application. */
    subscribeTopicService: fromPromise<void, { topics: readonly string[] }>(unprovided),
    /** Waits for records of the topics; gives the batch in hand again until it is delivered. */
    receiveMessageService: fromPromise<DynamicBatch, { topics: readonly string[] }>(unprovided),
    /** Applies the rules of readers and encodes each batch once. */
    processMessageService: fromPromise<void, { message: DynamicBatch }>(unprovided),
    /** Hands the encoded batches to the application's endpoints. */
    interactWithAppService: fromPromise<DeliveryResult, { message: DynamicBatch }>(unprovided),
  },
  actions: {
    raiseAlert: (_, _params: { errorInfo: ErrorInfo | null }) => {},
    clearAlert: () => {},
  },
  guards: {
    failedIn: ({ context }, params: { step: Step }) => context.errorInfo?.step === params.step,
    isAlertDue: ({ context }) => isAlertDue(context.errorInfo, context.settings),
    hasTopics: ({ context }) => applyChanges(context.currentTopics, context.waiting).length > 0,
    keepsTopics: ({ context, event }) =>
      event.type === 'UNSUBSCRIBE_FROM_TOPIC' && context.currentTopics.some((topic) => topic !== event.topic),
  },
  delays: {
    backOff: ({ context }) => backOffMs(context.errorInfo, context.settings),
  },
})

const failIn = (step: Step) =>
  base.assign({
    errorInfo: ({ context, event }) =>
      recordFailure(context.errorInfo, step, 'error' in event ? event.error : undefined, context.settings),
  })

const recoverFrom = (...steps: readonly Step[]) =>
  base.enqueueActions(({ context, enqueue }) => {
    if (context.errorInfo === null || !steps.some((step) => step === context.errorInfo?.step)) return
    enqueue.assign({ errorInfo: null })
    enqueue('clearAlert')
  })

const remember = {
  SUBSCRIBE_TO_TOPIC: {
    actions: base.assign({
      waiting: ({ context, event }) =>
        event.type === 'SUBSCRIBE_TO_TOPIC' && event.topic !== undefined
          ? rememberChange(context.waiting, { change: 'subscribe', topic: event.topic })
          : context.waiting,
    }),
  },
  UNSUBSCRIBE_FROM_TOPIC: {
    actions: base.assign({
      waiting: ({ context, event }) =>
        event.type === 'UNSUBSCRIBE_FROM_TOPIC'
          ? rememberChange(context.waiting, { change: 'unsubscribe', topic: event.topic })
          : context.waiting,
    }),
  },
} as const

/** On the way into a waiting state: unsubscribes are done, subscribes are raised. */
const serveWaiting = base.enqueueActions(({ context, enqueue }) => {
  const unsubscribed = context.waiting.filter(({ change }) => change === 'unsubscribe')
  const subscribed = context.waiting.filter(({ change }) => change === 'subscribe')
  enqueue.assign({ currentTopics: applyChanges(context.currentTopics, unsubscribed), waiting: subscribed })
  if (subscribed.length > 0) enqueue.raise({ type: 'SUBSCRIBE_TO_TOPIC' })
})

/** The topics to subscribe to: the one that was asked for, all that were remembered, and after a RESET all that it had. */
const chooseTopics = base.assign({
  subscribing: ({ context, event }) => {
    const asked = 'topic' in event && event.topic !== undefined ? [event.topic] : []
    const remembered = context.waiting.map(({ topic }) => topic)
    return [...new Set([...asked, ...remembered])]
  },
  waiting: [],
})

const takeTopics = base.assign({
  currentTopics: ({ context }) => [...new Set([...context.currentTopics, ...context.subscribing])],
  subscribing: [],
})

/** After a RESET: whatever it read, or was about to read, is subscribed to anew. */
const resubscribe = base.assign({
  waiting: ({ context }) => [
    ...[...context.currentTopics, ...context.subscribing]
      .filter((topic) => !context.waiting.some((change) => change.topic === topic))
      .map((topic) => ({ change: 'subscribe', topic }) as const),
    ...context.waiting,
  ],
  currentTopics: [],
  subscribing: [],
})

/**
 * The dynamic consumer: stands for one application. It reads dynamic topics, prepares what came and hands it to the
 * application's endpoints. It is the contract's `consumerDynamicActor`.
 */
export const consumerDynamicMachine = base.createMachine({
  id: 'consumerDynamicActor',
  description: 'Consumer Dynamic',
  context: ({ input }) => ({
    currentTopics: [],
    currentMessage: null,
    appInteractionResult: null,
    errorInfo: null,
    waiting: [],
    subscribing: [],
    settings: input,
  }),
  initial: 'idle',
  on: {
    RESET: {
      target: '.idle',
      description:
        'RESET works in every state (R3); the topics are subscribed to again, the batch in hand is received again.',
      actions: resubscribe,
    },
  },
  states: {
    idle: {
      description: 'Awaiting subscription commands',
      meta: { label: 'Idle' },
      entry: serveWaiting,
      on: { SUBSCRIBE_TO_TOPIC: { target: 'subscribing', actions: chooseTopics } },
    },
    subscribing: {
      description: 'Subscribing to a new dynamic topic',
      meta: { label: 'Subscribing' },
      invoke: {
        src: 'subscribeTopicService',
        input: ({ context }) => ({ topics: context.subscribing }),
        onDone: { actions: raise({ type: 'SUBSCRIBE_SUCCESS' }) },
        onError: { actions: raise(({ event }) => ({ type: 'SUBSCRIBE_FAILURE', error: event.error })) },
      },
      on: {
        ...remember,
        SUBSCRIBE_SUCCESS: { target: 'consuming', actions: [takeTopics, recoverFrom('subscribing')] },
        SUBSCRIBE_FAILURE: { target: 'error', actions: failIn('subscribing') },
      },
    },
    consuming: {
      description: 'Actively consuming messages from dynamic topics',
      meta: { label: 'Consuming' },
      entry: serveWaiting,
      invoke: {
        src: 'receiveMessageService',
        input: ({ context }) => ({ topics: context.currentTopics }),
        onDone: { actions: raise(({ event }) => ({ type: 'MESSAGE_RECEIVED', message: event.output })) },
        onError: { actions: raise(({ event }) => ({ type: 'RECEIVE_FAILURE', error: event.error })) },
      },
      on: {
        MESSAGE_RECEIVED: {
          target: 'processingMessage',
          actions: [assign({ currentMessage: ({ event }) => event.message }), recoverFrom('consuming')],
        },
        SUBSCRIBE_TO_TOPIC: {
          target: 'subscribing',
          description: 'Further topics of the same application join those that it reads (R12).',
          actions: chooseTopics,
        },
        UNSUBSCRIBE_FROM_TOPIC: [
          {
            guard: 'keepsTopics',
            target: 'consuming',
            reenter: true,
            description: 'A topic that nobody reads any more leaves; the others go on.',
            actions: assign({
              currentTopics: ({ context, event }) =>
                context.currentTopics.filter((topic) => topic !== event.topic),
            }),
          },
          {
            target: 'idle',
            description: 'The last topic has left.',
            actions: assign({ currentTopics: [] }),
          },
        ],
        RECEIVE_FAILURE: {
          target: 'error',
          description:
            'Topics cannot be read while the broker is away; without this edge that would go unseen.',
          actions: failIn('consuming'),
        },
      },
    },
    processingMessage: {
      description: 'Processing the consumed message',
      meta: { label: 'Processing Message' },
      invoke: {
        src: 'processMessageService',
        input: ({ context }) => ({ message: context.currentMessage ?? { fetches: [] } }),
        onDone: { actions: raise({ type: 'PROCESS_SUCCESS' }) },
        onError: { actions: raise(({ event }) => ({ type: 'PROCESS_FAILURE', error: event.error })) },
      },
      on: {
        ...remember,
        PROCESS_SUCCESS: { target: 'interactingWithApp', actions: recoverFrom('processingMessage') },
        PROCESS_FAILURE: { target: 'error', actions: failIn('processingMessage') },
      },
    },
    interactingWithApp: {
      description: 'Interacting with application services based on the message',
      meta: { label: 'Interacting with App' },
      invoke: {
        src: 'interactWithAppService',
        input: ({ context }) => ({ message: context.currentMessage ?? { fetches: [] } }),
        onDone: { actions: raise(({ event }) => ({ type: 'INTERACT_SUCCESS', result: event.output })) },
        onError: { actions: raise(({ event }) => ({ type: 'INTERACT_FAILURE', error: event.error })) },
      },
      on: {
        ...remember,
        INTERACT_SUCCESS: [
          {
            guard: 'hasTopics',
            target: 'consuming',
            description: 'While topics are subscribed to, it goes on consuming.',
            actions: [
              assign({ currentMessage: null, appInteractionResult: ({ event }) => event.result }),
              recoverFrom('interactingWithApp', 'processingMessage'),
            ],
          },
          {
            target: 'idle',
            actions: [
              assign({ currentMessage: null, appInteractionResult: ({ event }) => event.result }),
              recoverFrom('interactingWithApp', 'processingMessage'),
            ],
          },
        ],
        INTERACT_FAILURE: { target: 'error', actions: failIn('interactingWithApp') },
      },
    },
    error: {
      description: 'Handling any errors during operations',
      meta: { label: 'Error' },
      entry: base.enqueueActions(({ context, enqueue, check }) => {
        if (check('isAlertDue')) enqueue({ type: 'raiseAlert', params: { errorInfo: context.errorInfo } })
      }),
      after: { backOff: { actions: raise({ type: 'RETRY' }) } },
      on: {
        ...remember,
        RETRY: (['subscribing', 'consuming', 'processingMessage', 'interactingWithApp'] as const).map(
          (step) => ({
            guard: { type: 'failedIn', params: { step } } as const,
            target: step,
            description: 'A failed step is done again after a back-off, with the batch in hand (R3).',
          }),
        ),
        RESET: { target: 'idle', actions: resubscribe },
      },
    },
  },
})
