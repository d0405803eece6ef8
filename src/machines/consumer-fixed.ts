import { assign, fromPromise, raise, setup } from 'xstate'
import type { ErrorInfo } from '../ports/actors.ts'
import type { FixedBatch, PreparedBatch } from '../ports/pipeline.ts'
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

type Step = 'idle' | 'processingMessage' | 'writingToDB'

export interface ConsumerFixedContext {
  /** The batch in hand, as polled. */
  readonly currentMessage: FixedBatch | null
  /** The batch in hand, ready for the database. */
  readonly dbRecord: PreparedBatch | null
  readonly errorInfo: ErrorInfo | null
  readonly settings: MachineSettings
}

type ConsumerFixedEvent =
  | { readonly type: 'MESSAGE_RECEIVED'; readonly message: FixedBatch }
  | { readonly type: 'PROCESS_SUCCESS'; readonly record: PreparedBatch }
  | { readonly type: 'PROCESS_FAILURE'; readonly error: unknown }
  | { readonly type: 'WRITE_SUCCESS' }
  | { readonly type: 'WRITE_FAILURE'; readonly error: unknown }
  | { readonly type: 'RECEIVE_FAILURE'; readonly error: unknown }
  | { readonly type: 'RETRY' }
  | { readonly type: 'RESET' }

const base = setup({
  types: {} as {
    context: ConsumerFixedContext
    events: ConsumerFixedEvent
    input: MachineInput<ConsumerFixedContext>
  },
  actors: {
    /** Waits for records of the fixed topics; gives the batch in hand again until it is written. */
    receiveMessageService: fromPromise<FixedBatch, undefined>(unprovided),
    /** Decodes and checks a batch, writes dead letters, encodes rows. */
    processMessageService: fromPromise<PreparedBatch, { message: FixedBatch }>(unprovided),
    /** Writes rows and offsets in one fenced transaction. */
    writeToDBService: fromPromise<void, { record: PreparedBatch }>(unprovided),
  },
  actions: {
    /** Tells that a failure lasts, again at each further attempt, or that it is over; provided. */
    raiseAlert: (_, _params: { errorInfo: ErrorInfo | null }) => {},
    clearAlert: () => {},
  },
  guards: {
    isRaised,
    failedIn: ({ context }, params: { step: Step }) => context.errorInfo?.step === params.step,
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

/**
 * The fixed consumer: takes batches from the fixed topics, decodes and checks them, and writes rows and offsets in one
 * transaction. It is the contract's `consumerFixedActor`.
 */
export const consumerFixedMachine = base.createMachine({
  id: 'consumerFixedActor',
  description: 'Consumer Fixed',
  context: ({ input: { former, ...settings } }) => ({
    currentMessage: former?.currentMessage ?? null,
    dbRecord: former?.dbRecord ?? null,
    errorInfo: former?.errorInfo ?? null,
    settings,
  }),
  initial: 'idle',
  on: {
    RESET: {
      target: '.idle',
      description: 'RESET works in every state; the batch in hand is received again.',
    },
  },
  states: {
    idle: {
      description: 'Awaiting messages',
      meta: { label: 'Idle' },
      invoke: {
        src: 'receiveMessageService',
        input: undefined,
        onDone: {
          actions: raise(({ event }) => outcome({ type: 'MESSAGE_RECEIVED', message: event.output })),
        },
        onError: { actions: raise(({ event }) => outcome({ type: 'RECEIVE_FAILURE', error: event.error })) },
      },
      after: {
        healthy: { guard: { type: 'failedIn', params: { step: 'idle' } }, actions: recoverFrom('idle') },
      },
      on: {
        MESSAGE_RECEIVED: {
          guard: 'isRaised',
          target: 'processingMessage',
          actions: [assign({ currentMessage: ({ event }) => event.message }), recoverFrom('idle')],
        },
        RECEIVE_FAILURE: {
          guard: 'isRaised',
          target: 'error',
          description:
            'Messages cannot be read while the broker is away; without this edge that would go unseen.',
          actions: failIn('idle'),
        },
      },
    },
    processingMessage: {
      description: 'Actively processing a received message',
      meta: { label: 'Processing Message' },
      invoke: {
        src: 'processMessageService',
        input: ({ context }) => ({ message: context.currentMessage ?? { fetches: [], records: 0 } }),
        onDone: { actions: raise(({ event }) => outcome({ type: 'PROCESS_SUCCESS', record: event.output })) },
        onError: { actions: raise(({ event }) => outcome({ type: 'PROCESS_FAILURE', error: event.error })) },
      },
      on: {
        PROCESS_SUCCESS: {
          guard: 'isRaised',
          target: 'writingToDB',
          actions: [assign({ dbRecord: ({ event }) => event.record }), recoverFrom('processingMessage')],
        },
        PROCESS_FAILURE: { guard: 'isRaised', target: 'error', actions: failIn('processingMessage') },
      },
    },
    writingToDB: {
      description: 'Writing the processed data to the database',
      meta: { label: 'Writing to DB' },
      invoke: {
        src: 'writeToDBService',
        input: ({ context }) => ({ record: context.dbRecord ?? { writes: [], rows: 0 } }),
        onDone: { actions: raise(() => outcome({ type: 'WRITE_SUCCESS' })) },
        onError: { actions: raise(({ event }) => outcome({ type: 'WRITE_FAILURE', error: event.error })) },
      },
      on: {
        WRITE_SUCCESS: {
          guard: 'isRaised',
          target: 'idle',
          actions: [assign({ currentMessage: null, dbRecord: null }), recover],
        },
        WRITE_FAILURE: { guard: 'isRaised', target: 'error', actions: failIn('writingToDB') },
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
        RETRY: (['idle', 'processingMessage', 'writingToDB'] as const).map((step) => ({
          guard: { type: 'failedIn', params: { step } } as const,
          target: step,
          description: 'A failed step is done again after a back-off, with the batch in hand.',
        })),
        RESET: 'idle',
      },
    },
  },
})
