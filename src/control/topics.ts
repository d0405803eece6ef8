import { ERROR_KINDS, TapelineError, toTapelineError } from '../errors.ts'
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
    { name: names.instruments, partitions, compacted: true },
    { name: names.checkpoints, partitions, compacted: true },
    { name: names.endpoints, partitions, compacted: true },
    { name: names.deadLetters, partitions: 1, retentionMs: deadLetterRetentionMs },
  ]
}

/** Whether a dynamic topic of ours could have this name: a ULID after the prefix. */
export function isDynamicName({ dynamic }: PlatformNames, name: string): boolean {
  return name.startsWith(dynamic) && /^[0-9a-hjkmnp-tv-z]{26}$/.test(name.slice(dynamic.length))
}

/** Whether nobody ever wrote to a topic. */
export function isUnused(topic: TopicDescription | undefined): boolean {
  return topic === undefined || topic.offsets.every(({ end }) => end === 0)
}

/**
 * A platform without a registry has published nothing yet: what is in use under its prefixes is another one's. Two that publish to
 * the same topics would take each other's records for a zombie's. Raises PREFIX_TAKEN.
 */
export async function refuseForeign(
  broker: Pick<Broker, 'describeTopics' | 'listTopics'>,
  names: PlatformNames,
  known: ReadonlyMap<string, TopicDescription>,
  signal: AbortSignal,
): Promise<void> {
  const fixed = topicInUse(names, known)
  const dynamic = (await broker.listTopics(names.dynamic, signal)).find(({ name }) =>
    isDynamicName(names, name),
  )
  const taken = fixed ?? dynamic?.name
  if (taken === undefined) return
  // Another process of this platform may have begun it since the first look.
  if (isUnused(await findTopic(broker, names.registry, signal)))
    throw new TapelineError(
      'PREFIX_TAKEN',
      `${taken} is in use, but nothing was ever written to ${names.registry}`,
    )
}

function topicInUse(names: PlatformNames, known: ReadonlyMap<string, TopicDescription>): string | undefined {
  return Object.values(names.fixed).find((name) => known.get(name)?.offsets.some(({ end }) => end > 0))
}

/** What to do where the topics have so many partitions, and the configuration says another number. */
export function partitionsRemedy(former: number): string {
  const { remedy } = ERROR_KINDS.PARTITIONS_CHANGED
  return remedy.replace('back to the former number', `to ${former}`)
}

/** How often topics that another process makes at the same time are looked at again. */
const ROUNDS = 5

/**
 * Makes the topics that the platform needs; those that exist stay as they are, also those that another process has made
 * meanwhile. Raises PREFIX_TAKEN, and PARTITIONS_CHANGED where a fixed topic has another number of partitions.
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
  if (isUnused(known.get(settings.names.registry))) await refuseForeign(broker, settings.names, known, signal)
  const missing: TopicSpec[] = []
  for (const spec of required) {
    const topic = known.get(spec.name)
    if (topic === undefined) missing.push(spec)
    else if (topic.partitions !== spec.partitions) {
      throw new TapelineError(
        'PARTITIONS_CHANGED',
        `${spec.name} has ${topic.partitions} partitions, but the configuration says ${spec.partitions}`,
        { remedy: partitionsRemedy(topic.partitions) },
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
