import type { RegistryView } from '../../control/registry-view.ts'
import { CHANNELS, type Channel } from '../../domain/events.ts'
import type { TopicDescription } from '../../ports/broker.ts'
import type { Checkpoint, FixedLog } from './checkpoint.ts'
import type { ProducerParts } from './parts.ts'
import type { LostLog, Shard } from './shard.ts'

/** The first lost offset of each channel whose log has lost its end. */
export type LostEnds = Readonly<Partial<Record<Channel, number>>>

/**
 * So many records more than anybody knows of may have been in an end that was lost: an owner has published and derived them since its last checkpoint, and readers have
 * their positions.
 */
const MOST_UNKNOWN = 100_000

interface JudgedLogs {
  /** The checkpoint, with positions that hold in the logs of now. */
  readonly restored: Checkpoint
  readonly logs: Readonly<Record<Channel, FixedLog>>
  readonly lost: ReadonlyMap<Channel, LostLog>
}

/** What is known of the logs besides: how far each was acknowledged to this process itself, and which have lost their ends since. */
interface KnownEnds {
  /** Of the claim under which the markers were written. */
  readonly epoch: number
  readonly expected: Readonly<Record<Channel, number>> | undefined
  readonly lostFrom: LostEnds
}

/**
 * Compares the positions of a checkpoint, what the broker acknowledged to this process, and the places that the registry names, with the fixed topics
 * as the broker shows them and with the own markers. A topic that somebody made anew is read from its beginning. A topic that has lost its end (in a power failure) is read from its
 * new end. A stream that holds positions which come a second time begins anew, with a `reset`: where the topic
 * was made anew at once, else when this owner has read what the stream holds.
 */
export function judgeLogs(
  { topics, registry }: ProducerParts,
  k: number,
  checkpoint: Checkpoint,
  shown: ReadonlyMap<string, TopicDescription>,
  markers: Readonly<Record<Channel, number>>,
  { epoch, expected, lostFrom: knownLost }: KnownEnds,
): JudgedLogs {
  const positions = { ...checkpoint.positions }
  const epochs = { ...checkpoint.epochs }
  const lost = new Map<Channel, LostLog>()
  const judge = (channel: Channel): FixedLog => {
    const topic = topics[channel]
    const { id = '', offsets = [] } = shown.get(topic) ?? {}
    const { earliest = 0, end = 0 } = offsets[k] ?? {}
    const known = checkpoint.logs?.[channel] ?? { id, since: 0 }
    const position = positions[channel] ?? 0
    if (known.id !== id) {
      const reason = `${topic} was deleted and made anew by somebody else: what partition ${k} held up to ${position - 1} is gone`
      lost.set(channel, { code: 'TOPIC_REPLACED', reason })
      positions[channel] = earliest
      delete epochs[channel]
      return { id, since: registry.view.nextOffset }
    }
    const named = lastPlace(registry.view, channel, k, known, epoch)
    const reached = Math.max(position, expected?.[channel] ?? 0, named)
    const lostFrom = knownLost[channel]
    const at = Math.min(lostFrom ?? reached, end, markers[channel])
    if (at < reached || lostFrom !== undefined) {
      const reason = `partition ${k} of ${topic} has lost its end: it went on at ${at}`
      lost.set(channel, { code: 'OFFSET_OUT_OF_RANGE', reason, at })
      positions[channel] = Math.min(position, at)
      const { owners, markers, lostEnds = [], ...rest } = known
      return {
        ...rest,
        lostEnds: [
          ...lostEnds,
          { from: at, to: reached + MOST_UNKNOWN, registryOffset: registry.view.nextOffset },
        ],
        ...(owners && { owners: owners.filter(([, offset]) => offset < at) }),
        // A marker that was lost too leaves nothing of its owner.
        ...(markers && { markers: markers.map(([epoch, offset]) => [epoch, Math.min(offset, at)]) }),
      }
    }
    return known
  }
  const logs = Object.fromEntries(CHANNELS.map((channel) => [channel, judge(channel)]))
  const restored = { ...checkpoint, positions, epochs }
  return { restored, logs: logs as Record<Channel, FixedLog>, lost }
}

/**
 * The last place of a partition that the registry names, in records of before an owner claimed it: the log reached there. What lies in an end of which it is
 * known already that it was lost tells nothing new.
 */
function lastPlace(
  view: RegistryView,
  channel: Channel,
  k: number,
  { since, lostEnds = [] }: FixedLog,
  epoch: number,
): number {
  let last = 0
  for (const { offset, places } of view.placesIn(channel)) {
    const place = places[k] ?? 0
    const isLost = lostEnds.some(({ to, registryOffset }) => place <= to && offset < registryOffset)
    if (since <= offset && offset < epoch && !isLost) last = Math.max(last, place)
  }
  return last
}

/** An alert and the log tell of the logs of a shard that are not what they were. */
export function tellLostLogs({ topics, alerts, log }: ProducerParts, { k, lost }: Shard): void {
  for (const [channel, { code, reason }] of lost) {
    const topic = topics[channel]
    log.error({ shard: k, topic, code }, reason)
    alerts.raise(`lost:${topic}:${k}`, code, reason)
  }
}
