import { assign, fromPromise, setup } from 'xstate'
import type { ErrorInfo } from '../ports/actors.ts'
import type { Carried, FixedBatch, PreparedBatch } from '../ports/pipeline.ts'
import { type MachineInput, type MachineSettings, unprovided } from './failure.ts'
import { errorState, failIn, failureOf, invokeFor, recoverFrom, recoverInTime, retryIn } from './step.ts'

type Step = 'idle' | 'processingMessage' | 'writingToDB'

export interface ConsumerFixedContext {
  /** The batch in hand, as polled. */
  readonly currentMessage: Carried<FixedBatch> | null
  /** The batch in hand, ready for the database. */
  readonly dbRecord: Carried<PreparedBatch> | null
  readonly errorInfo: ErrorInfo | null
  readonly settings: MachineSettings
}

type ConsumerFixedEvent =
  | { readonly type: 'MESSAGE_RECEIVED'; readonly message: Carried<FixedBatch> }
  | { readonly type: 'PROCESS_SUCCESS'; readonly record: Carried<PreparedBatch> }
  | { readonly type: 'PROCESS_FAILURE'; readonly error: unknown }
  | { readonly type: 'WRITE_SUCCESS' }
  | { readonly type: 'WRITE_FAILURE'; readonly error: unknown }
  | { readonly type: 'RECEIVE_FAILURE'; readonly error: unknown }
  | { readonly type: 'RETRY' }
  | { readonly type: 'RESET' }

const services = {
  /** Waits for records of the fixed topics; gives the batch in hand again until it is written. */
  receiveMessageService: fromPromise<Carried<FixedBatch>, undefined>(unprovided),
  /**
   * Decodes, checks and encodes a batch for the claims of now, and writes dead letters. Where the claims have not changed, the reader has done
   * so already, beside the write of the batch before.
   */
  processMessageService: fromPromise<Carried<PreparedBatch>, { message: Carried<FixedBatch> }>(unprovided),
  /** Writes rows and offsets in one fenced transaction. */
  writeToDBService: fromPromise<void, { record: Carried<PreparedBatch> }>(unprovided),
}

/** Stands in for a batch where a step has none: no way through the machine leads there. */
const NO_MESSAGE: Carried<FixedBatch> = {
  ...{ fetches: [], records: 0, done: () => {} },
  prepared: { writes: [], rows: 0, basis: [], rejected: [], torn: [] },
}
const NO_RECORD: Carried<PreparedBatch> = { fetches: [], writes: [], rows: 0, done: () => {} }

const invoke = invokeFor<ConsumerFixedContext, ConsumerFixedEvent, typeof services>()

const base = setup({
  types: {} as {
    context: ConsumerFixedContext
    events: ConsumerFixedEvent
    input: MachineInput<ConsumerFixedContext>
  },
  actors: services,
  ...failureOf<ConsumerFixedContext, ConsumerFixedEvent, Step>({
    remember: (errorInfo) => ({ errorInfo }),
    retry: { type: 'RETRY' },
  }),
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
      invoke: invoke({
        src: 'receiveMessageService',
        input: () => undefined,
        done: (message) => ({ type: 'MESSAGE_RECEIVED', message }),
        failed: (error) => ({ type: 'RECEIVE_FAILURE', error }),
      }),
      after: recoverInTime('idle'),
      on: {
        MESSAGE_RECEIVED: {
          guard: 'isRaised',
          target: 'processingMessage',
          actions: [assign({ currentMessage: ({ event }) => event.message }), recoverFrom('idle')],
        },
        RECEIVE_FAILURE: {
          ...failIn('idle'),
          description:
            'Messages cannot be read while the broker is away; without this edge that would go unseen.',
        },
      },
    },
    processingMessage: {
      description: 'Actively processing a received message',
      meta: { label: 'Processing Message' },
      invoke: invoke({
        src: 'processMessageService',
        input: ({ currentMessage }) => ({ message: currentMessage ?? NO_MESSAGE }),
        done: (record) => ({ type: 'PROCESS_SUCCESS', record }),
        failed: (error) => ({ type: 'PROCESS_FAILURE', error }),
      }),
      on: {
        PROCESS_SUCCESS: {
          guard: 'isRaised',
          target: 'writingToDB',
          actions: [assign({ dbRecord: ({ event }) => event.record }), recoverFrom('processingMessage')],
        },
        PROCESS_FAILURE: failIn('processingMessage'),
      },
    },
    writingToDB: {
      description: 'Writing the processed data to the database',
      meta: { label: 'Writing to DB' },
      invoke: invoke({
        src: 'writeToDBService',
        input: ({ dbRecord }) => ({ record: dbRecord ?? NO_RECORD }),
        done: () => ({ type: 'WRITE_SUCCESS' }),
        failed: (error) => ({ type: 'WRITE_FAILURE', error }),
      }),
      on: {
        WRITE_SUCCESS: {
          guard: 'isRaised',
          target: 'idle',
          actions: [assign({ currentMessage: null, dbRecord: null }), 'recover'],
        },
        WRITE_FAILURE: failIn('writingToDB'),
      },
    },
    error: {
      ...errorState,
      on: { RETRY: retryIn('idle', 'processingMessage', 'writingToDB'), RESET: 'idle' },
    },
  },
})
