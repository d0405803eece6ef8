import { TapelineError, toTapelineError } from '../errors.ts'
import type { Broker, TopicDescription } from '../ports/broker.ts'
import type { PlatformNames, ToldPrefixes } from './names.ts'
import { readRanges } from './read-range.ts'
import { decodeRegistry, LEADER_KEY, type RegistryRecord } from './registry-records.ts'
import { RegistryView } from './registry-view.ts'
import { findTopic, isUnused, refuseForeign } from './topics.ts'

/** What looking at prefixes asks of a broker: it changes nothing there. */
type Looked = Pick<Broker, 'describeTopics' | 'listTopics' | 'openReader'>

/**
 * Refuses prefixes that are another platform's, before anything is made: where the platform has begun, those that its registry does not tell;
 * where it has not, those under which something is in use. What this user may not read is left to whoever looks at rights. Raises PREFIX_TAKEN.
 */
export async function refuseTakenPrefixes(
  broker: Looked,
  names: PlatformNames,
  signal: AbortSignal,
): Promise<void> {
  const registry = await findTopic(broker, names.registry, signal)
  if (isUnused(registry)) {
    const fixed = await broker.describeTopics(Object.values(names.fixed), signal)
    await refuseForeign(broker, names, new Map(fixed.map((topic) => [topic.name, topic])), signal)
    return
  }
  try {
    refuseShared(names, await toldPrefixes(broker, names, registry, signal))
  } catch (error) {
    if (toTapelineError(error).code !== 'BROKER_FORBIDDEN') throw error
  }
}

/** The prefixes that a registry tells. */
async function toldPrefixes(
  broker: Looked,
  names: PlatformNames,
  registry: TopicDescription | undefined,
  signal: AbortSignal,
): Promise<ToldPrefixes> {
  const view = new RegistryView(names.leaderId)
  const ranges = (registry?.offsets ?? []).map(({ earliest, end }, partition) => ({
    ...{ topic: names.registry, partition },
    ...{ offset: earliest, end },
  }))
  await readRanges(
    broker,
    ranges,
    ({ records }) => {
      for (const { offset, key, value } of records) {
        // Streams and leases tell nothing of prefixes, and there may be ten thousand of them.
        const record = key === LEADER_KEY && value !== null ? understood(value) : undefined
        if (record !== undefined) view.apply(offset, key, record)
      }
    },
    signal,
  )
  return view.prefixes
}

/** Undefined where a newer version has written it: whoever follows the registry says so. */
function understood(value: Uint8Array): RegistryRecord | undefined {
  try {
    return decodeRegistry(value)
  } catch {
    return undefined
  }
}

/**
 * Refuses a process whose control topics are those of a platform with other prefixes: it is another platform's, or this one's with a
 * setting that was changed. Its streams and positions are those of the other topics. Raises PREFIX_TAKEN.
 */
export function refuseShared(names: PlatformNames, told: ToldPrefixes): void {
  const other = (['prefix', 'dynamicPrefix'] as const).find(
    (each) => told[each] !== undefined && told[each] !== names[each],
  )
  if (other === undefined) return
  throw new TapelineError(
    'PREFIX_TAKEN',
    `${names.registry} is that of a platform whose topics.${other} is ${told[other]}, and here it is ${names[other]}`,
    {
      remedy: `For a process of that platform set topics.${other} to ${told[other]}. For a platform of its own choose another topics.controlPrefix than ${names.controlPrefix} too: docs/kafka.md#a-broker-that-is-shared.`,
    },
  )
}
