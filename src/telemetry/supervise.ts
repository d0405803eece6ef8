import {
  type Actor,
  type ActorOptions,
  type AnyActorRef,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type ContextFrom,
  createActor,
  type EventFrom,
  type EventObject,
} from 'xstate'
import { startTimer, type Timer } from '../async/timers.ts'
import { toTapelineError } from '../errors.ts'
import { backOffMs, type MachineSettings } from '../machines/failure.ts'
import type { ActorReport, ErrorInfo, Transition } from '../ports/actors.ts'
import type { Log, Meter } from '../ports/log.ts'
import { observeTransitions } from './transitions.ts'

interface Supervision<Machine extends AnyStateMachine> {
  /** The machine with its services provided. */
  readonly machine: Machine
  readonly kind: ActorReport['machine']
  /** Unique in the process: the actor's name in the log, the trace and the API. */
  readonly id: string
  readonly settings: MachineSettings
  /** A short, JSON-ready summary of what the actor has in hand. */
  readonly summarise: (context: ContextFrom<Machine>) => ActorReport['context']
  /** Called at each transition; may throw. */
  readonly onTransition: (transition: Transition) => void
  readonly log: Log
  readonly meter: Meter
  /** The timers of the machine and of the restarts; those of the process when left out. */
  readonly clock?: Clock
}

type Clock = NonNullable<ActorOptions<AnyStateMachine>['clock']>

/** A root actor that runs until `stop`, whatever happens inside. */
export interface SupervisedActor<Event> {
  /** Sends an event. While the actor is being restarted events are kept, 1,000 at most; one more is refused and logged. */
  send(event: Event): void
  /** Sends RESET; in a wait for a restart it restarts at once, which does the work in hand again as well. */
  reset(): void
  /** Ends the back-off of a step that failed with this code: what it needs is back. */
  retry(code: ErrorInfo['code']): void
  report(): ActorReport
  /** Ends the actor for good; services in flight are aborted. */
  stop(): void
}

/** An actor that has run for so long is healthy: its next restart waits for the shortest time again. */
const HEALTHY_AFTER_MS = 60_000
const MOST_KEPT = 1_000

const PROCESS_CLOCK: Clock = {
  setTimeout: startTimer,
  clearTimeout: (timer: Timer) => timer.stop(),
}

/** A crash whose restart is being waited for. */
interface Crash {
  readonly errorInfo: ErrorInfo
  readonly timer: ReturnType<Clock['setTimeout']>
}

/**
 * Starts an actor of a machine and keeps it alive. A throw in an action or a guard ends an XState actor for good, and leaves
 * its services running: here they are aborted, the failure is logged and counted, and after a back-off of 100 ms to 30 s a
 * new actor goes on with what the former one had in hand.
 */
export function superviseActor<Machine extends AnyStateMachine>(
  supervision: Supervision<Machine>,
): SupervisedActor<EventFrom<Machine>> {
  const { machine, kind, id, settings, summarise, onTransition, log, meter } = supervision
  const clock = supervision.clock ?? PROCESS_CLOCK
  const kept: EventFrom<Machine>[] = []
  let startedAt = settings.now()
  let since = startedAt
  let restarts = 0
  let crashesInARow = 0
  let crash: Crash | undefined
  let hasStopped = false
  let latest: AnyMachineSnapshot | undefined
  /** The failure that the log was told of last. */
  let logged: ErrorInfo | null = null
  let actor = start()

  function start(): Actor<AnyStateMachine> {
    startedAt = settings.now()
    since = startedAt
    const begun = createActor<AnyStateMachine>(machine, {
      id,
      clock,
      input: latest === undefined ? settings : { ...settings, former: latest.context },
      inspect: observeTransitions({
        actor: id,
        machine: kind,
        now: settings.now,
        log,
        onTransition(transition) {
          since = settings.now()
          onTransition(transition)
        },
      }),
    })
    begun.subscribe({
      next(snapshot) {
        latest = snapshot
        logFailure(snapshot.context.errorInfo)
      },
      error: (error) => recover(begun, error),
    })
    return begun.start()
  }

  /**
   * A failure is logged when it begins, when its code or step changes, and when it is over, so that the default level tells of both ends: not
   * at each attempt.
   */
  function logFailure(errorInfo: ErrorInfo | null): void {
    if (errorInfo?.code === logged?.code && errorInfo?.step === logged?.step) return
    if (errorInfo !== null) {
      const { code, step, message: reason } = errorInfo
      log.warn({ actor: id, code, step, reason }, 'the machine is in error')
      meter.count('actor_errors_total', 1, { machine: kind, code })
    } else if (logged !== null) {
      const { code, step, since: begunAt } = logged
      log.warn({ actor: id, code, step, forMs: settings.now() - begunAt }, 'the machine works again')
    }
    logged = errorInfo
  }

  function recover(failed: Actor<AnyStateMachine>, error: unknown): void {
    // What an actor in its first state had invoked is unknown when that state itself failed.
    const { value = 'initial', children = {} } = failed.getSnapshot()
    for (const service of Object.values<AnyActorRef>(children)) service.send({ type: 'xstate.stop' })
    const now = settings.now()
    crashesInARow = now - startedAt >= HEALTHY_AFTER_MS ? 1 : crashesInARow + 1
    restarts += 1
    const waitMs = backOffMs(crashesInARow, settings.random)
    const { code, message } = toTapelineError(error)
    since = now
    crash = {
      errorInfo: { code, message, step: value, attempt: crashesInARow, retryable: true, since },
      timer: clock.setTimeout(restart, waitMs),
    }
    log.error({ actor: id, state: value, restarts, waitMs, err: error }, 'the actor failed; it is restarted')
    meter.count('actor_restarts_total', 1, { machine: kind })
  }

  function restart(): void {
    crash = undefined
    actor = start()
    for (const event of kept.splice(0)) send(event)
  }

  function send(event: EventFrom<Machine>): void {
    if (hasStopped) return
    if (crash === undefined) actor.send(event)
    else if (kept.length < MOST_KEPT) kept.push(event)
    else refuse(event)
  }

  function refuse({ type }: EventObject): void {
    log.warn({ actor: id, event: type }, 'an event was refused: too many wait for the restart')
  }

  return {
    send,
    reset() {
      if (hasStopped) return
      if (crash === undefined) return actor.send({ type: 'RESET' })
      clock.clearTimeout(crash.timer)
      restart()
    },
    retry(code) {
      if (hasStopped || crash !== undefined) return
      const { value, context } = actor.getSnapshot()
      if (value === 'error' && context.errorInfo?.code === code) actor.send({ type: 'RETRY' })
    },
    report() {
      return {
        id,
        machine: kind,
        state: crash === undefined ? actor.getSnapshot().value : 'error',
        since: new Date(since).toISOString(),
        restarts,
        errorInfo: crash?.errorInfo ?? latest?.context.errorInfo ?? null,
        context: latest === undefined ? {} : summarise(latest.context),
      }
    },
    stop() {
      hasStopped = true
      kept.length = 0
      if (crash === undefined) actor.stop()
      else clock.clearTimeout(crash.timer)
    },
  }
}
