import { claimOwnership, type Ownership } from '../../control/claim.ts'
import { shardId } from '../../control/names.ts'
import { readRanges } from '../../control/read-range.ts'
import { decodeEvent } from '../../domain/event-codec.ts'
import { CHANNELS, type Channel, hasLatestValue, marketKey } from '../../domain/events.ts'
import { counts, emptyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { StoredRecord } from '../../ports/broker.ts'
import { CheckpointReader, checkpointPartition } from './checkpoint.ts'
import type { ProducerParts } from './parts.ts'
import { Shard, type Tail } from './shard.ts'

/** What a former ownership of this process had sent and not seen acknowledged. */
export interface FormerOwnership {
  readonly epoch: number
  readonly expected: Readonly<Record<Channel, number>>
}

export interface TakenShard {
  readonly shard: Shard
  /** Per channel: how many records of the former ownership landed at and after the offset it expected. */
  readonly landed: Readonly<Record<Channel, number>>
}

/** More than this is not kept in memory at a take-over. */
const MOST_PENDING = 100_000

/** With too much in hand the streams count as behind, and read it from the log piece by piece. */
function limitPending(tail: Tail): void {
  if (tail.pending.length < MOST_PENDING) return
  tail.pending = []
  tail.derivedTo = tail.expected
}

/**
 * Takes shards over (R8): the transactional id, the claim whose offset is the epoch, the checkpoint, a marker into each fixed
 * partition, and what lies between the checkpoint and the marker. Raises FENCED where a higher epoch has written there.
 */
export async function takeOverShards(
  parts: ProducerParts,
  ks: readonly number[],
  former: ReadonlyMap<number, FormerOwnership>,
  signal: AbortSignal,
): Promise<TakenShard[]> {
  const { broker, instance, now, topics } = parts
  const owners = new Map<number, Ownership>()
  for (const k of ks) {
    owners.set(k, await claimOwnership(broker, shardId(k), instance, now(), signal))
  }
  const checkpoints = await readCheckpoints(parts, ks, signal)
  const markers = await writeMarkers(parts, owners, signal)

  const taken = new Map<number, TakenShard & { landed: Record<Channel, number> }>()
  for (const [k, ownership] of owners) {
    const { checkpoint, windows } = checkpoints.get(k) ?? new CheckpointReader()
    const shard = new Shard(k, ownership, checkpoint, markers.get(k) as Record<Channel, number>, windows)
    taken.set(k, { shard, landed: { trade: 0, quote: 0, candle: 0, book: 0, status: 0 } })
  }

  const channelOf = new Map(CHANNELS.map((channel) => [topics[channel], channel]))
  const ranges = [...taken.values()].flatMap(({ shard }) =>
    CHANNELS.map((channel) => {
      const { derivedTo, marker } = shard.tails[channel]
      return { topic: topics[channel], partition: shard.k, offset: derivedTo, end: marker + 1 }
    }),
  )
  const epochsOf = new Map<string, ReaderMemory>()
  await readRanges(
    broker,
    ranges,
    (fetch) => {
      const channel = channelOf.get(fetch.topic)
      const entry = taken.get(fetch.partition)
      if (channel === undefined || entry === undefined) return
      const memoryKey = `${channel}:${fetch.partition}`
      const memory = epochsOf.get(memoryKey) ?? memoryAt(entry.shard, channel)
      epochsOf.set(memoryKey, memory)
      for (const record of fetch.records)
        takeRecord(parts, entry, channel, record, memory, former.get(fetch.partition))
    },
    signal,
    (topic, partition, earliest) => {
      const channel = channelOf.get(topic)
      const entry = taken.get(partition)
      // Streams that the checkpoint had further back are behind now, and find the hole when they read on.
      if (channel !== undefined && entry !== undefined) entry.shard.tails[channel].derivedTo = earliest
    },
  )
  for (const { shard } of taken.values()) for (const channel of CHANNELS) limitPending(shard.tails[channel])
  return [...taken.values()]
}

/** What a reader remembers at the checkpoint's position. */
function memoryAt({ k, restored }: Shard, channel: Channel): ReaderMemory {
  return { ...emptyMemory(), epochs: { [k]: restored.epochs[channel] ?? -1 } }
}

function takeRecord(
  { log, topics }: ProducerParts,
  { shard, landed }: { readonly shard: Shard; readonly landed: Record<Channel, number> },
  channel: Channel,
  record: StoredRecord,
  memory: ReaderMemory,
  former: FormerOwnership | undefined,
): void {
  const { epoch = -1 } = record.headers
  if (epoch > shard.epoch)
    throw new TapelineError('FENCED', `shard ${shard.k} has an owner of epoch ${epoch}`, {
      partitions: [{ topic: topics[channel], partition: shard.k }],
    })
  if (!counts(memory, record.headers) || record.value === null) return
  if (former && epoch === former.epoch && record.offset >= former.expected[channel]) landed[channel]++
  try {
    const event = decodeEvent(channel, record.value, record.headers.v)
    const market = marketKey(event)
    if (channel === 'trade') {
      shard.window(market).remember((event as { id: string }).id, event.ts)
      shard.changed.add(market)
    }
    if (record.headers.reentering) return
    const tail = shard.tails[channel]
    const published = {
      offset: record.offset,
      exchange: event.exchange,
      symbol: event.symbol ?? '',
      value: record.value,
    }
    if (tail.pending.length < MOST_PENDING) tail.pending.push(published)
    if (hasLatestValue(channel)) tail.latest.set(market, published)
  } catch (error) {
    log.warn(
      { offset: record.offset, channel, code: toTapelineError(error).code },
      'a record cannot be derived',
    )
  }
}

async function readCheckpoints(
  { broker }: ProducerParts,
  ks: readonly number[],
  signal: AbortSignal,
): Promise<Map<number, CheckpointReader>> {
  const readers = new Map(ks.map((k) => [k, new CheckpointReader()]))
  const [topic] = await broker.listTopics(checkpointPartition(0).topic, signal)
  const ranges = ks.map((k) => {
    const { earliest, end } = topic?.offsets[k] ?? { earliest: 0, end: 0 }
    return { ...checkpointPartition(k), offset: earliest, end }
  })
  await readRanges(
    broker,
    ranges,
    ({ partition, records }) => {
      for (const record of records) readers.get(partition)?.take(record)
    },
    signal,
  )
  return readers
}

/** Writes a marker into every fixed partition of the shards and gives where each lies. */
async function writeMarkers(
  { broker, topics }: ProducerParts,
  owners: ReadonlyMap<number, Ownership>,
  signal: AbortSignal,
): Promise<Map<number, Record<Channel, number>>> {
  const targets = [...owners].flatMap(([k, { epoch }]) =>
    CHANNELS.map((channel) => ({
      channel,
      topic: topics[channel],
      partition: k,
      records: [{ key: null, value: null, headers: { v: 1, kind: 'marker', shard: k, epoch } as const }],
    })),
  )
  const acks = await broker.publish(targets, signal)
  const markers = new Map<number, Record<Channel, number>>()
  targets.forEach(({ channel, partition }, i) => {
    const known = markers.get(partition) ?? { trade: 0, quote: 0, candle: 0, book: 0, status: 0 }
    markers.set(partition, { ...known, [channel]: acks[i]?.baseOffset ?? 0 })
  })
  return markers
}
