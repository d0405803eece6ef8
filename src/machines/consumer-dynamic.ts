import { and, assign, fromPromise, raise, setup } from 'xstate'
import type { ErrorInfo } from '../ports/actors.ts'
import type { DeliveryResult, DynamicBatch } from '../ports/pipeline.ts'
import {
  applyChanges,
  beginConsuming,
  type ConsumerDynamicContext,
  type ConsumerDynamicEvent,
  rememberChange,
  resubscribed,
} from './consumer-dynamic-context.ts'
import {
  backOffMs,
  type MachineInput,
  recordFailure,
  unprovided,
  untilAlertMs,
  untilHealthyMs,
} from './failure.ts'
import { isRaised, outcome } from './outcomes.ts'

type Step = 'subscribing' | 'consuming' | 'processingMessage' | 'interactingWithApp'

const base = setup({
  types: {} as {
    context: ConsumerDynamicContext
    events: ConsumerDynamicEvent
    input: MachineInput<ConsumerDynamicContext>
  },
  actors: {
    /** Has the shared reader read these topics for this application; with none it resolves at once. */
    subscribeTopicService: fromPromise<void, { topics: readonly string[] }>(unprovided),
    /** Waits for records of the topics; gives the batch in hand again until it is delivered. */
    receiveMessageService: fromPromise<DynamicBatch, { topics: readonly string[] }>(unprovided),
    /** Applies the rules of readers and encodes each batch once. */
    processMessageService: fromPromise<void, { message: DynamicBatch }>(unprovided),
    /** Hands the encoded batches to the application's endpoints. */
    interactWithAppService: fromPromise<DeliveryResult, { message: DynamicBatch }>(unprovided),
  },
  actions: {
    /** Tells that a failure lasts, again at each further attempt, or that it is over; provided. */
    raiseAlert: (_, _params: { errorInfo: ErrorInfo | null }) => {},
    clearAlert: () => {},
  },
  guards: {
    isRaised,
    failedIn: ({ context }, params: { step: Step }) => context.errorInfo?.step === params.step,
    hasTopics: ({ context }) => applyChanges(context.currentTopics, context.waiting).length > 0,
    keepsTopics: ({ context, event }) =>
      event.type === 'UNSUBSCRIBE_FROM_TOPIC' && context.currentTopics.some((topic) => topic !== event.topic),
  },
  delays: {
    backOff: ({ context }) => backOffMs(context.errorInfo?.attempt ?? 1, context.settings.random),
    untilAlert: ({ context }) => untilAlertMs(context.errorInfo, context.settings),
    healthy: ({ context }) => untilHealthyMs(context.errorInfo),
  },
})

const failIn = (step: Step) =>
  base.assign({
    errorInfo: ({ context, event }) =>
      recordFailure(context.errorInfo, step, 'error' in event ? event.error : undefined, context.settings),
  })

