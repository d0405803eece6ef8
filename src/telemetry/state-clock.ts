import type { ActorReport, Transition } from '../ports/actors.ts'
import type { Meter } from '../ports/log.ts'

type Machine = ActorReport['machine']

interface Stay {
  readonly machine: Machine
  readonly state: string
  /** Up to then its time is counted, in microseconds since the epoch. */
  counted: number
}

/** How long the machines of a process are in each of their states, by machine: never by actor, of which there may be thousands. */
export interface StateClock {
  /** Counts the time in the state that an actor leaves. */
  record(transition: Transition): void
  /** Counts the time of all actors that are there up to now, and how many are in which state; forgets the others. */
  settle(isThere: (actor: string) => boolean): void
}

/** `nowMicros`: by the clock of the transitions. */
export function createStateClock(meter: Meter, nowMicros: () => number): StateClock {
  const stays = new Map<string, Stay>()
  const shown = new Map<string, { readonly machine: Machine; readonly state: string }>()

  const count = (stay: Stay, upTo: number): void => {
    // The wall clock may step back.
    const seconds = Math.max(0, upTo - stay.counted) / 1e6
    meter.count('state_seconds_total', seconds, { machine: stay.machine, state: stay.state })
    stay.counted = upTo
  }

  return {
    record({ actor, machine, to: state, ts }) {
      const stay = stays.get(actor)
      if (stay !== undefined) count(stay, ts)
      stays.set(actor, { machine, state, counted: ts })
    },
    settle(isThere) {
      const now = nowMicros()
      const counts = new Map<string, number>()
      for (const [actor, stay] of stays) {
        if (!isThere(actor)) {
          stays.delete(actor)
          continue
        }
        count(stay, now)
        const { machine, state } = stay
        const key = `${machine} ${state}`
        counts.set(key, (counts.get(key) ?? 0) + 1)
        if (!shown.has(key)) shown.set(key, { machine, state })
      }
      for (const [key, labels] of shown) meter.gauge('actors', counts.get(key) ?? 0, labels)
    },
  }
}
