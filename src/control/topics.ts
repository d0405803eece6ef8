import { TapelineError, toTapelineError } from '../errors.ts'
import type { Broker, TopicDescription, TopicSpec } from '../ports/broker.ts'
import type { PlatformNames } from './names.ts'

export interface TopicSettings {
  readonly names: PlatformNames
  /** Of every fixed topic; it is the number of shards and cannot change (R7). */
  readonly partitions: number
  readonly retentionMs: number
  readonly deadLetterRetentionMs: number
}

const CONTROL_RETENTION_MS = 3_600_000

/** A topic by its whole name; undefined where there is none. */
export async function findTopic(
  broker: Pick<Broker, 'describeTopics'>,
  name: string,
  signal: AbortSignal,
): Promise<TopicDescription | undefined> {
  const [topic] = await broker.describeTopics([name], signal)
  return topic
}

/** The topics that a platform needs from its start, as it makes them. */
export function requiredTopics(settings: TopicSettings): TopicSpec[] {
  const { names, partitions, retentionMs, deadLetterRetentionMs } = settings
  return [
    ...Object.values(names.fixed).map((name) => ({ name, partitions, retentionMs })),
    { name: names.registry, partitions: 1, compacted: true },
    { name: names.control, partitions: 1, retentionMs: CONTROL_RETENTION_MS },
    { name: names.checkpoints, partitions, compacted: true },
    { name: names.deadLetters, partitions: 1, retentionMs: deadLetterRetentionMs },
  ]
}

/** How often topics that another process makes at the same time are looked at again. */
const ROUNDS = 5

/**
 * Makes the topics that the platform needs; those that exist stay as they are, also those that another process has made
 * meanwhile. Raises PARTITIONS_CHANGED where a fixed topic has another number of partitions.
 */
export async function ensureTopics(
  broker: Broker,
  settings: TopicSettings,
  signal: AbortSignal,
  rounds = ROUNDS,
): Promise<ReadonlyMap<string, TopicDescription>> {
  const required = requiredTopics(settings)
  const names = required.map(({ name }) => name)
  const known = new Map((await broker.describeTopics(names, signal)).map((topic) => [topic.name, topic]))
  const missing: TopicSpec[] = []
  for (const spec of required) {
    const topic = known.get(spec.name)
    if (topic === undefined) missing.push(spec)
    else if (topic.partitions !== spec.partitions) {
      throw new TapelineError(
        'PARTITIONS_CHANGED',
        `${spec.name} has ${topic.partitions} partitions, but the configuration says ${spec.partitions}`,
      )
    }
  }
  try {
    for (const topic of await broker.createTopics(missing, signal)) known.set(topic.name, topic)
    return known
  } catch (error) {
    // Processes that start together may have different settings, which the first one decides.
    if (toTapelineError(error).code !== 'TOPIC_EXISTS' || rounds === 0) throw error
    return ensureTopics(broker, settings, signal, rounds - 1)
  }
}
