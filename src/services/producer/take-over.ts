import { claimOwnership, type Ownership } from '../../control/claim.ts'
import { readRanges } from '../../control/read-range.ts'
import { presenceError } from '../../control/topic-presence.ts'
import { findTopic } from '../../control/topics.ts'
import { CHANNELS, type Channel } from '../../domain/events.ts'
import { lostEndBody } from '../../domain/fixed-markers.ts'
import { lowest } from '../../domain/lowest.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { TopicDescription } from '../../ports/broker.ts'
import { CheckpointReader } from './checkpoint-reader.ts'
import { type LostEnds, tellLostLogs } from './lost-logs.ts'
import type { ProducerParts } from './parts.ts'
import { type Claimed, readTail } from './read-tail.ts'
import type { Shard } from './shard.ts'
import type { FormerOwnership, Taking } from './taking.ts'

export interface TakenShard {
  readonly shard: Shard
  /** How many records of the former ownership landed at and after the offset that it expected, by channel. */
  readonly landed: Readonly<Record<Channel, number>>
  /** Whether another process wrote between the former ownership of this one and now. */
  readonly isInterrupted: boolean
}

/** What this process knows itself of shards that it takes over, by shard. */
interface Known {
  readonly former: ReadonlyMap<number, FormerOwnership>
  /** Where it saw that logs have lost their ends, also in an ownership that it has lost since. */
  readonly seenLost: ReadonlyMap<number, LostEnds>
}

interface TakeOver {
  readonly taken: readonly TakenShard[]
  /** Shards that somebody else took over meanwhile. */
  readonly fenced: readonly number[]
  /** Shards with a checkpoint that this process does not understand (R23), and why. */
  readonly unreadable: ReadonlyMap<number, string>
}

/**
 * How far before the checkpoint a topic is read for the latest known values of its markets (R11), for what the topics of streams should hold, and for
 * records of a later owner. Where there are such records, so many times as far the next time.
 */
const LATEST_BACK = 1_000
const FURTHER = 10
/** No former owner writes so many late records in a row. */
const MOST_BACK = 1_000_000

/**
 * Takes shards over (R8), in this order: the transactional id; the claim, whose offset is the epoch; the checkpoint; a marker into each
 * fixed partition; what lies between checkpoint and marker. A shard that somebody else has taken over holds up no other.
 */
export async function takeOverShards(
  producer: ProducerParts,
  ks: readonly number[],
  known: Known,
  signal: AbortSignal,
): Promise<TakeOver> {
  const owners = new Map<number, Ownership>()
  try {
    const fenced = await claimAll(producer, ks, owners, known.former, signal)
    const { taking, unreadable } = await readTails(producer, owners, known, signal)
    const lost = taking.filter(({ isFenced }) => isFenced)
    await refuseForeignEpochs(producer, lost, signal)
    for (const { shard } of lost) closeQuietly(shard.ownership)
    return {
      taken: taking.filter(({ isFenced }) => !isFenced),
      fenced: [...fenced, ...lost.map(({ shard }) => shard.k)],
      unreadable,
    }
  } catch (error) {
    for (const ownership of owners.values()) closeQuietly(ownership)
    throw error
  }
}

/**
 * An epoch is the offset of a claim in the registry. An epoch beyond the registry's end is a claim in another registry: another platform's, or
 * a former one of this name. No reader would count what this process publishes. Raises PREFIX_TAKEN.
 */
async function refuseForeignEpochs(
  { broker, names, topics }: ProducerParts,
  fenced: readonly Taking[],
  signal: AbortSignal,
): Promise<void> {
  if (fenced.length === 0) return
  const registry = await findTopic(broker, names.registry, signal)
  const end = registry?.offsets[0]?.end ?? 0
  const found = fenced.find(({ highest }) => highest >= end)
  if (found === undefined) return
  const what = `partition ${found.shard.k} of the topics ${Object.values(topics).join(', ')} has records of epoch ${found.highest}`
  throw new TapelineError(
    'PREFIX_TAKEN',
    `${what}, but ${names.registry} ends at ${end}: it gave no such epoch`,
  )
}

