import { createCoordinatorServices } from '../../services/coordinator/coordinator.ts'
import { createLeader } from '../../services/coordinator/leader.ts'
import { startCoordinator } from '../actors.ts'
import { type Foundation, newId } from '../foundation.ts'
import { watchedCoordinator } from '../watched-services.ts'

/** Starts the role coordinator: the one that leads makes and removes dynamic topics. Gives whether this one does. */
export async function startCoordinatorRole(
  foundation: Foundation,
  signal: AbortSignal,
): Promise<() => boolean> {
  const { config, broker, registry, bus, names, membership, instance, roster, started, log } = foundation
  const { actorParts, brokerWatch, overload } = foundation
  const { grace, maxPerApplication, retention } = config.streams
  const leader = createLeader({ broker, names, registry, instance, now: Date.now, log })
  const services = await createCoordinatorServices(
    {
      broker,
      names,
      registry,
      bus,
      membership,
      leader,
      instance,
      settings: {
        ...{ graceMs: grace, maxPerApplication, retentionMs: retention },
        ...{ maxStreams: config.limits.streams, maxTopics: config.limits.topics },
        maxWebhooksPerApplication: config.webhooks.maxPerApplication,
      },
      now: Date.now,
      newId,
      log,
      alerts: actorParts.alerts,
    },
    signal,
  )
  const leads = (): boolean => leader.leading
  // All know how many there are: one tells.
  const ifLeading = (count: () => number) => () => (leads() ? count() : undefined)
  overload.count(
    'streams',
    ifLeading(() => registry.view.counts.leases),
  )
  overload.count(
    'topics',
    ifLeading(() => registry.view.counts.streams),
  )
  roster.add(
    startCoordinator(actorParts, watchedCoordinator(services, brokerWatch), () => ({ leads: leads() })),
  )
  started.add('coordinator', () => {
    roster.remove('coordinator')
    return services.close()
  })
  return leads
}
