import { and, assign, fromPromise, raise, setup } from 'xstate'
import type { ErrorInfo } from '../ports/actors.ts'
import type { TopicBatch, TopicRequest } from '../ports/pipeline.ts'
import {
  backOffMs,
  type MachineInput,
  type MachineSettings,
  recordFailure,
  unprovided,
  untilAlertMs,
  untilHealthyMs,
} from './failure.ts'
import { isRaised, outcome } from './outcomes.ts'

type Step = 'active' | 'processingCreateTopic' | 'processingDeleteTopic' | 'notifyingActors'

export interface CoordinatorContext {
  /** The batch of requests in hand (R10). */
  readonly pendingTopic: TopicBatch | null
  readonly errorInfo: ErrorInfo | null
  readonly settings: MachineSettings
}

type CoordinatorEvent =
  | { readonly type: 'REQUEST_CREATE_TOPIC'; readonly requests: readonly TopicRequest[] }
  | {
      readonly type: 'REQUEST_DELETE_TOPIC'
      readonly requests: (TopicBatch & { kind: 'delete' })['requests']
    }
  | { readonly type: 'CREATE_TOPIC_SUCCESS' }
  | { readonly type: 'CREATE_TOPIC_FAILURE'; readonly error: unknown }
  | { readonly type: 'DELETE_TOPIC_SUCCESS' }
  | { readonly type: 'DELETE_TOPIC_FAILURE'; readonly error: unknown }
  | { readonly type: 'NOTIFY_SUCCESS' }
  | { readonly type: 'NOTIFY_FAILURE'; readonly error: unknown }
  | { readonly type: 'RECEIVE_FAILURE'; readonly error: unknown }
  | { readonly type: 'RETRY' }
  | { readonly type: 'RESET' }