function closeQuietly({ writer }: Ownership): void {
  // A failure does no harm: whoever takes the id over next ends what this writer left open.
  writer.close().catch(() => undefined)
}

/** Claims shards one by one, and gives those that somebody else took over in between. */
async function claimAll(
  { broker, names, instance, now }: ProducerParts,
  ks: readonly number[],
  owners: Map<number, Ownership>,
  former: ReadonlyMap<number, FormerOwnership>,
  signal: AbortSignal,
): Promise<number[]> {
  const fenced: number[] = []
  for (const k of ks) {
    try {
      const ownership = await claimOwnership(broker, names, names.shardId(k), instance, now(), signal)
      owners.set(k, ownership)
      former.get(k)?.claimed.add(ownership.epoch)
    } catch (error) {
      if (toTapelineError(error).code !== 'FENCED') throw error
      fenced.push(k)
    }
  }
  return fenced
}

/** Reads the checkpoints, writes the markers, and reads what lies between. Lets shards go whose checkpoint it does not understand. */
async function readTails(
  producer: ProducerParts,
  owners: Map<number, Ownership>,
  { former, seenLost }: Known,
  signal: AbortSignal,
): Promise<{ readonly taking: readonly Taking[]; readonly unreadable: ReadonlyMap<number, string> }> {
  const { topics } = producer
  const unreadable = new Map<number, string>()
  const checkpoints = await readCheckpoints(producer, [...owners.keys()], signal)
  for (const [k, reader] of checkpoints) {
    const [found] = reader.unreadable
    const ownership = owners.get(k)
    if (found === undefined || ownership === undefined) continue
    const [key, reason] = found
    unreadable.set(k, `${key} of shard ${k} in ${producer.names.checkpoints} is not understood: ${reason}`)
    owners.delete(k)
    closeQuietly(ownership)
  }
  if (owners.size === 0) return { taking: [], unreadable }
  const shown = await describeFixedTopics(producer, signal)
  const lostFrom = (k: number, channel: Channel): number | undefined => {
    const { id, offsets = [] } = shown.get(topics[channel]) ?? {}
    const { positions, logs } = checkpoints.get(k)?.checkpoint ?? {}
    const isSame = logs?.[channel]?.id === id
    const reached = Math.max(isSame ? (positions?.[channel] ?? 0) : 0, former.get(k)?.expected[channel] ?? 0)
    const { end = reached } = offsets[k] ?? {}
    return seenLost.get(k)?.[channel] ?? (end < reached ? end : undefined)
  }
  const markers = await writeMarkers(producer, owners, lostFrom, signal)
  const taking = await readFixedTails(
    producer,
    { owners, former, shown, markers },
    { checkpoints, wentOn: seenLost },
    signal,
  )
  return { taking, unreadable }
}

/** Reads the fixed topics from the checkpoints to the own markers; once more, from further back, where a log has lost its end and has grown again. */
async function readFixedTails(
  producer: ProducerParts,
  claimed: Claimed,
  known: {
    readonly checkpoints: ReadonlyMap<number, CheckpointReader>
    readonly wentOn: ReadonlyMap<number, LostEnds>
  },
  signal: AbortSignal,
): Promise<readonly Taking[]> {
  const ks = [...claimed.owners.keys()]
  const wentOn = new Map(known.wentOn)
  /** Shards and channels in which the marker of the last owner was lost, as is known by now. */
  const unmarked = new Set<string>()
  let { checkpoints } = known
  for (let back = LATEST_BACK; ; back *= FURTHER) {
    const taking = await readTail(producer, claimed, checkpoints, wentOn, back, signal)
    const further = taking.filter((each) => {
      const isOpen = seekLostEnds(producer, each, claimed.shown, back, unmarked)
      return isOpen || Object.keys(each.wentOn).length > 0
    })
    if (further.length === 0) {
      for (const { shard } of taking) tellLostLogs(producer, shard)
      return taking
    }
    for (const { shard, wentOn: own } of further) wentOn.set(shard.k, { ...wentOn.get(shard.k), ...own })
    // The windows know by now what has been read.
    checkpoints = await readCheckpoints(producer, ks, signal)
  }
}

