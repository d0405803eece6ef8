import type { KafkaUses } from '../../adapters/broker/kafka.ts'
import type { Config } from '../../config.ts'
import { type PlatformNames, platformNames } from '../../control/names.ts'
import { TapelineError } from '../../errors.ts'
import type { Log } from '../../ports/log.ts'
import { kafkaSettings } from './servers.ts'

type Role = Config['roles'][number]

/** What a role does on the broker that shows only while it runs, when every failure is retried. */
const USES: Readonly<Record<Role, (names: PlatformNames, partitions: number) => Partial<KafkaUses>>> = {
  producer: (names, partitions) => ({
    topics: [...Object.values(names.fixed), names.instruments, names.checkpoints],
    groups: [names.groups.producers],
    transactionalIds: Array.from({ length: partitions }, (_, k) => names.shardId(k)),
  }),
  coordinator: (names) => ({
    topics: [names.registry],
    prefixes: [names.dynamic],
    groups: [names.groups.coordinators],
    transactionalIds: [names.leaderId],
  }),
  'consumer-fixed': (names) => ({ groups: [names.groups.consumersFixed] }),
  gateway: (names, partitions) => ({
    topics: [names.endpoints],
    groups: [names.groups.gateways],
    transactionalIds: Array.from({ length: partitions }, (_, k) => names.endpointsId(k)),
  }),
}

/** What roles do on the broker, in one process or in many. */
export function usesOf(roles: readonly Role[], topics: Config['topics']): KafkaUses {
  const uses = roles.map((role) => USES[role](platformNames(topics), topics.partitions))
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
