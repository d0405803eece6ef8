import { createWebSocketEndpoint } from '../../adapters/transport/websocket.ts'
import { createStreamDesk } from '../../control/stream-desk.ts'
import { type Gateway, type Readiness, startGateway } from '../../gateway/gateway.ts'
import type { ActorReport } from '../../ports/actors.ts'
import { createDelivery } from '../../services/consumer-dynamic/delivery.ts'
import { VERSION } from '../../version.ts'
import { newId, type StoreFoundation } from '../foundation.ts'
import { clockMicros } from '../sources.ts'

/** Starts the role gateway: the API, and delivery to applications. Gives its address as this machine reaches it. */
export async function startGatewayRole(
  foundation: StoreFoundation,
  isStarted: () => boolean,
): Promise<string> {
  const {
    config,
    broker,
    store,
    bus,
    registry,
    membership,
    instance,
    roster,
    actorParts,
    started,
    log,
    meter,
  } = foundation
  const desk = createStreamDesk({ instance, bus, registry, membership, newId })
  const spawn = roster.spawnConsumerDynamic.bind(roster, actorParts)
  const nowMicros = clockMicros
  const delivery = await createDelivery({
    broker,
    desk,
    bus,
    registry,
    instance,
    spawn,
    nowMicros,
    log,
    meter,
  })
  const gateway = await startGateway({
    ...config.gateway,
    keys: config.apiKeys,
    desk,
    delivery,
    store,
    broker,
    actors: roster,
    alerts: actorParts.alerts.list,
    metrics: () => meter.render(),
    ready: () => readiness(isStarted(), roster.list()),
    info: { version: VERSION },
    log,
    meter,
    endpoint: createWebSocketEndpoint,
  })
  started.add('gateway', async () => {
    await gateway.close()
    await delivery.close()
  })
  return addressOf(gateway)
}

/** One that listens on all addresses is reached on the loopback one. */
function addressOf({ address, port }: Gateway): string {
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Ready is who serves and stores: a source that is away is shown by the actors, and does not take the API out of service. */
function readiness(isStarted: boolean, actors: readonly ActorReport[]): Readiness {
  const checks = actors
    .filter(({ machine }) => machine !== 'consumerDynamic')
    .map(({ id, machine, state, errorInfo }) => ({
      name: id,
      ok: state !== 'error' || (machine === 'producer' && errorInfo?.step === 'fetchingData'),
      detail: errorInfo ? `${state}: ${errorInfo.code}` : state,
    }))
  return { ready: isStarted && checks.every(({ ok }) => ok), checks }
}