const base = setup({
  types: {} as {
    context: CoordinatorContext
    events: CoordinatorEvent
    input: MachineInput<CoordinatorContext>
  },
  actors: {
    /** Waits for requests, or for topics whose grace is over; ends leases on the way. */
    receiveRequestsService: fromPromise<TopicBatch, undefined>(unprovided),
    /** Makes the topics of a batch and answers each request by itself. */
    createTopicService: fromPromise<void, { batch: TopicBatch }>(unprovided),
    /** Tells producers and consumers, and waits at most 200 ms for their acknowledgement. */
    notifyActorsService: fromPromise<void, { batch: TopicBatch }>(unprovided),
    /** Deletes the topics of a batch. */
    deleteTopicService: fromPromise<void, { batch: TopicBatch }>(unprovided),
  },
  actions: {
    /** Tells that a failure lasts, again at each further attempt, or that it is over; provided. */
    raiseAlert: (_, _params: { errorInfo: ErrorInfo | null }) => {},
    clearAlert: () => {},
  },
  guards: {
    isRaised,
    failedIn: ({ context }, params: { step: Step }) => context.errorInfo?.step === params.step,
    isDeleting: ({ context }) => context.pendingTopic?.kind === 'delete',
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

/** The batch in hand is done: whatever failed on the way is over. */
const recover = base.enqueueActions(({ context, enqueue }) => {
  if (context.errorInfo === null) return
  enqueue.assign({ errorInfo: null })
  enqueue('clearAlert')
})

const finish = base.assign({ pendingTopic: null })

const inHand = (context: CoordinatorContext): { batch: TopicBatch } => ({
  batch: context.pendingTopic ?? { kind: 'create', requests: [] },
})

/**
 * The coordinator: turns requests for streams into topics, tells producers and consumers, and removes topics that nobody
 * wants any more. It is the contract's `coordinatorActor`; it runs in the process that leads.
 */
export const coordinatorMachine = base.createMachine({
  id: 'coordinatorActor',
  description: 'Coordinator',
  context: ({ input: { former, ...settings } }) => ({
    pendingTopic: former?.pendingTopic ?? null,
    errorInfo: former?.errorInfo ?? null,
    settings,
  }),
  initial: 'active',
  on: {
    RESET: {
      target: '.active',
      description: 'RESET works in every state; the batch in hand is received again.',
    },
  },
  states: {
    active: {
      description: 'Ready to handle topic management commands',
      meta: { label: 'Active' },
      invoke: {
        src: 'receiveRequestsService',
        input: undefined,
        onDone: {
          actions: raise(({ event }) =>
            event.output.kind === 'create'
              ? { type: 'REQUEST_CREATE_TOPIC', requests: event.output.requests }
              : { type: 'REQUEST_DELETE_TOPIC', requests: event.output.requests },
          ),
        },
        onError: { actions: raise(({ event }) => outcome({ type: 'RECEIVE_FAILURE', error: event.error })) },
      },
      after: {
        healthy: { guard: { type: 'failedIn', params: { step: 'active' } }, actions: recoverFrom('active') },
      },
      on: {
        REQUEST_CREATE_TOPIC: {
          target: 'processingCreateTopic',
          actions: [
            assign({ pendingTopic: ({ event }) => ({ kind: 'create', requests: event.requests }) }),
            recoverFrom('active'),
          ],
        },
        REQUEST_DELETE_TOPIC: {
          target: 'notifyingActors',
          description: 'Producers drop the route before the topic goes.',
          actions: [
            assign({ pendingTopic: ({ event }) => ({ kind: 'delete', requests: event.requests }) }),
            recoverFrom('active'),
          ],
        },
        RECEIVE_FAILURE: {
          guard: 'isRaised',
          target: 'error',
          description:
            'Requests cannot be read while the broker is away; without this edge that would go unseen.',
          actions: failIn('active'),
        },
      },
    },
    processingCreateTopic: {
      description: 'Handling requests to create a new dynamic topic',
      meta: { label: 'Processing Create Topic' },
      invoke: {
        src: 'createTopicService',
        input: ({ context }) => inHand(context),
        onDone: { actions: raise(() => outcome({ type: 'CREATE_TOPIC_SUCCESS' })) },
        onError: {
          actions: raise(({ event }) => outcome({ type: 'CREATE_TOPIC_FAILURE', error: event.error })),
        },
      },
      on: {
        CREATE_TOPIC_SUCCESS: {
          guard: 'isRaised',
          target: 'notifyingActors',
          actions: recoverFrom('processingCreateTopic'),
        },
        CREATE_TOPIC_FAILURE: {
          guard: 'isRaised',
          target: 'error',
          actions: failIn('processingCreateTopic'),
        },
      },
    },
    notifyingActors: {
      description: 'Informing Producer and Consumers about the new topic',
      meta: { label: 'Notifying Actors' },
      invoke: {
        src: 'notifyActorsService',
        input: ({ context }) => inHand(context),
        onDone: { actions: raise(() => outcome({ type: 'NOTIFY_SUCCESS' })) },
        onError: { actions: raise(({ event }) => outcome({ type: 'NOTIFY_FAILURE', error: event.error })) },
      },
      on: {
        NOTIFY_SUCCESS: [
          {
            guard: and(['isRaised', 'isDeleting']),
            target: 'processingDeleteTopic',
            description: 'Nobody writes or reads the topic any more: now it can be deleted.',
            actions: recoverFrom('notifyingActors'),
          },
          { guard: 'isRaised', target: 'active', actions: [finish, recover] },
        ],
        NOTIFY_FAILURE: { guard: 'isRaised', target: 'error', actions: failIn('notifyingActors') },
      },
    },
    processingDeleteTopic: {
      description: 'Deleting dynamic topics that nobody wants any more',
      meta: { label: 'Processing Delete Topic' },
      invoke: {
        src: 'deleteTopicService',
        input: ({ context }) => inHand(context),
        onDone: { actions: raise(() => outcome({ type: 'DELETE_TOPIC_SUCCESS' })) },
        onError: {
          actions: raise(({ event }) => outcome({ type: 'DELETE_TOPIC_FAILURE', error: event.error })),
        },
      },
      on: {
        DELETE_TOPIC_SUCCESS: {
          guard: 'isRaised',
          target: 'active',
          description: 'The topics are gone.',
          actions: [finish, recover],
        },
        DELETE_TOPIC_FAILURE: {
          guard: 'isRaised',
          target: 'error',
          description: 'Topics could not be deleted; like every failure it is seen and tried again.',
          actions: failIn('processingDeleteTopic'),
        },
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
        RETRY: (['active', 'processingCreateTopic', 'processingDeleteTopic', 'notifyingActors'] as const).map(
          (step) => ({
            guard: { type: 'failedIn', params: { step } } as const,
            target: step,
            description: 'A failed step is done again after a back-off, with the batch in hand.',
          }),
        ),
        RESET: 'active',
      },
    },
  },
})
