import { TapelineError, toTapelineError } from '../errors.ts'
import type { ActorDirectory, ActorReport, Alert, PlacedAlert } from '../ports/actors.ts'
import type { Log } from '../ports/log.ts'
import { ask } from './ask.ts'
import type { ControlBus } from './bus.ts'
import type { Membership } from './membership.ts'
import { reportOf } from './process-report.ts'
import { CONTROL_VERSION } from './record-format.ts'

/** The machines and alerts of this process. */
export interface OwnProcess {
  readonly instance: string
  readonly actors: () => readonly ActorReport[]
  /** Sends RESET. Raises ACTOR_UNKNOWN. */
  readonly reset: (id: string) => void
  readonly alerts: () => readonly Alert[]
}

/** All processes as one: each knows its own machines, and those of the others from their heartbeats (R20). */
export interface Processes {
  readonly actors: ActorDirectory
  alerts(): readonly PlacedAlert[]
  close(): void
}

/** Tells the others about this process, serves their RESET_ACTOR, and gives the view of all. */
export function joinProcesses(process: {
  readonly own: OwnProcess
  readonly bus: ControlBus
  readonly membership: Membership
  readonly newId: () => string
  readonly log: Log
  /** How long another process has to answer a RESET_ACTOR, in milliseconds. */
  readonly answerMs?: number
}): Processes {
  const { own, bus, membership, newId, log, answerMs = 5_000 } = process
  membership.report(() => reportOf(own.actors(), own.alerts()))

  const others = () => membership.live().filter(({ instance }) => instance !== own.instance)
  const elsewhere = (id: string, instance: string): string => `${id}@${instance}`

  const stop = bus.on('RESET_ACTOR', ({ target, actor, requestId }) => {
    if (target !== own.instance) return
    const failure = failureOf(() => own.reset(actor))
    const author = { v: CONTROL_VERSION, instance: own.instance } as const
    bus
      .send([{ ...author, kind: 'REPLY', requestId, registryOffset: 0, failure }])
      .catch((error: unknown) =>
        log.warn({ actor, code: toTapelineError(error).code }, 'a reset was not acknowledged'),
      )
  })

  return {
    actors: {
      list: () => [
        ...own.actors().map((actor) => ({ ...actor, instance: own.instance })),
        ...others().flatMap(({ instance, report }) =>
          (report?.actors ?? []).map((actor) => ({ ...actor, id: elsewhere(actor.id, instance), instance })),
        ),
      ],
      async reset(id, signal) {
        const at = id.lastIndexOf('@')
        const [actor, target] = at < 0 ? [id, own.instance] : [id.slice(0, at), id.slice(at + 1)]
        if (target === own.instance) return own.reset(actor)
        if (!others().some(({ instance }) => instance === target))
          throw new TapelineError('ACTOR_UNKNOWN', `no process ${target} has been heard of lately`)
        const author = { v: CONTROL_VERSION, instance: own.instance } as const
        const request = { ...author, kind: 'RESET_ACTOR', requestId: newId(), target, actor } as const
        await ask(bus, request, { waitMs: answerMs, whom: `the process ${target}` }, signal)
      },
    },
    alerts: () => [
      ...own.alerts().map((alert) => ({ ...alert, instance: own.instance })),
      ...others().flatMap(({ instance, report }) =>
        (report?.alerts ?? []).map((alert) => ({ ...alert, id: elsewhere(alert.id, instance), instance })),
      ),
    ],
    close: stop,
  }
}

function failureOf(work: () => void): { readonly code: string; readonly message: string } | null {
  try {
    work()
    return null
  } catch (error) {
    const { code, message } = toTapelineError(error)
    return { code, message }
  }
}