/** The failure of this step is over. Failures of other steps stay until theirs succeed. */
const recoverFrom = (step: Step) =>
  base.enqueueActions(({ context, enqueue }) => {
    if (context.errorInfo?.step !== step) return
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

/** `idle` reads nothing: what was to be left is left already, what was to be read is subscribed to. */
const serveWhenIdle = base.enqueueActions(({ context, enqueue }) => {
  const wanted = context.waiting.filter(({ change }) => change === 'subscribe')
  enqueue.assign({ currentTopics: [], waiting: wanted })
  if (wanted.length > 0) enqueue.raise({ type: 'SUBSCRIBE_TO_TOPIC' })
  else if (context.errorInfo !== null) {
    // What failed is no longer wanted: it would stay reported for ever.
    enqueue.assign({ errorInfo: null })
    enqueue('clearAlert')
  }
})

/** What was asked for in the meantime, by the same events as if it were asked now: topics are left first, one at a time. */
const serveWhenConsuming = base.enqueueActions(({ context, enqueue }) => {
  const leaving = context.waiting.find(({ change }) => change === 'unsubscribe')
  if (leaving !== undefined) {
    enqueue.assign({ waiting: context.waiting.filter((change) => change !== leaving) })
    enqueue.raise({ type: 'UNSUBSCRIBE_FROM_TOPIC', topic: leaving.topic })
  } else if (context.waiting.length > 0) enqueue.raise({ type: 'SUBSCRIBE_TO_TOPIC' })
})

/** On the way into `subscribing` again: a topic that has ended meanwhile would fail for ever. */
const leaveOutUnsubscribed = base.assign({
  subscribing: ({ context }) =>
    context.subscribing.filter(
      (topic) =>
        !context.waiting.some((waiting) => waiting.change === 'unsubscribe' && waiting.topic === topic),
    ),
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

const resubscribe = base.assign(({ context }) => resubscribed(context))

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
      invoke: {
        src: 'subscribeTopicService',
        input: ({ context }) => ({ topics: context.subscribing }),
        onDone: { actions: raise(() => outcome({ type: 'SUBSCRIBE_SUCCESS' })) },
        onError: {
          actions: raise(({ event }) => outcome({ type: 'SUBSCRIBE_FAILURE', error: event.error })),
        },
      },
      on: {
        ...remember,
        SUBSCRIBE_SUCCESS: {
          guard: 'isRaised',
          target: 'consuming',
          actions: [takeTopics, recoverFrom('subscribing')],
        },
        SUBSCRIBE_FAILURE: { guard: 'isRaised', target: 'error', actions: failIn('subscribing') },
      },
    },
    consuming: {
      description: 'Actively consuming messages from dynamic topics',
      meta: { label: 'Consuming' },
      entry: serveWhenConsuming,
      invoke: {
        src: 'receiveMessageService',
        input: ({ context }) => ({ topics: context.currentTopics }),
        onDone: {
          actions: raise(({ event }) => outcome({ type: 'MESSAGE_RECEIVED', message: event.output })),
        },
        onError: { actions: raise(({ event }) => outcome({ type: 'RECEIVE_FAILURE', error: event.error })) },
      },
      after: {
        healthy: {
          guard: { type: 'failedIn', params: { step: 'consuming' } },
          actions: recoverFrom('consuming'),
        },
      },
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
          guard: 'isRaised',
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
        onDone: { actions: raise(() => outcome({ type: 'PROCESS_SUCCESS' })) },
        onError: { actions: raise(({ event }) => outcome({ type: 'PROCESS_FAILURE', error: event.error })) },
      },
      on: {
        ...remember,
        PROCESS_SUCCESS: {
          guard: 'isRaised',
          target: 'interactingWithApp',
          actions: recoverFrom('processingMessage'),
        },
        PROCESS_FAILURE: { guard: 'isRaised', target: 'error', actions: failIn('processingMessage') },
      },
    },
    interactingWithApp: {
      description: 'Interacting with application services based on the message',
      meta: { label: 'Interacting with App' },
      invoke: {
        src: 'interactWithAppService',
        input: ({ context }) => ({ message: context.currentMessage ?? { fetches: [] } }),
        onDone: {
          actions: raise(({ event }) => outcome({ type: 'INTERACT_SUCCESS', result: event.output })),
        },
        onError: { actions: raise(({ event }) => outcome({ type: 'INTERACT_FAILURE', error: event.error })) },
      },
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
        INTERACT_FAILURE: { guard: 'isRaised', target: 'error', actions: failIn('interactingWithApp') },
      },
    },
    error: {
      description: 'Handling any errors during operations',
      meta: { label: 'Error' },
      after: {
        backOff: { actions: raise({ type: 'RETRY' }) },
        untilAlert: {
          actions: { type: 'raiseAlert', params: ({ context }) => ({ errorInfo: context.errorInfo }) },
        },
      },
      on: {
        ...remember,
        RETRY: (['subscribing', 'consuming', 'processingMessage', 'interactingWithApp'] as const).map(
          (step) => ({
            guard: { type: 'failedIn', params: { step } } as const,
            target: step,
            description: 'A failed step is done again after a back-off, with the batch in hand.',
          }),
        ),
        RESET: { target: 'idle', actions: resubscribe },
      },
    },
  },
})
