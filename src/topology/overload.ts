import type { Config } from '../config.ts'
import type { Processes } from '../control/processes.ts'
import type { Registry } from '../control/registry.ts'
import { TapelineError } from '../errors.ts'
import type { Meter } from '../ports/log.ts'
import type { StreamDesk } from '../ports/streams.ts'
import type { Alerts } from '../telemetry/alerts.ts'
import { type Counted, watchOverload } from '../telemetry/overload.ts'
import { watchHeaps } from './heaps.ts'

/** The limits of a process, and what its roles have to do with them. */
export interface Overload {
  /** A role that can tell counts one kind of thing. */
  count(what: keyof Counted, count: () => number | undefined): void
  /** A role that can do with less hears when the pressure begins and ends. */
  onPressure(listener: (isPressed: boolean) => void): void
  /** The desk, which refuses new streams where there is no room: OVERLOADED, LIMIT_REACHED. */
  guard(desk: StreamDesk): StreamDesk
  stop(): void
}

interface OverloadParts {
  readonly config: Pick<Config, 'limits'>
  readonly processes: Pick<Processes, 'alerts'>
  readonly registry: Pick<Registry, 'view'>
  readonly alerts: Alerts
  readonly meter: Meter
}

/** Watches the limits of this process, and knows by their alerts which other processes are overloaded. */
export function watchLimits({ config, processes, registry, alerts, meter }: OverloadParts): Overload {
  const { heap, eventLoopDelay, streams, topics, sockets } = config.limits
  const counts: { -readonly [What in keyof Counted]?: () => number | undefined } = {}
  const listeners: ((isPressed: boolean) => void)[] = []
  const watch = watchOverload({
    heaps: watchHeaps(heap === undefined ? undefined : heap * 2 ** 20),
    limits: { eventLoopDelayMs: eventLoopDelay, streams, topics, sockets },
    counted: () => ({
      streams: counts.streams?.(),
      topics: counts.topics?.(),
      sockets: counts.sockets?.(),
    }),
    onPressure(isPressed) {
      for (const listener of listeners) listener(isPressed)
    },
    ...{ alerts, meter },
  })

  const refusal = (): TapelineError | undefined => {
    const elsewhere = (): string | undefined =>
      processes.alerts().find(({ code }) => code === 'OVERLOADED')?.message
    const reason = watch.reason ?? elsewhere()
    if (reason !== undefined) return new TapelineError('OVERLOADED', reason)
    if (registry.view.counts.leases < streams) return undefined
    return new TapelineError('LIMIT_REACHED', `there are ${streams} streams already`)
  }

  return {
    count(what, count) {
      counts[what] = count
    },
    onPressure(listener) {
      listeners.push(listener)
    },
    guard: (desk) => ({
      ...desk,
      async request(ask, signal) {
        try {
          const refused = refusal()
          if (refused) throw refused
          return await desk.request(ask, signal)
        } catch (error) {
          if (error instanceof TapelineError && REFUSALS.has(error.code))
            meter.count('refused_total', 1, { code: error.code })
          throw error
        }
      },
    }),
    stop: () => watch.stop(),
  }
}

const REFUSALS: ReadonlySet<string> = new Set(['OVERLOADED', 'LIMIT_REACHED'])
