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
 * A process is ready when it serves and stores. A source that is away does not take the API out of service: the actors show that. Without
 * the broker nothing moves, and without the database a gateway answers half of its requests, also where no machine runs that would say so. A
 * process that stops says so at once, so that nobody sends it anything new while it drains.
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
      // A failure lasts until its step succeeds: while that is tried again nothing is well yet.
      ok: errorInfo === null || (machine === 'producer' && errorInfo.step === 'fetchingData'),
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
