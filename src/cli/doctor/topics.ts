import type { KafkaTopic } from '../../adapters/broker/kafka.ts'
import type { Config } from '../../config.ts'
import { platformNames } from '../../control/names.ts'
import { partitionsRemedy, requiredTopics } from '../../control/topics.ts'
import type { TopicSpec } from '../../ports/broker.ts'
import { type Finding, fail, ok, warn } from './finding.ts'

const CHECK = 'broker topics'

/** Compares the topics of a Kafka broker with what the configuration would make. */
export function topicFindings(
  config: Config,
  topics: readonly KafkaTopic[],
  brokers: number,
): readonly Finding[] {
  const names = platformNames(config.topics)
  const { partitions, retention, deadLetterRetention } = config.topics
  const specs = requiredTopics({
    names,
    partitions,
    retentionMs: retention,
    deadLetterRetentionMs: deadLetterRetention,
  })
  const known = new Map(topics.map((topic) => [topic.name, topic]))
  const there = specs.flatMap((spec) => {
    const topic = known.get(spec.name)
    return topic === undefined ? [] : [{ spec, topic }]
  })
  const dynamic = topics.filter(({ name }) => name.startsWith(names.dynamic))
  const findings = [
    ...replicationFinding(config, brokers),
    ...partitionFindings(there),
    ...there.flatMap(({ spec, topic }) => settingFindings(spec, topic)),
    ...copiesFindings([...there.map(({ topic }) => topic), ...dynamic], brokers),
  ]
  if (findings.length > 0) return findings
  const missing = specs.length - there.length
  const rest = missing === 0 ? '' : `, ${missing} will be made at the start`
  return [ok(CHECK, `${there.length} as configured, ${dynamic.length} dynamic${rest}`)]
}

/** The copies that the configuration asks for each topic that is made, where the cluster has too few brokers for them. */
function replicationFinding({ broker: { replication } }: Config, brokers: number): Finding[] {
  if (replication <= brokers) return []
  const there = brokers === 1 ? 'there is 1 broker' : `there are ${brokers} brokers`
  const detail = `broker.replication asks for ${replication} copies, and ${there}: no topic can be made`
  return [
    fail(
      CHECK,
      detail,
      `Set broker.replication to ${brokers} or less (0 leaves it to the broker), or start more brokers.`,
    ),
  ]
}

interface Topic {
  readonly spec: TopicSpec
  readonly topic: KafkaTopic
}

/** Those that have the same number, where the configuration says another, are told together. */
function partitionFindings(there: readonly Topic[]): Finding[] {
  const other = there.filter(({ spec, topic }) => topic.partitions !== spec.partitions)
  const alike = Map.groupBy(other, ({ spec, topic }) => `${topic.partitions}/${spec.partitions}`)
  return [...alike.values()].flatMap(([first, ...more]) => {
    if (first === undefined) return []
    const { spec, topic } = first
    const others = more.length === 0 ? '' : `, like ${more.map((each) => each.spec.name).join(', ')},`
    const detail = `${spec.name}${others} has ${topic.partitions} partitions, the configuration says ${spec.partitions}`
    return [fail(CHECK, detail, partitionsRemedy(topic.partitions))]
  })
}

function settingFindings(spec: TopicSpec, topic: KafkaTopic): Finding[] {
  const { name } = spec
  const findings: Finding[] = []
  const isCompacted = spec.compacted === true
  if (topic.compacted !== isCompacted) {
    const policy = isCompacted ? 'compact' : 'delete'
    const detail = `${name} is ${topic.compacted ? '' : 'not '}compacted`
    findings.push(fail(CHECK, detail, `Set cleanup.policy of the topic to ${policy}.`))
  } else if (!isCompacted && topic.retentionMs !== spec.retentionMs) {
    const detail = `${name} keeps records ${daysOf(topic.retentionMs)}, the configuration says ${daysOf(spec.retentionMs)}`
    const remedy = `Set retention.ms of the topic to ${spec.retentionMs ?? -1}, or correct the configuration: it is used only when a topic is made.`
    findings.push(warn(CHECK, detail, remedy))
  }
  return findings
}

/** Topics that cannot be written at all, or no more once a broker is away. Those of one kind are told together. */
function copiesFindings(topics: readonly KafkaTopic[], brokers: number): Finding[] {
  const named = (which: (topic: KafkaTopic) => boolean): string => {
    const names = topics.filter(which).map(({ name }) => name)
    const more = names.length > 3 ? ` and ${names.length - 3} more` : ''
    return names.length === 0 ? '' : `${names.slice(0, 3).join(', ')}${more}`
  }
  const stuck = named(({ replication, minInsyncReplicas }) => replication < minInsyncReplicas)
  const fragile = named(
    ({ replication, minInsyncReplicas }) => replication > 1 && replication === minInsyncReplicas,
  )
  const single = brokers > 1 ? named(({ replication }) => replication === 1) : ''
  const lower = 'Lower min.insync.replicas, or give the topic more copies (kafka-reassign-partitions).'
  const raise =
    'Give the topics more copies (kafka-reassign-partitions), and set broker.replication to 3 for new ones.'
  return [
    ...(stuck === ''
      ? []
      : [fail(CHECK, `fewer copies than min.insync.replicas, so nothing can be written: ${stuck}`, lower)]),
    ...(fragile === ''
      ? []
      : [
          warn(
            CHECK,
            `as many copies as min.insync.replicas, so one broker away stops writes: ${fragile}`,
            lower,
          ),
        ]),
    ...(single === '' ? [] : [warn(CHECK, `one copy on ${brokers} brokers: ${single}`, raise)]),
  ]
}

function daysOf(millis: number | undefined): string {
  if (millis === undefined) return 'for ever'
  const days = millis / 86_400_000
  return days >= 1 ? `${Number(days.toFixed(1))} days` : `${Number((days * 24).toFixed(2))} hours`
}