/** Notes where logs have gone on that have lost their ends and have grown beyond the checkpoint's positions. Gives whether that cannot be told before more is read. */
function seekLostEnds(
  { topics }: ProducerParts,
  { shard: { k, restored }, inFront, wentOn }: Taking,
  shown: ReadonlyMap<string, TopicDescription>,
  back: number,
  unmarked: Set<string>,
): boolean {
  let isOpen = false
  for (const channel of CHANNELS) {
    const { earliest = 0 } = shown.get(topics[channel])?.offsets[k] ?? {}
    const from = (restored.positions[channel] ?? 0) - back
    const key = `${k}:${channel}`
    const judged = inFront[channel].judge({ from, earliest, isLast: back >= MOST_BACK })
    const unmarkedFrom = unmarked.has(key) ? undefined : judged.unmarkedFrom
    if (unmarkedFrom !== undefined) unmarked.add(key)
    isOpen ||= judged.isOpen && !unmarked.has(key)
    const at = lowest(wentOn[channel], inFront[channel].wentOn, unmarkedFrom)
    if (at !== undefined) wentOn[channel] = at
  }
  return isOpen
}

/** All fixed topics. Raises TOPIC_MISSING where the broker does not show one, or not all of it: that is an outage, and proves nothing. */
async function describeFixedTopics(
  { broker, topics, partitions }: ProducerParts,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, TopicDescription>> {
  const names = Object.values(topics)
  const shown = new Map((await broker.describeTopics(names, signal)).map((topic) => [topic.name, topic]))
  const missing = names.find((name) => (shown.get(name)?.offsets.length ?? 0) < partitions)
  const error = missing === undefined ? undefined : presenceError(missing, 'away')
  if (error) throw error
  return shown
}

async function readCheckpoints(
  { broker, names, log }: ProducerParts,
  ks: readonly number[],
  signal: AbortSignal,
): Promise<Map<number, CheckpointReader>> {
  const topic = await findTopic(broker, names.checkpoints, signal)
  const ranges = ks.map((k) => {
    const { earliest, end } = topic?.offsets[k] ?? { earliest: 0, end: 0 }
    return { topic: names.checkpoints, partition: k, offset: earliest, end }
  })
  const readers = new Map(ranges.map(({ partition, end }) => [partition, new CheckpointReader(end)]))
  await readRanges(
    broker,
    ranges,
    ({ partition, records }) => {
      for (const record of records) readers.get(partition)?.take(record)
    },
    signal,
    undefined,
    ({ topic: name, partition, offset, nextOffset, reason }) => {
      readers.get(partition)?.lose()
      log.error(
        { topic: name, shard: partition, offset, nextOffset, code: 'BATCH_UNDECODABLE', reason },
        'a checkpoint cannot be read: an older one holds, and trades that it does not know may be repeats',
      )
    },
  )
  return readers
}

/** Writes a marker into every fixed partition of the shards, which says where a log has lost its end, and gives where each lies. */
async function writeMarkers(
  { broker, topics }: ProducerParts,
  owners: ReadonlyMap<number, Ownership>,
  lostFrom: (k: number, channel: Channel) => number | undefined,
  signal: AbortSignal,
): Promise<Map<number, Record<Channel, number>>> {
  const targets = [...owners].flatMap(([k, { epoch }]) =>
    CHANNELS.map((channel) => {
      const from = lostFrom(k, channel)
      const value = from === undefined ? null : lostEndBody(from)
      const headers = { v: 1, kind: 'marker', shard: k, epoch } as const
      return { channel, topic: topics[channel], partition: k, records: [{ key: null, value, headers }] }
    }),
  )
  const acks = await broker.publish(targets, signal)
  const markers = new Map<number, Record<Channel, number>>()
  targets.forEach(({ channel, partition }, i) => {
    const known = markers.get(partition) ?? { trade: 0, quote: 0, candle: 0, book: 0, status: 0 }
    markers.set(partition, { ...known, [channel]: acks[i]?.baseOffset ?? 0 })
  })
  return markers
}
