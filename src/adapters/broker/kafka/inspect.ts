import { toTapelineError } from '../../../errors.ts'
import { type ClockUse, clockDifference } from './clock.ts'
import { Cluster } from './cluster.ts'
import { brokerError } from './errors.ts'
import { explainClosed } from './explain-closed.ts'
import { InspectionLink } from './inspection-link.ts'
import { forbiddenUses, type KafkaUses } from './rights.ts'
import type { Address, KafkaSettings } from './settings.ts'
import { readSettings, type TopicSettings } from './topic-settings.ts'
import { TopicView } from './topic-view.ts'

export interface KafkaTopic extends TopicSettings {
  readonly name: string
  readonly partitions: number
  /** Copies of each partition; the fewest that one has. */
  readonly replication: number
}

/** What `doctor` tells of a broker. */
export interface KafkaInspection {
  /** As well as it can be known, for people. */
  readonly version: string
  readonly clusterId: string
  readonly brokers: readonly (Address & { readonly id: number })[]
  /** The broker that requests for the whole cluster go to. */
  readonly controller: number
  /** All topics that the user may see, the broker's own left out. */
  readonly names: readonly string[]
  /** Those of the uses that are there, sorted by name. */
  readonly topics: readonly KafkaTopic[]
  /** What the user may not do of what the platform does, such as `write to market.trades`. */
  readonly forbidden: readonly string[]
  /** How far the broker's clock is ahead of this machine's, in milliseconds; undefined where it could not be told. */
  readonly clockDifferenceMs: number | undefined
}

/** What is looked at besides what is used. */
interface LookedAt {
  readonly clock: ClockUse
  /** Topics whose settings are told, though this user need not write there. */
  readonly shown?: readonly string[]
}

/**
 * Looks at a broker without changing anything that others see. Brokers tell their clock nowhere: a record is written to the
 * clock topic in a transaction that is then aborted, so that no reader sees it, and the acknowledgement has its time.
 * Raises BROKER_UNAVAILABLE, BROKER_UNAUTHORIZED, BROKER_TLS_FAILED, BROKER_HOST_UNKNOWN, BROKER_UNSUPPORTED.
 */
export function inspectKafka(
  settings: KafkaSettings,
  uses: KafkaUses & LookedAt,
  signal: AbortSignal,
): Promise<KafkaInspection> {
  return look(settings, signal, (link, version) => inspect(link, version, uses, settings))
}

/** What the user may not do of what the platform does, such as `write to market.trades`. Raises what `inspectKafka` raises. */
export function findForbidden(
  settings: KafkaSettings,
  uses: KafkaUses,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return look(settings, signal, async (link) => forbiddenUses(link, uses, rightsOf(await link.cluster())))
}

/** Works on connections of its own. */
async function look<T>(
  settings: KafkaSettings,
  signal: AbortSignal,
  work: (link: InspectionLink, version: string) => Promise<T>,
): Promise<T> {
  const cluster = new Cluster(settings, new TopicView())
  try {
    const { text: version } = await cluster.introduce(signal)
    return await work(new InspectionLink(cluster, signal), version)
  } catch (error) {
    signal.throwIfAborted()
    throw await explainClosed(brokerError(error, 'the broker could not be looked at'), settings)
  } finally {
    await cluster.close()
  }
}

type SeenCluster = Awaited<ReturnType<InspectionLink['cluster']>>

function rightsOf({ topics }: SeenCluster): Map<string, number> {
  return new Map(topics.map((each) => [each.name ?? '', each.topicAuthorizedOperations]))
}

async function inspect(
  link: InspectionLink,
  version: string,
  uses: KafkaUses & LookedAt,
  settings: KafkaSettings,
): Promise<KafkaInspection> {
  const cluster = await link.cluster()
  const names = cluster.topics.map(({ name }) => name ?? '')
  const ours = names.filter(
    (name) =>
      [...uses.topics, ...(uses.shown ?? [])].includes(name) ||
      uses.prefixes.some((prefix) => name.startsWith(prefix)),
  )
  const configs = await topicSettings(link, ours)
  const topics = cluster.topics.flatMap(({ name, partitions }): KafkaTopic[] => {
    const config = configs.get(name ?? '')
    if (config === undefined) return []
    return [
      { name: name ?? '', partitions: partitions.length, ...config, replication: fewestReplicas(partitions) },
    ]
  })
  const forbidden = await forbiddenUses(link, uses, rightsOf(cluster))
  const { topic, transactionalId } = uses.clock
  const difference = names.includes(topic)
    ? await clockDifference(link, topic, transactionalId).catch(untold(settings))
    : undefined
  return {
    version,
    clusterId: cluster.clusterId ?? '',
    brokers: cluster.brokers.map(({ nodeId, host, port }) => ({ id: nodeId, host, port })),
    controller: cluster.controllerId,
    names,
    topics: topics.sort((a, b) => (a.name < b.name ? -1 : 1)),
    forbidden,
    clockDifferenceMs: difference,
  }
}

function fewestReplicas(partitions: readonly { readonly replicaNodes: readonly number[] }[]): number {
  return Math.min(...partitions.map(({ replicaNodes }) => replicaNodes.length))
}

async function topicSettings(
  link: InspectionLink,
  names: readonly string[],
): Promise<ReadonlyMap<string, TopicSettings>> {
  const answers = await link.topicConfigs(names)
  const readable = answers.filter(({ errorCode }) => errorCode === 0)
  return new Map(readable.map(({ resourceName, configs }) => [resourceName, readSettings(configs)]))
}

/** The clock is not worth failing for. */
function untold({ log }: KafkaSettings): (error: unknown) => undefined {
  return (error) => {
    log.debug({ code: toTapelineError(error).code }, 'the clock of the broker could not be told')
    return undefined
  }
}
