import { USUAL } from '../../adapters/source/feed/source-kind.ts'
import { createEventStreamEndpoint } from '../../adapters/transport/server-sent-events.ts'
import { createWebhookSender } from '../../adapters/transport/webhook/sender.ts'
import { createWebSocketEndpoint } from '../../adapters/transport/websocket.ts'
import { type Config, sourcesOf } from '../../config.ts'
import { createBackfillDesk } from '../../control/backfill-desk.ts'
import { createBookDesk } from '../../control/book-desk.ts'
import { createDeadLetterDesk } from '../../control/dead-letters.ts'
import { createKeyDesk } from '../../control/key-desk.ts'
import { createStreamDesk } from '../../control/stream-desk.ts'
import { createTopicDesk } from '../../control/topic-desk.ts'
import { createWebhookDesk } from '../../control/webhook-desk.ts'
import { startGateway } from '../../gateway/gateway.ts'
import type { StreamDesk } from '../../ports/streams.ts'
import type { ConsumerDynamicServices } from '../../services/consumer-dynamic/application.ts'
import { createDelivery, type RunningDelivery } from '../../services/consumer-dynamic/consumer-dynamic.ts'
import { startWebhooks } from '../../services/webhooks/webhooks.ts'
import { alertOutages } from '../../telemetry/outage-watch.ts'
import { VERSION } from '../../version.ts'
import { addressOf } from '../address.ts'
import type { ServerCertificate } from '../certificate.ts'
import { type Foundation, newId, type StoreFoundation } from '../foundation.ts'
import { drawLive } from '../live-diagrams.ts'
import { observedOf } from '../operations.ts'
import { clockMicros } from '../sources.ts'
import { watchedConsumerDynamic } from '../watched-services.ts'

/** After so many snapshots that did not come nobody tells of a book any more. */
const SNAPSHOTS_MISSED = 3

/** From one snapshot of a book to the next, of the source that makes them least often: milliseconds. */
function longestBetweenSnapshots(config: Config): number {
  return Math.max(
    ...sourcesOf(config).map(({ bookSnapshotEvery }) => bookSnapshotEvery ?? USUAL.bookSnapshotEvery),
  )
}

/** Starts the role gateway: the API, and delivery to applications. Gives its address as this machine reaches it. */
export async function startGatewayRole(
  foundation: StoreFoundation,
  certificate: ServerCertificate | undefined,
  isStarted: () => boolean,
): Promise<string> {
  const {
    config,
    broker,
    names,
    store,
    storeWatch,
    actorParts,
    bus,
    registry,
    membership,
    instance,
    overload,
    started,
    log,
    meter,
  } = foundation
  const { desk: unguarded, delivery, unalert } = await startDelivery(foundation)
  const desk = overload.guard(unguarded)
  // Where no fixed consumer runs beside it, no machine fails without the database.
  const unalertStore = alertOutages(storeWatch, actorParts.alerts, {
    id: 'database',
    afterMs: actorParts.settings.alertAfterMs,
  })
  // An address that cannot be listened on must not leave delivery running: the process would never end.
  started.add('gateway', () => delivery.close())
  const { timeout, pauseAfter, allow } = config.webhooks
  const webhookSender = createWebhookSender({
    ...{ timeoutMs: timeout, allowed: allow, userAgent: `tapeline/${VERSION}`, now: Date.now },
  })
  const gateway = await startGateway({
    ...config.gateway,
    maxSockets: config.limits.sockets,
    ...observedOf(foundation, isStarted),
    tls: certificate?.current,
    desk,
    delivery,
    store,
    broker,
    webhooks: createWebhookDesk({ instance, broker, names, bus, registry, newId }),
    issuedKeys: createKeyDesk({ instance, bus, registry, newId }),
    webhookSender,
    fixedTopics: names.fixed,
    topics: createTopicDesk({ broker, names, registry }),
    deadLetters: createDeadLetterDesk({ instance, broker, names, bus, membership, newId, log }),
    backfills: createBackfillDesk({ instance, bus, newId }),
    books: createBookDesk({
      ...{ broker, topic: names.fixed.book, partitions: config.topics.partitions, now: Date.now },
      staleAfterMs: longestBetweenSnapshots(config) * SNAPSHOTS_MISSED,
    }),
    diagram: drawLive,
    endpoint: createWebSocketEndpoint,
    eventEndpoint: createEventStreamEndpoint,
  })
  overload.count('sockets', gateway.connections)
  const webhooks = startWebhooks({
    ...{ broker, names, registry, instance, partitions: config.topics.partitions },
    isAlone: config.broker.kind === 'embedded',
    ...{ delivery, sender: webhookSender, now: Date.now, random: Math.random, newId, log, meter },
    settings: { pauseAfterMs: pauseAfter, alertAfterMs: config.alerts.after },
    alerts: actorParts.alerts,
  })
  const unfollow = certificate?.follow(gateway.renew)
  started.add('gateway', async () => {
    unfollow?.()
    unalert()
    unalertStore()
    await Promise.all([gateway.close(), webhooks.close()])
    webhookSender.close()
    await delivery.close()
  })
  return addressOf(gateway)
}

/** How applications get streams and their records, without the API in front of it. */
export async function startDelivery(foundation: Foundation): Promise<{
  readonly desk: StreamDesk
  readonly delivery: RunningDelivery
  /** Raises no alert any more. */
  unalert(): void
}> {
  const { broker, names, bus, registry, membership, instance, roster, actorParts, brokerWatch, log, meter } =
    foundation
  const desk = createStreamDesk({ instance, bus, registry, membership, newId })
  const spawn = (app: string, services: ConsumerDynamicServices) =>
    roster.spawnConsumerDynamic(actorParts, app, watchedConsumerDynamic(services, brokerWatch))
  const delivery = await createDelivery({
    ...{ broker, names, desk, bus, registry, instance, topics: names.fixed },
    ...{ spawn, nowMicros: clockMicros, log, meter, tracer: foundation.tracer },
  })
  // It has a machine only while an application is connected.
  const unalert = alertOutages(brokerWatch, actorParts.alerts, {
    id: 'gateway',
    afterMs: actorParts.settings.alertAfterMs,
  })
  return { desk, delivery, unalert }
}
