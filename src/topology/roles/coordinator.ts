import { createCoordinatorServices } from '../../services/coordinator/coordinator.ts'
import { createLeader } from '../../services/coordinator/leader.ts'
import { startCoordinator } from '../actors.ts'
import { type Foundation, newId } from '../foundation.ts'

/** Starts the role coordinator: the one that leads makes and removes dynamic topics. */
export async function startCoordinatorRole(foundation: Foundation, signal: AbortSignal): Promise<void> {
  const { config, broker, registry, bus, membership, instance, topics, roster, started, log } = foundation
  const { grace, maxPerApplication, retention } = config.streams
  const services = await createCoordinatorServices(
    {
      broker,
      registry,
      bus,
      membership,
      leader: createLeader({ broker, registry, instance, now: Date.now, log }),
      instance,
      settings: { graceMs: grace, maxPerApplication, retentionMs: retention, fixedTopics: topics },
      now: Date.now,
      newId,
      log,
    },
    signal,
  )
  roster.add(startCoordinator(foundation.actorParts, services))
  started.add('coordinator', () => {
    roster.remove('coordinator')
    return services.close()
  })
}
