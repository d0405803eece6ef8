import type { KafkaUses } from '../../adapters/broker/kafka.ts'
import type { Config } from '../../config.ts'
import { GROUPS, shardId } from '../../control/names.ts'
import { LEADER_ID } from '../../control/records.ts'
import { CHECKPOINT_TOPIC, DYNAMIC_PREFIX, fixedTopics, REGISTRY_TOPIC } from '../../control/topics.ts'
import { TapelineError } from '../../errors.ts'
import type { Log } from '../../ports/log.ts'
import { kafkaSettings } from './servers.ts'

type Role = Config['roles'][number]

/** What a role does on the broker that shows only while it runs, when every failure is retried. */
const USES: Readonly<Record<Role, (topics: Config['topics']) => Partial<KafkaUses>>> = {
  producer: ({ prefix, partitions }) => ({
    topics: [...Object.values(fixedTopics(prefix)), CHECKPOINT_TOPIC],
    groups: [GROUPS.producers],
    transactionalIds: Array.from({ length: partitions }, (_, k) => shardId(k)),
  }),
  coordinator: () => ({
    topics: [REGISTRY_TOPIC],
    prefixes: [DYNAMIC_PREFIX],
    groups: [GROUPS.coordinators],
    transactionalIds: [LEADER_ID],
  }),
  'consumer-fixed': () => ({ groups: [GROUPS.consumersFixed] }),
  gateway: () => ({}),
}

/** What roles do on the broker, in one process or in many. */
export function usesOf(roles: readonly Role[], topics: Config['topics']): KafkaUses {
  const uses = roles.map((role) => USES[role](topics))
  return {
    topics: uses.flatMap((each) => each.topics ?? []),
    prefixes: uses.flatMap((each) => each.prefixes ?? []),
    groups: uses.flatMap((each) => each.groups ?? []),
    transactionalIds: uses.flatMap((each) => each.transactionalIds ?? []),
  }
}

/**
 * Refuses to start where the user lacks a right that a role of this process needs: a person has to give it. Raises
 * BROKER_FORBIDDEN naming what is forbidden, and what looking at a broker raises.
 */
export async function refuseMissingRights(config: Config, log: Log, signal: AbortSignal): Promise<void> {
  if (config.broker.kind !== 'kafka') return
  const { findForbidden } = await import('../../adapters/broker/kafka.ts')
  const uses = usesOf(config.roles, config.topics)
  const forbidden = await findForbidden(kafkaSettings(config, log), uses, signal)
  if (forbidden.length > 0)
    throw new TapelineError('BROKER_FORBIDDEN', `the user may not ${forbidden.join(', ')}`)
}
