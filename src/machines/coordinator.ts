import { and, fromPromise, setup } from 'xstate'
import type { ErrorInfo } from '../ports/actors.ts'
import type { Carried, TopicBatch } from '../ports/pipeline.ts'
import { type MachineInput, type MachineSettings, unprovided } from './failure.ts'
import { errorState, failIn, failureOf, invokeFor, recoverFrom, recoverInTime, retryIn } from './step.ts'

type Step = 'active' | 'processingCreateTopic' | 'processingDeleteTopic' | 'notifyingActors'

export interface CoordinatorContext {
  /** The batch of requests in hand (R10). */
  readonly pendingTopic: Carried<TopicBatch> | null
  readonly errorInfo: ErrorInfo | null
  readonly settings: MachineSettings
}

type CoordinatorEvent =
  | { readonly type: 'REQUEST_CREATE_TOPIC' | 'REQUEST_DELETE_TOPIC'; readonly batch: Carried<TopicBatch> }
  | { readonly type: 'CREATE_TOPIC_SUCCESS' }
  | { readonly type: 'CREATE_TOPIC_FAILURE'; readonly error: unknown }
  | { readonly type: 'DELETE_TOPIC_SUCCESS' }
  | { readonly type: 'DELETE_TOPIC_FAILURE'; readonly error: unknown }
  | { readonly type: 'NOTIFY_SUCCESS' }
  | { readonly type: 'NOTIFY_FAILURE'; readonly error: unknown }
  | { readonly type: 'RECEIVE_FAILURE'; readonly error: unknown }
  | { readonly type: 'RETRY' }
  | { readonly type: 'RESET' }

const services = {
  /** Waits for requests, or for topics whose grace is over; ends leases on the way. */
  receiveRequestsService: fromPromise<Carried<TopicBatch>, undefined>(unprovided),
  /** Makes the topics of a batch and answers each request by itself. */
  createTopicService: fromPromise<void, { batch: Carried<TopicBatch> }>(unprovided),
  /** Tells producers and consumers, and waits at most 200 ms for their acknowledgement. */
  notifyActorsService: fromPromise<void, { batch: Carried<TopicBatch> }>(unprovided),
  /** Deletes the topics of a batch. */
  deleteTopicService: fromPromise<void, { batch: Carried<TopicBatch> }>(unprovided),
}

const invoke = invokeFor<CoordinatorContext, CoordinatorEvent, typeof services>()

const failure = failureOf<CoordinatorContext, CoordinatorEvent, Step>({
  remember: (errorInfo) => ({ errorInfo }),
  retry: { type: 'RETRY' },
})

const base = setup({
  types: {} as {
    context: CoordinatorContext
    events: CoordinatorEvent
    input: MachineInput<CoordinatorContext>
  },
  actors: services,
  ...failure,
  guards: { ...failure.guards, isDeleting: ({ context }) => context.pendingTopic?.kind === 'delete' },
})

const take = base.assign({
  pendingTopic: ({ context, event }) => ('batch' in event ? event.batch : context.pendingTopic),
})

const finish = base.assign({ pendingTopic: null })

const inHand = ({ pendingTopic }: CoordinatorContext): { batch: Carried<TopicBatch> } => ({
  batch: pendingTopic ?? { kind: 'create', requests: [], controlOffset: 0, done: () => {} },
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
      invoke: invoke({
        src: 'receiveRequestsService',
        input: () => undefined,
        done: (batch) => ({
          type: batch.kind === 'create' ? 'REQUEST_CREATE_TOPIC' : 'REQUEST_DELETE_TOPIC',
          batch,
        }),
        failed: (error) => ({ type: 'RECEIVE_FAILURE', error }),
      }),
      after: recoverInTime('active'),
      on: {
        REQUEST_CREATE_TOPIC: {
          target: 'processingCreateTopic',
          actions: [take, recoverFrom('active')],
        },
        REQUEST_DELETE_TOPIC: {
          target: 'notifyingActors',
          description: 'Producers drop the route before the topic goes.',
          actions: [take, recoverFrom('active')],
        },
        RECEIVE_FAILURE: {
          ...failIn('active'),
          description:
            'Requests cannot be read while the broker is away; without this edge that would go unseen.',
        },
      },
    },
    processingCreateTopic: {
      description: 'Handling requests to create a new dynamic topic',
      meta: { label: 'Processing Create Topic' },
      invoke: invoke({
        src: 'createTopicService',
        input: inHand,
        done: () => ({ type: 'CREATE_TOPIC_SUCCESS' }),
        failed: (error) => ({ type: 'CREATE_TOPIC_FAILURE', error }),
      }),
      on: {
        CREATE_TOPIC_SUCCESS: {
          guard: 'isRaised',
          target: 'notifyingActors',
          actions: recoverFrom('processingCreateTopic'),
        },
        CREATE_TOPIC_FAILURE: failIn('processingCreateTopic'),
      },
    },
    notifyingActors: {
      description: 'Informing Producer and Consumers about the new topic',
      meta: { label: 'Notifying Actors' },
      invoke: invoke({
        src: 'notifyActorsService',
        input: inHand,
        done: () => ({ type: 'NOTIFY_SUCCESS' }),
        failed: (error) => ({ type: 'NOTIFY_FAILURE', error }),
      }),
      on: {
        NOTIFY_SUCCESS: [
          {
            guard: and(['isRaised', 'isDeleting']),
            target: 'processingDeleteTopic',
            description: 'Nobody writes or reads the topic any more: now it can be deleted.',
            actions: recoverFrom('notifyingActors'),
          },
          { guard: 'isRaised', target: 'active', actions: [finish, 'recover'] },
        ],
        NOTIFY_FAILURE: failIn('notifyingActors'),
      },
    },
    processingDeleteTopic: {
      description: 'Deleting dynamic topics that nobody wants any more',
      meta: { label: 'Processing Delete Topic' },
      invoke: invoke({
        src: 'deleteTopicService',
        input: inHand,
        done: () => ({ type: 'DELETE_TOPIC_SUCCESS' }),
        failed: (error) => ({ type: 'DELETE_TOPIC_FAILURE', error }),
      }),
      on: {
        DELETE_TOPIC_SUCCESS: {
          guard: 'isRaised',
          target: 'active',
          description: 'The topics are gone.',
          actions: [finish, 'recover'],
        },
        DELETE_TOPIC_FAILURE: {
          ...failIn('processingDeleteTopic'),
          description: 'Topics could not be deleted; like every failure it is seen and tried again.',
        },
      },
    },
    error: {
      ...errorState,
      on: {
        RETRY: retryIn('active', 'processingCreateTopic', 'processingDeleteTopic', 'notifyingActors'),
        RESET: 'active',
      },
    },
  },
})
