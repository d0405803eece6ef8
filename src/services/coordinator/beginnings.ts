import type { StreamEntry } from '../../control/registry-view.ts'
import { findTopic } from '../../control/topics.ts'
import type { Channel } from '../../domain/events.ts'
import type { StreamFrom } from '../../domain/stream-spec.ts'
import { TapelineError } from '../../errors.ts'
import type { CoordinatorParts } from './requests.ts'

/**
 * Where a stream begins: per partition of its fixed topic the first record that was published then or later, as far back as the topic reaches;
 * with `live` its end, so that the stream gets nothing from before (R4). Raises TOPIC_UNKNOWN.
 */
export async function startsOf(
  { broker, names }: CoordinatorParts,
  channel: Channel,
  from: StreamFrom | 'live',
  signal: AbortSignal,
): Promise<number[]> {
  const name = names.fixed[channel]
  const topic = await findTopic(broker, name, signal)
  if (topic === undefined) throw new TapelineError('TOPIC_UNKNOWN', `there is no topic ${name}`)
  if (from === 'live') return topic.offsets.map(({ end }) => end)
  if (from === 'earliest') return topic.offsets.map(({ earliest }) => earliest)
  return Promise.all(topic.offsets.map((_, k) => broker.offsetAt(name, k, from, signal)))
}

/** Whether a stream has everything from these fixed offsets on: it began there or earlier, and its topic has lost nothing since. */
export async function reachesBack(
  { broker }: CoordinatorParts,
  stream: StreamEntry,
  starts: readonly number[],
  signal: AbortSignal,
): Promise<boolean> {
  if (stream.state !== 'ready' || starts.some((start, k) => (stream.start[k] ?? 0) > start)) return false
  const [topic] = await broker.describeTopics([stream.topic], signal)
  return topic?.id === stream.topicId && topic.offsets.every(({ earliest }) => earliest === 0)
}
