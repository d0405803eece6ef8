import type { TapelineError } from '../errors.ts'
import type { Readiness } from '../gateway/gateway.ts'
import type { ActorReport } from '../ports/actors.ts'

/** What readiness goes by besides the machines. */
interface Phase {
  readonly isStarted: boolean
  readonly isClosing: boolean
  /** The servers that the process uses, by name, and why one counts as away, if it does. */
  readonly servers: Readonly<Record<string, TapelineError | undefined>>
}

/**
 * Ready is who serves and stores: a source that is away is shown by the actors, and does not take the API out of service. Without
 * the broker nothing moves, and without the database a gateway answers half of what it is asked, also where no machine runs that would say so. A
 * process that is stopping says so at once, so that nothing new is sent to it while it drains.
 */
export function readiness(
  { isStarted, isClosing, servers }: Phase,
  actors: readonly ActorReport[],
): Readiness {
  const phase = isClosing ? 'stopping' : isStarted ? 'started' : 'starting'
  const machines = actors
    .filter(({ machine }) => machine !== 'consumerDynamic')
    .map(({ id, machine, state, errorInfo }) => ({
      name: id,
      ok: state !== 'error' || (machine === 'producer' && errorInfo?.step === 'fetchingData'),
      detail: errorInfo ? `${state}: ${errorInfo.code}` : state,
    }))
  const checks = [
    { name: 'process', ok: phase === 'started', detail: phase },
    ...Object.entries(servers).map(([name, outage]) => ({
      ...{ name, ok: outage === undefined, detail: outage?.code ?? 'answers' },
    })),
    ...machines,
  ]
  return { ready: checks.every(({ ok }) => ok), checks }
}
