import {
  assign,
  type DoneActorEvent,
  type ErrorActorEvent,
  type EventObject,
  enqueueActions,
  type InputFrom,
  type MachineContext,
  type OutputFrom,
  raise,
  type UnknownActorLogic,
} from 'xstate'
import type { ErrorInfo } from '../ports/actors.ts'
import { backOffMs, type MachineSettings, recordFailure, untilAlertMs, untilHealthyMs } from './failure.ts'
import { isRaised, outcome } from './outcomes.ts'

/** What every machine knows of its failures. */
interface Failing {
  readonly errorInfo: ErrorInfo | null
  readonly settings: MachineSettings
}

/** What only the machine can type: the change of its context that remembers a failure or forgets it, and its RETRY. */
interface FailureParts<Context, Event> {
  readonly remember: (errorInfo: ErrorInfo | null) => Partial<Context>
  readonly retry: Event
}

type ClearAlert = { type: 'clearAlert'; params: undefined }

/**
 * Failure, retry, alert and recovery, which are the same in every machine (R3): the actions, guards and delays for its `setup`.
 * The fragments of states below name them, and XState checks the names and steps against the machine that they stand in.
 */
export function failureOf<
  Context extends MachineContext & Failing,
  Event extends EventObject,
  Step extends string,
>({ remember, retry }: FailureParts<Context, Event>) {
  const forget = <Params extends { readonly step: Step } | undefined>() =>
    enqueueActions<Context, Event, Params, Event, never, ClearAlert, never, never, never>(
      ({ context, enqueue }, params) => {
        const failed = context.errorInfo?.step
        if (failed === undefined || (params !== undefined && params.step !== failed)) return
        enqueue.assign(() => remember(null))
        enqueue('clearAlert')
      },
    )
  return {
    actions: {
      /** Tells that a failure lasts, again at each further attempt, or that it is over; provided. */
      raiseAlert: (_: unknown, _params: { readonly errorInfo: ErrorInfo | null }) => {},
      clearAlert: () => {},
      retry: raise<Context, Event, Event, undefined, never, never>(() => retry),
      failIn: assign<Context, Event, { readonly step: Step }, Event, never>(
        ({ context, event }, { step }) => {
          const error = 'error' in event ? event.error : undefined
          return remember(recordFailure(context.errorInfo, step, error, context.settings))
        },
      ),
      /** The failure of this step is over. Failures of other steps stay until theirs succeed. */
      recoverFrom: forget<{ readonly step: Step }>(),
      /** The work in hand is done, or nobody wants it any more: whatever failed on the way is over. */
      recover: forget<undefined>(),
    },
    guards: {
      isRaised,
      failedIn: ({ context }: { readonly context: Failing }, { step }: { readonly step: Step }) =>
        context.errorInfo?.step === step,
    },
    delays: {
      backOff: ({ context }: { readonly context: Failing }) =>
        backOffMs(context.errorInfo?.attempt ?? 1, context.settings.random),
      untilAlert: ({ context }: { readonly context: Failing }) =>
        untilAlertMs(context.errorInfo, context.settings),
      healthy: ({ context }: { readonly context: Failing }) => untilHealthyMs(context.errorInfo),
    },
  }
}

/** The service of a step, and the events of the domain by which the machine hears how it ended. */
interface StepService<Context, Event, Src, Logic> {
  readonly src: Src
  readonly input: (context: Context) => InputFrom<Logic>
  readonly done: (output: OutputFrom<Logic>, context: Context) => Event
  readonly failed: (error: unknown) => Event
}

/** Gives the function that writes the `invoke` of a step, for a machine with these services. */
export function invokeFor<
  Context extends MachineContext,
  Event extends EventObject,
  Services extends Record<string, UnknownActorLogic>,
>() {
  return <Src extends keyof Services & string>({
    src,
    input,
    done,
    failed,
  }: StepService<Context, Event, Src, Services[Src]>) => ({
    src,
    input: ({ context }: { readonly context: Context }) => input(context),
    onDone: {
      actions: raise<Context, DoneActorEvent<OutputFrom<Services[Src]>>, Event, undefined, never, never>(
        ({ context, event }) => outcome(done(event.output, context)),
      ),
    },
    onError: {
      actions: raise<Context, ErrorActorEvent, Event, undefined, never, never>(({ event }) =>
        outcome(failed(event.error)),
      ),
    },
  })
}

/** The transition on the failure of a step. */
export function failIn<const Step extends string>(step: Step) {
  return { guard: 'isRaised', target: 'error', actions: { type: 'failIn', params: { step } } } as const
}

/** The action that ends the failure of a step when the step has succeeded. */
export function recoverFrom<const Step extends string>(step: Step) {
  return { type: 'recoverFrom', params: { step } } as const
}

/** `after` of a wait for data: a wait that no longer fails ends its failure, though nothing came. */
export function recoverInTime<const Step extends string>(step: Step) {
  return {
    healthy: { guard: { type: 'failedIn', params: { step } }, actions: recoverFrom(step) },
  } as const
}

/** The transitions on RETRY, to the step that failed. */
export function retryIn<const Step extends string>(...steps: readonly Step[]) {
  return steps.map((step) => ({
    guard: { type: 'failedIn' as const, params: { step } },
    target: step,
    description: 'A failed step is done again after a back-off, with the batch in hand.',
  }))
}

/** The state `error` of every machine, but for where it leads. */
export const errorState = {
  description: 'Handling any errors during operations',
  meta: { label: 'Error' },
  after: {
    backOff: { actions: 'retry' },
    untilAlert: {
      actions: {
        type: 'raiseAlert',
        params: ({ context: { errorInfo } }: { readonly context: Failing }) => ({ errorInfo }),
      },
    },
  },
} as const
