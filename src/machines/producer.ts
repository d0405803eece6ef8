import { assign, fromPromise, raise, setup } from 'xstate'
import type { ErrorInfo } from '../ports/actors.ts'
import type { ProducerNotification, PublishOutcome, TopicAnswer } from '../ports/pipeline.ts'
import type { SourceBatch } from '../ports/source.ts'
import {
  backOffMs,
  type MachineInput,
  recordFailure,
  SHORTEST_BACK_OFF_MS,
  unprovided,
  untilAlertMs,
} from './failure.ts'
import { isRaised, outcome } from './outcomes.ts'
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

type Step = 'fetchingData' | 'publishingFixed' | 'publishingDynamic' | 'creatingTopic'

/** How long a fetch waits for data when nothing else is to be done: short, so that commands are served soon. */
const FETCH_WAIT_MS = 50

const base = setup({
  types: {} as { context: ProducerContext; events: ProducerEvent; input: MachineInput<ProducerContext> },
  actors: {
    /** The next batch of the source; empty after `waitMs`. */
    fetchDataService: fromPromise<SourceBatch, { waitMs: number }>(unprovided),
    /** Publishes a batch to the fixed topics; resolves when it is acknowledged. */
    publishFixedService: fromPromise<PublishOutcome, { data: SourceBatch }>(unprovided),
    /** Derives what the fixed topics hold into the dynamic topics. */
    publishDynamicService: fromPromise<PublishOutcome, undefined>(unprovided),
    /** Sends CREATE_TOPIC_REQUEST for a standing stream and waits at most 1 s for the reply. */
    createTopicService: fromPromise<TopicAnswer, { topicName: string }>(unprovided),
  },
  actions: {
    /** Changes the routing table and acknowledges (R11); provided. */
    applyNotification: (_, _params: { notification: ProducerNotification }) => {},
    /** Tells that a failure lasts, again at each further attempt, or that it is over; provided. */
    raiseAlert: (_, _params: { errorInfo: ErrorInfo | null }) => {},
    clearAlert: () => {},
    /** Reports a command that could not be remembered; provided. */
    reportRefused: (_, _params: { event: ProducerEvent['type'] }) => {},
  },
  guards: {
    isRaised,
    hasRoom: ({ context, event }) => hasRoom(context, event),
    failedIn: ({ context }, params: { step: Step }) => context.errorInfo?.step === params.step,
    isLeftForLater: ({ context }) => isLeftForLater(context),
    isServableWithoutSource: ({ context }) => isServableWithoutSource(context),
  },
  delays: {
    backOff: ({ context }) => {
      if (isLeftForLater(context)) return SHORTEST_BACK_OFF_MS
      return backOffMs(context.errorInfo?.attempt ?? 1, context.settings.random)
    },
    untilAlert: ({ context }) => untilAlertMs(context.errorInfo, context.settings),
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

/** In the middle of a step. FETCH_DATA needs no memory: `idle` fetches whenever nothing else waits. */
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
      invoke: {
        src: 'fetchDataService',
        input: ({ context }) => ({
          waitMs: context.waiting.dynamic || isCommandDue(context) ? 0 : FETCH_WAIT_MS,
        }),
        onDone: { actions: raise(({ event }) => outcome({ type: 'DATA_READY', data: event.output })) },
        onError: { actions: raise(({ event }) => outcome({ type: 'FETCH_FAILURE', error: event.error })) },
      },
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
        FETCH_FAILURE: { guard: 'isRaised', target: 'error', actions: failIn('fetchingData') },
      },
    },
    publishingFixed: {
      description: 'Publishing data to fixed topics',
      meta: { label: 'Publishing to Fixed Topics' },
      invoke: {
        src: 'publishFixedService',
        input: ({ context }) => ({ data: context.currentData ?? { items: [] } }),
        onDone: {
          actions: raise(({ context, event }) =>
            event.output.dynamicWaiting || context.waiting.dynamic || isCommandDue(context)
              ? outcome({
                  type: 'PUBLISH_SUCCESS',
                  completed: {
                    ...event.output,
                    dynamicWaiting: event.output.dynamicWaiting || context.waiting.dynamic,
                  },
                })
              : outcome({ type: 'FETCH_DATA', completed: event.output }),
          ),
        },
        onError: { actions: raise(({ event }) => outcome({ type: 'PUBLISH_FAILURE', error: event.error })) },
      },
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
        PUBLISH_FAILURE: { guard: 'isRaised', target: 'error', actions: failIn('publishingFixed') },
      },
    },
    publishingDynamic: {
      description: 'Publishing data to dynamic topics',
      meta: { label: 'Publishing to Dynamic Topics' },
      entry: assign({ waiting: ({ context }) => ({ ...context.waiting, dynamic: false }) }),
      invoke: {
        src: 'publishDynamicService',
        input: undefined,
        onDone: {
          actions: raise(({ context, event }) =>
            isCommandDue(context)
              ? outcome({ type: 'PUBLISH_SUCCESS', completed: event.output })
              : outcome({ type: 'FETCH_DATA', completed: event.output }),
          ),
        },
        onError: { actions: raise(({ event }) => outcome({ type: 'PUBLISH_FAILURE', error: event.error })) },
      },
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
        PUBLISH_FAILURE: { guard: 'isRaised', target: 'error', actions: failIn('publishingDynamic') },
      },
    },
    creatingTopic: {
      description: 'Handling dynamic topic creation requests',
      meta: { label: 'Creating Dynamic Topic' },
      invoke: {
        src: 'createTopicService',
        input: ({ context }) => ({ topicName: context.newTopicName ?? '' }),
        onDone: {
          actions: raise(({ event }) => outcome({ type: 'CREATE_TOPIC_SUCCESS', answer: event.output })),
        },
        onError: {
          actions: raise(({ event }) => outcome({ type: 'CREATE_TOPIC_FAILURE', error: event.error })),
        },
      },
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
        CREATE_TOPIC_FAILURE: { guard: 'isRaised', target: 'error', actions: failIn('creatingTopic') },
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
          ...(['fetchingData', 'publishingFixed', 'publishingDynamic', 'creatingTopic'] as const).map(
            (step) => ({
              guard: { type: 'failedIn', params: { step } } as const,
              target: step,
              description: 'A failed step is done again after a back-off, with the batch in hand.',
            }),
          ),
        ],
        RESET: { target: 'idle', actions: remember },
      },
    },
  },
})
