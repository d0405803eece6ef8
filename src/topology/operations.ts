import { startOperations } from '../gateway/operations-server.ts'
import { VERSION } from '../version.ts'
import { addressOf } from './address.ts'
import type { ServerCertificate } from './certificate.ts'
import type { Foundation } from './foundation.ts'
import { readiness } from './readiness.ts'

/** What every HTTP server of a process shows of it, with the role gateway or without. */
export function observedOf(foundation: Foundation, isStarted: () => boolean) {
  const { config, names, processes, roster, transitions, brokerWatch, storeWatch, started, log, meter } =
    foundation
  return {
    keys: config.apiKeys,
    actors: processes.actors,
    transitions,
    alerts: processes.alerts,
    metrics: () => meter.render(),
    ready: () =>
      readiness(
        {
          isStarted: isStarted(),
          isClosing: started.isClosing,
          servers: {
            broker: brokerWatch.outage,
            ...(storeWatch && { database: storeWatch.outage }),
          },
        },
        roster.list(),
      ),
    info: { version: VERSION },
    dynamicPrefix: names.dynamic,
    log,
    meter,
  }
}

/** Serves health, metrics and actors of a process without the role gateway. Gives the address as this machine reaches it. */
export async function serveOperations(
  foundation: Foundation,
  certificate: ServerCertificate | undefined,
  isStarted: () => boolean,
): Promise<string> {
  const server = await startOperations({
    ...foundation.config.operations,
    ...observedOf(foundation, isStarted),
    tls: certificate?.current,
  })
  const unfollow = certificate?.follow(server.renew)
  foundation.started.add('operations', () => {
    unfollow?.()
    return server.close()
  })
  return addressOf(server)
}
