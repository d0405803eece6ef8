import type { AnyMachineSnapshot, AnyStateMachine, InspectionEvent } from 'xstate'
import type { ActorReport, Transition } from '../ports/actors.ts'
import type { Log, Meter } from '../ports/log.ts'

interface ObservedActor {
  readonly actor: string
  readonly machine: ActorReport['machine']
  /** Milliseconds since the epoch; digits after the point count. */
  readonly now: () => number
  readonly onTransition: (transition: Transition) => void
  readonly log: Log
}

/**
 * Gives the `inspect` function of one root actor: it tells every entry into a state, microsteps included, in their order.
 * The initial state and events that are handled or remembered in place are no entries; self transitions that re-enter are.
 *
 * It never throws, since that would wedge the actor: what `onTransition` throws is logged, the first time only.
 */
export function observeTransitions(observed: ObservedActor): (inspected: InspectionEvent) => void {
  const { actor, machine, now, onTransition, log } = observed
  let state: string | undefined
  let hasFailed = false
  return (inspected) => {
    if (inspected.type !== '@xstate.microstep') return
    // Machines alone take microsteps.
    const { machine: taking, value: to } = inspected.snapshot as AnyMachineSnapshot
    const from = state ?? initialOf(taking)
    const event = inspected.event.type
    state = to
    if (from === to && !isReentered(taking, to, event)) return
    try {
      onTransition({
        ts: Math.round(now() * 1000),
        actor,
        machine,
        from,
        event,
        to,
      })
    } catch (error) {
      if (hasFailed) return
      hasFailed = true
      log.error({ actor, err: error }, 'a transition could not be recorded; further ones may be missing too')
    }
  }
}

function initialOf({ root }: AnyStateMachine): string {
  return root.initial.target[0]?.key ?? ''
}

/**
 * Whether an event that leads from a state to itself enters it anew: by `reenter`, or by the root, which leaves every state. An event
 * does the same in one state whatever its guards say.
 */
function isReentered({ root }: AnyStateMachine, state: string, event: string): boolean {
  const leadsBack = (target: readonly { readonly key: string }[] | undefined): boolean =>
    target?.[0]?.key === state
  const own = root.states[state]?.transitions.get(event)
  if (own !== undefined) return own.some(({ target, reenter }) => reenter && leadsBack(target))
  return (root.transitions.get(event) ?? []).some(({ target }) => leadsBack(target))
}

/** What becomes of each transition: logged at debug, counted, and written to the trace if there is one (R20). */
export function recordTransitions(
  log: Log,
  meter: Meter,
  trace?: { write(transition: Transition): void },
): (transition: Transition) => void {
  return (transition) => {
    const { actor, machine, from, event, to } = transition
    log.debug({ actor, from, event, to }, 'transition')
    meter.count('transitions_total', 1, { machine, from, event, to })
    trace?.write(transition)
  }
}
