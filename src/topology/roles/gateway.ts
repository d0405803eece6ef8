import { createWebSocketEndpoint } from '../../adapters/transport/websocket.ts'
import { createDeadLetterDesk } from '../../control/dead-letters.ts'
import { createStreamDesk } from '../../control/stream-desk.ts'
import { startGateway } from '../../gateway/gateway.ts'
import { createDelivery } from '../../services/consumer-dynamic/delivery.ts'
import { addressOf } from '../address.ts'
import { newId, type StoreFoundation } from '../foundation.ts'
import { observedOf } from '../operations.ts'
import { clockMicros } from '../sources.ts'

/** Starts the role gateway: the API, and delivery to applications. Gives its address as this machine reaches it. */
export async function startGatewayRole(
  foundation: StoreFoundation,
  isStarted: () => boolean,
): Promise<string> {
  const {
    config,
    broker,
    names,
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
    names,
    desk,
    bus,
    registry,
    instance,
    topics: names.fixed,
    spawn,
    nowMicros,
    log,
    meter,
  })
  // An address that cannot be listened on must not leave delivery running: the process would never end.
  started.add('gateway', () => delivery.close())
  const gateway = await startGateway({
    ...config.gateway,
    ...observedOf(foundation, isStarted),
    desk,
    delivery,
    store,
    broker,
    dynamicPrefix: names.dynamic,
    deadLetters: createDeadLetterDesk({ instance, broker, names, bus, membership, newId, log }),
    endpoint: createWebSocketEndpoint,
  })
  started.add('gateway', async () => {
    await gateway.close()
    await delivery.close()
  })
  return addressOf(gateway)
}
