import { claimOwnership, type Ownership } from '../../control/claim.ts'
import { readRanges } from '../../control/read-range.ts'
import { presenceError } from '../../control/topic-presence.ts'
import { findTopic } from '../../control/topics.ts'
import { decodeEvent } from '../../domain/event-codec.ts'
import { CHANNELS, type Channel, hasLatestValue, marketKey, type Trade } from '../../domain/events.ts'
import { admit, emptyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { StoredRecord, TopicDescription } from '../../ports/broker.ts'
import { CheckpointReader } from './checkpoint.ts'
import { judgeLogs, type LostEnds } from './lost-logs.ts'
import type { ProducerParts } from './parts.ts'
import { SLACK_MS } from './routes.ts'
import { Shard, type Tail } from './shard.ts'

/** What a former ownership of this process had sent and not seen acknowledged. */
export interface FormerOwnership {
  readonly epoch: number
  readonly expected: Readonly<Record<Channel, number>>
  /** The epochs that this process has claimed since, in take-overs that were interrupted: no other owner's. */
  readonly claimed: Set<number>
  /** Per channel whose log has lost its end meanwhile: the first offset that it lost. */
  readonly lostFrom: LostEnds
}

export interface TakenShard {
  readonly shard: Shard
  /** Per channel: how many records of the former ownership landed at and after the offset it expected. */
  readonly landed: Readonly<Record<Channel, number>>
  /** Whether another process wrote between the former ownership of this one and now. */
  readonly isInterrupted: boolean
}

interface TakeOver {
  readonly taken: readonly TakenShard[]
  /** Shards that somebody else took over meanwhile. */
  readonly fenced: readonly number[]
  /** Shards with a checkpoint that this process does not understand (R23), and why. */
  readonly unreadable: ReadonlyMap<number, string>
}

/** A take-over under way, with what a reader remembers in each channel: before the checkpoint, and from there on. */
interface Taking {
  readonly shard: Shard
  readonly former: FormerOwnership | undefined
  readonly landed: Record<Channel, number>
  readonly memories: Readonly<
    Record<Channel, { readonly before: ReaderMemory; readonly after: ReaderMemory }>
  >
  isInterrupted: boolean
  isFenced: boolean
  /** Trades before this offset are gone that nobody has read; undefined where there are none, or it is known up to when they were published. */
  goneBefore: number | undefined
  /** The highest epoch of a record that was read. */
  highest: number
}

/**
 * How far before the checkpoint a topic is read for the latest known values of its markets (R11), and for what the topics of streams should hold.
 */
const LATEST_BACK = 1_000
/** More than this is not kept in memory at a take-over. */
const MOST_PENDING = 100_000

/**
 * Takes shards over (R8): the transactional id, the claim whose offset is the epoch, the checkpoint, a marker into each fixed
 * partition, and what lies between the checkpoint and the marker. One that somebody else has taken over is fenced; that
 * keeps no other.
 */
export async function takeOverShards(
  producer: ProducerParts,
  ks: readonly number[],
  former: ReadonlyMap<number, FormerOwnership>,
  signal: AbortSignal,
): Promise<TakeOver> {
  const owners = new Map<number, Ownership>()
  try {
    const fenced = await claimAll(producer, ks, owners, former, signal)
    const { taking, unreadable } = await readTails(producer, owners, former, signal)
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
 * An epoch is the offset of a claim in the registry: one beyond its end was claimed in another registry, by another platform, or before the registry was
 * made anew. What this one publishes would count for no reader. Raises PREFIX_TAKEN.
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
  // It is given up in any case: whoever takes the id over next ends what it left open.
  writer.close().catch(() => undefined)
}

/** Claims shards one by one; gives those that somebody else took over in between. */
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

/** Reads the checkpoints, writes the markers, and reads what lies between. Shards whose checkpoint is not understood are let go. */
async function readTails(
  producer: ProducerParts,
  owners: Map<number, Ownership>,
  former: ReadonlyMap<number, FormerOwnership>,
  signal: AbortSignal,
): Promise<{ readonly taking: readonly Taking[]; readonly unreadable: ReadonlyMap<number, string> }> {
  const { topics, broker } = producer
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
  const markers = await writeMarkers(producer, owners, signal)
  const taking = new Map<number, Taking>()
  for (const [k, ownership] of owners) {
    const { checkpoint, windows } = checkpoints.get(k) ?? new CheckpointReader()
    const ofShard = markers.get(k) as Record<Channel, number>
    const { restored, logs, lost } = judgeLogs(producer, k, checkpoint, shown, ofShard, former.get(k))
    taking.set(k, beginTaking(new Shard(k, ownership, restored, ofShard, windows, logs, lost), former.get(k)))
  }

  const channelOf = new Map(CHANNELS.map((channel) => [topics[channel], channel]))
  const find = (topic: string, partition: number) => ({
    channel: channelOf.get(topic),
    entry: taking.get(partition),
  })
  const ranges = [...taking.values()].flatMap(({ shard }) =>
    CHANNELS.map((channel) => {
      const { derivedTo, marker } = shard.tails[channel]
      const offset = Math.max(0, derivedTo - LATEST_BACK)
      return { topic: topics[channel], partition: shard.k, offset, end: marker + 1 }
    }),
  )
  /** Streams that the checkpoint had further back are behind now, and find the hole when they read on. */
  const leaveHole = (topic: string, partition: number, next: number): void => {
    const { channel, entry } = find(topic, partition)
    if (channel === undefined || entry === undefined) return
    const tail = entry.shard.tails[channel]
    if (next <= tail.derivedTo) return
    if (channel === 'trade') entry.goneBefore = next
    tail.pending = []
    tail.derivedTo = next
  }
  await readRanges(
    broker,
    ranges,
    (fetch) => {
      const { channel, entry } = find(fetch.topic, fetch.partition)
      if (channel === undefined || entry === undefined) return
      for (const record of fetch.records) takeRecord(producer, entry, channel, record)
    },
    signal,
    (topic, partition, earliest) => leaveHole(topic, partition, earliest),
    ({ topic, partition, nextOffset }) => {
      leaveHole(topic, partition, nextOffset)
      const { channel, entry } = find(topic, partition)
      if (channel === undefined || entry?.former === undefined) return
      // What this process has in hand may lie in it, and others may have read it: it is judged anew.
      if (nextOffset > entry.former.expected[channel]) entry.isInterrupted = true
    },
  )
  for (const { shard, goneBefore } of taking.values()) {
    for (const channel of CHANNELS) limitPending(shard.tails[channel])
    if (goneBefore !== undefined) shard.missTrades(producer.now() * 1_000)
  }
  return { taking: [...taking.values()], unreadable }
}

/** All fixed topics. What the broker does not show, or not whole, is away, and nobody concludes anything from it. Raises TOPIC_MISSING. */
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

function beginTaking(shard: Shard, former: FormerOwnership | undefined): Taking {
  const { k, restored, lost } = shard
  const epochAt = (channel: Channel): number => restored.epochs[channel] ?? -1
  const memories = Object.fromEntries(
    CHANNELS.map((channel) => [
      channel,
      { before: emptyMemory(), after: { ...emptyMemory(), epochs: { [k]: epochAt(channel) } } },
    ]),
  ) as Taking['memories']
  // A checkpoint of a later owner: what that one wrote may lie before it, and is not read.
  // What landed in a log that is not what it was cannot be told by offsets: it is judged by what the windows know.
  const isInterrupted =
    former !== undefined && (lost.size > 0 || CHANNELS.some((channel) => isOthers(former, epochAt(channel))))
  const { ownedSince } = restored
  if (ownedSince !== undefined) shard.noteOwner(former !== undefined && !isInterrupted, ownedSince)
  const landed = { trade: 0, quote: 0, candle: 0, book: 0, status: 0 }
  return {
    shard,
    former,
    memories,
    landed,
    isInterrupted,
    isFenced: false,
    goneBefore: goneIn(shard),
    highest: -1,
  }
}

/** Where the topic of trades begins anew, or has lost its end. */
function goneIn({ lost, restored }: Shard): number | undefined {
  const found = lost.get('trade')
  if (found === undefined) return undefined
  return found.code === 'TOPIC_REPLACED' ? (restored.positions.trade ?? 0) : found.at
}

/** Whether an epoch is that of an owner after this process, and none that it claimed itself. */
function isOthers({ epoch, claimed }: FormerOwnership, other: number): boolean {
  return other > epoch && !claimed.has(other)
}

function isOwn({ shard, former }: Taking, epoch: number): boolean {
  return epoch === shard.epoch || epoch === former?.epoch || former?.claimed.has(epoch) === true
}

function takeRecord({ log }: ProducerParts, taking: Taking, channel: Channel, record: StoredRecord): void {
  const { shard, former, landed, memories } = taking
  const { epoch = -1 } = record.headers
  if (epoch > shard.epoch) taking.isFenced = true
  taking.highest = Math.max(taking.highest, epoch)
  const { owners } = shard.tails[channel]
  if (epoch > (owners.at(-1)?.epoch ?? -1)) owners.push({ epoch, offset: record.offset })
  if (channel === 'trade') {
    if (epoch >= 0 && epoch <= shard.epoch) shard.noteOwner(isOwn(taking, epoch), record.timestamp * 1_000)
    // What lay in front of it was published before.
    if (taking.goneBefore !== undefined && record.offset >= taking.goneBefore) {
      shard.missTrades(record.timestamp * 1_000)
      taking.goneBefore = undefined
    }
  }
  if (former && isOthers(former, epoch)) taking.isInterrupted = true
  const isDerived = record.offset < (shard.restored.positions[channel] ?? 0)
  const memory = isDerived ? memories[channel].before : memories[channel].after
  if (!admit(memory, record.headers) || record.value === null) return
  if (former && epoch === former.epoch && record.offset >= former.expected[channel]) landed[channel]++
  try {
    const event = decodeEvent(channel, record.value, record.headers.v)
    const market = marketKey(event)
    if (channel === 'trade' && !isDerived) {
      shard.window(market).remember(event as Trade)
      shard.changed.add(market)
    }
    if (record.headers.reentering) return
    const tail = shard.tails[channel]
    const published = { offset: record.offset, market, event, value: record.value }
    if (isDerived) {
      tail.before.set(market, { offset: record.offset, at: record.timestamp, event })
      if (record.timestamp >= shard.restored.at - SLACK_MS) tail.recentFrom ??= record.offset
    }
    if (!isDerived && tail.pending.length < MOST_PENDING) tail.pending.push(published)
    if (hasLatestValue(channel)) tail.latest.set(market, published)
  } catch (error) {
    log.warn(
      { offset: record.offset, channel, code: toTapelineError(error).code },
      'a record cannot be derived',
    )
  }
}

/** With too much in hand the streams count as behind, and read it from the log piece by piece. */
function limitPending(tail: Tail): void {
  if (tail.pending.length < MOST_PENDING) return
  tail.pending = []
  tail.derivedTo = tail.expected
}

async function readCheckpoints(
  { broker, names }: ProducerParts,
  ks: readonly number[],
  signal: AbortSignal,
): Promise<Map<number, CheckpointReader>> {
  const readers = new Map(ks.map((k) => [k, new CheckpointReader()]))
  const topic = await findTopic(broker, names.checkpoints, signal)
  const ranges = ks.map((k) => {
    const { earliest, end } = topic?.offsets[k] ?? { earliest: 0, end: 0 }
    return { topic: names.checkpoints, partition: k, offset: earliest, end }
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
