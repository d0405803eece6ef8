import { TOPIC_REMOVED } from '../../control/registry-records.ts'
import { parseStreamRequest } from '../../domain/stream-spec.ts'
import type { SourceHealth } from '../../ports/source.ts'
import { createProducerServices } from '../../services/producer/producer.ts'
import { startProducer } from '../actors.ts'
import { type Foundation, newId } from '../foundation.ts'
import { watchSources } from '../source-alerts.ts'
import { type ChosenSource, offerOf } from '../sources.ts'
import { watchedProducer } from '../watched-services.ts'

/**
 * How long a batch gathers events. Each batch of the embedded broker wakes its thread and the consumers' one after the other, all in one
 * process; on a server only one of these steps is the producer's.
 */
const LINGER_MS = { embedded: 100, kafka: 4 } as const

/**
 * Starts the role producer: the source into the fixed topics, and from there into the dynamic ones. Gives which shards this one
 * owns at present.
 */
export async function startProducerRole(
  foundation: Foundation,
  chosen: ChosenSource,
  signal: AbortSignal,
): Promise<() => readonly number[]> {
  const { source, markets } = chosen
  const {
    config,
    broker,
    registry,
    bus,
    membership,
    names,
    instance,
    roster,
    actorParts,
    brokerWatch,
    overload,
    started,
    log,
    meter,
  } = foundation
  started.add('source', () => source.close())
  overload.onPressure((isPressed) => source.relieve?.(isPressed))
  const standing = new Map(
    Object.entries(config.streams.standing).map(([name, request]) => [
      name,
      parseStreamRequest(request, Date.now()),
    ]),
  )
  const services = await createProducerServices(
    {
      source,
      broker,
      registry,
      bus,
      instance,
      names,
      alerts: actorParts.alerts,
      topics: names.fixed,
      markets: markets?.current() ?? [],
      partitions: config.topics.partitions,
      standing,
      lingerMs: config.producer.linger ?? LINGER_MS[config.broker.kind],
      now: Date.now,
      newId,
      log,
      meter,
      tracer: foundation.tracer,
    },
    signal,
  )
  // A source that knows by itself what it gives says nothing of it beforehand.
  if (markets !== undefined) membership.offer(() => offerOf(source, markets, config))
  const unfollow = markets?.follow({ changed: services.changeMarkets, listed: services.heardListing })
  const details = (): object => ({
    shards: services.shards(),
    topicsAside: services.topicsAside(),
    source: healthOf(source.health()),
  })
  const actor = roster.add(startProducer(actorParts, watchedProducer(services, brokerWatch), details))
  const unlisten = services.onNotification((notification) =>
    actor.send({ type: 'NOTIFY_PRODUCER', notification }),
  )
  const unlistenReentry = services.onReentry((data) => actor.send({ type: 'PUBLISH_FIXED', data }))
  services.onSourceBack(() => actor.send({ type: 'RETRY' }))
  services.onShardsAssigned(() => actor.send({ type: 'RETRY' }))
  const sourceAlerts = watchSources(source, actorParts.alerts, actorParts.settings)
  for (const topicName of standing.keys()) actor.send({ type: 'CREATE_TOPIC', topicName })
  const unwatch = registry.watch((change) => {
    if (change.kind !== 'ended' || change.reason !== TOPIC_REMOVED || !standing.has(change.leaseId)) return
    actor.send({ type: 'CREATE_TOPIC', topicName: change.leaseId })
  })
  started.add('producer', async (stop) => {
    unfollow?.()
    await services.drain(stop)
    sourceAlerts.stop()
    unwatch()
    unlisten()
    unlistenReentry()
    roster.remove('producer')
    await services.close(stop)
  })
  return services.shards
}

/** As many markets without data are shown; alerts have the number of all. */
const MOST_SHOWN = 20

/** How the source is, in short, and each where there are several: its counters are in the metrics. */
function healthOf(health: SourceHealth): object {
  const { name, way, markets, without, failure, members } = health
  return {
    ...{ name, way, markets, failure: failure ? `${failure.code}: ${failure.message}` : null },
    without: without
      .slice(0, MOST_SHOWN)
      .map(({ exchange, symbol, why }) => `${exchange}:${symbol} (${why})`),
    ...(members && { members: members.map(healthOf) }),
  }
}
