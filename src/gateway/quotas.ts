import { TapelineError } from '../errors.ts'
import type { AppEndpoint } from '../ports/transport.ts'
import { createEventRate, type EventRate, throttledEndpoint } from './event-rate.ts'
import type { Caller } from './guard.ts'
import type { GatewayOptions } from './options.ts'
import type { Revocable, Revocations } from './revocations.ts'

/** What applications have by their keys, in this gateway (R26): it bounds what each has, and is no bill. */
export interface QuotaKeeper {
  /**
   * Raises QUOTA_EXCEEDED where the application has, or asks for, all streams that its key gives it. This one counts as asked for until
   * what it gives is called: once it is there, or will not be.
   */
  admitStream(caller: Caller, id: string): () => void
  /** The same of webhooks. Raises BROKER_UNAVAILABLE too. */
  admitWebhook(caller: Caller, id: string, signal: AbortSignal): Promise<() => void>
  /** The same of open sockets and event streams; LIMIT_REACHED where the process has as many as it may. */
  admitConnection(caller: Caller): void
  /** Counts a connection, and ends it when its key is revoked. Gives what ends the counting. */
  open(caller: Caller, connection: Revocable): () => void
  /** The endpoint of a connection, which gets no more events a second than the key gives its application. */
  throttle(caller: Caller, endpoint: AppEndpoint): AppEndpoint
  /** How many connections are open. */
  readonly connections: number
}

export function createQuotaKeeper({
  desk,
  webhooks,
  revocations,
  maxSockets,
  meter,
}: Pick<GatewayOptions, 'desk' | 'webhooks' | 'maxSockets' | 'meter'> & {
  readonly revocations: Pick<Revocations, 'watch'>
}): QuotaKeeper {
  const connections = new Set<{ readonly app: string }>()
  const [streams, webhooksAsked] = [createAsked('streams'), createAsked('webhooks')]
  /** By application, and by what its key gives it: no more than there are keys. Connecting anew saves no events. */
  const rates = new Map<string, EventRate>()

  return {
    admitStream(caller, id) {
      if (caller.quotas.streams === undefined) return () => undefined
      const own = desk.list(caller.app).filter(({ standing, app }) => !standing && app === caller.app)
      return streams.admit(caller, id, own)
    },
    async admitWebhook(caller, id, signal) {
      if (caller.quotas.webhooks === undefined) return () => undefined
      return webhooksAsked.admit(caller, id, await webhooks.list(caller.app, signal))
    },
    admitConnection(caller) {
      if (connections.size >= maxSockets) {
        meter.count('refused_total', 1, { code: 'LIMIT_REACHED' })
        throw new TapelineError('LIMIT_REACHED', `this process has ${connections.size} connections`)
      }
      if (caller.quotas.sockets === undefined) return
      const own = [...connections].filter((each) => each.app === caller.app)
      admit(caller, 'sockets', own.length)
    },
    open(caller, revocable) {
      const connection = { app: caller.app }
      connections.add(connection)
      const unwatch = revocations.watch(caller, revocable)
      return () => {
        connections.delete(connection)
        unwatch()
      }
    },
    throttle({ app, quotas: { eventsPerSecond } }, endpoint) {
      if (eventsPerSecond === undefined) return endpoint
      const key = `${app} ${eventsPerSecond}`
      const rate = rates.get(key) ?? createEventRate(eventsPerSecond, () => performance.now())
      rates.set(key, rate)
      return throttledEndpoint(endpoint, rate)
    },
    get connections() {
      return connections.size
    },
  }
}

/** What applications ask for and do not have yet: requests that are under way at once must not pass a bound together. */
function createAsked(what: 'streams' | 'webhooks') {
  const asked = new Set<{ readonly app: string; readonly id: string }>()
  return {
    /** Raises QUOTA_EXCEEDED. Gives what ends the counting. */
    admit(caller: Caller, id: string, own: readonly { readonly id: string }[]): () => void {
      const { app } = caller
      // What has come meanwhile is among its own, and counts once.
      const ids = new Set([...own, ...[...asked].filter((each) => each.app === app)].map((each) => each.id))
      admit(caller, what, ids.size)
      const entry = { app, id }
      asked.add(entry)
      return () => asked.delete(entry)
    },
  }
}

function admit({ app, quotas }: Caller, what: 'streams' | 'sockets' | 'webhooks', count: number): void {
  const most = quotas[what] ?? Number.POSITIVE_INFINITY
  if (count >= most)
    throw new TapelineError('QUOTA_EXCEEDED', `${app} has ${count} ${what}, and its key gives it ${most}`)
}
