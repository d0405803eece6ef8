import { withDeadline } from '../../async/deadline.ts'
import { type ReadRange, readRanges } from '../../control/read-range.ts'
import { presenceOf } from '../../control/topic-presence.ts'
import type { Channel } from '../../domain/events.ts'
import { admit, emptyMemory, isOfFormerOwner } from '../../domain/reader-rules.ts'
import type { OutgoingRecord, TopicDescription } from '../../ports/broker.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import { knownAt, type Progress, type Route, SLACK_MS, startOf } from './routes.ts'
import type { Shard } from './shard.ts'

/** How long one publish to dynamic topics may take: so long may one that cannot be written hold up the fixed ones (R3). */
export const SEND_TIMEOUT_MS = 5_000
/** And how many records before that, to learn the epochs that count there. */
const SLACK_RECORDS = 2_000
/** How many records are read in one go: what was read up to there is kept when a deadline ends the rest. */
const CHUNK_RECORDS = 50_000
/** And how many topics are looked at in one go. */
const CHUNK_TOPICS = 100
/** After so long in one step the streams that are not prepared yet wait for the next one: many of them take many seconds. */
const STEP_MS = 2_000

/** What a step has left for preparing streams. */
export interface PreparationStep {
  /** Begins the next chunk; gives false where the step has no time left for it. The first one always begins. */
  beginChunk(): boolean
}

export function beginPreparationStep(): PreparationStep {
  const end = performance.now() + STEP_MS
  let chunks = 0
  return { beginChunk: () => chunks++ === 0 || performance.now() < end }
}

interface Prepared {
  /** The markers that are still to be written in front of the records. */
  readonly markers: ReadonlyMap<Route, readonly OutgoingRecord[]>
  /** Streams for which the step had no time, or that have to begin anew: nothing may be written into their topics yet. */
  readonly late: readonly Route[]
  /** Streams whose topic the broker does not show, or shows under another identity. */
  readonly missing: readonly Route[]
}

/**
 * Prepares dynamic topics for the first records of this owner (R8): a marker of each shard, and what the topic holds already. A
 * stream that this owner was there before cannot hold anything of others that counts, so its topic need not be read and its marker
 * travels with its records, unless this owner does not know what became of its own.
 */
export async function prepareTopics(
  producer: ProducerParts,
  ownership: ShardOwnership,
  wanted: readonly Route[],
  step: PreparationStep,
  signal: AbortSignal,
): Promise<Prepared> {
  const markers = new Map<Route, readonly OutgoingRecord[]>()
  const toRead: HeldTopic[] = []
  for (const route of wanted) {
    const unprepared = [...ownership.shards.values()].filter(
      (shard) => route.progress.get(shard.k)?.prepared === false,
    )
    if (unprepared.length === 0) continue
    if (unprepared.some((shard) => mayHold(route, shard))) toRead.push({ route, shards: unprepared })
    else markers.set(route, unprepared.map(markerOf))
  }
  return { markers, ...(await readInChunks(producer, toRead, step, signal)) }
}

/**
 * Whether a topic may hold records of a shard: its stream started before this owner's marker, or was there before this owner, or this owner does
 * not know what became of its own. Where the fixed topic has lost its end one of before starts behind the marker all the same.
 */
function mayHold(route: Route, shard: Shard): boolean {
  if (route.progress.get(shard.k)?.sentAt !== undefined) return true
  return startOf(route, shard) <= shard.tails[route.channel].marker || route.readyOffset < shard.epoch
}

function markerOf(shard: Shard): OutgoingRecord {
  return { key: null, value: null, headers: shard.markerHeaders }
}

/** A topic that may hold records of these shards already. */
interface HeldTopic {
  readonly route: Route
  readonly shards: readonly Shard[]
}

interface ReadTopic extends HeldTopic {
  readonly from: number
  /** The shards of which retention may have removed records that nobody knows of. */
  readonly expired: ReadonlySet<Shard>
}

/** Reads what topics hold, as many as the step has time for; gives the streams of the others. */
async function readInChunks(
  producer: ProducerParts,
  topics: readonly HeldTopic[],
  step: PreparationStep,
  signal: AbortSignal,
): Promise<Pick<Prepared, 'late' | 'missing'>> {
  const missing: Route[] = []
  const anew: Route[] = []
  let read = 0
  while (read < topics.length && step.beginChunk()) {
    const asked = topics.slice(read, read + CHUNK_TOPICS)
    const described = await describeTopics(producer, asked, signal)
    const chunk: ReadTopic[] = []
    let records = 0
    for (const each of asked) {
      if (records >= CHUNK_RECORDS) break
      read++
      const description = described.get(each.route.topic)
      const expected = { topicId: each.route.topicId, isOver: false }
      if (description === undefined || presenceOf(expected, description.id) !== 'there') {
        missing.push(each.route)
        continue
      }
      const from = await startOfReading(producer, each, description, signal)
      chunk.push({ ...each, from, expired: await expiredIn(producer, each, description, signal) })
      records += (description.offsets[0]?.end ?? 0) - from
    }
    if (chunk.length > 0) anew.push(...(await readHeld(producer, chunk, signal)))
  }
  return { late: [...topics.slice(read).map(({ route }) => route), ...anew], missing }
}

async function describeTopics(
  { broker }: ProducerParts,
  asked: readonly HeldTopic[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, TopicDescription>> {
  const names = asked.map(({ route }) => route.topic)
  const found = await withDeadline(signal, SEND_TIMEOUT_MS, (deadline) =>
    broker.describeTopics(names, deadline),
  )
  return new Map(found.map((description) => [description.name, description]))
}

async function startOfReading(
  { broker }: ProducerParts,
  { route, shards }: HeldTopic,
  { offsets }: TopicDescription,
  signal: AbortSignal,
): Promise<number> {
  const oldest = Math.min(
    ...ownProgress(route, shards).map(({ shard, progress }) => knownAt(progress, shard)),
  )
  const since = await broker.offsetAt(route.topic, 0, Math.max(0, oldest - SLACK_MS), signal)
  return Math.max(offsets[0]?.earliest ?? 0, since - SLACK_RECORDS)
}

function ownProgress(
  route: Route,
  shards: readonly Shard[],
): { readonly shard: Shard; readonly progress: Progress }[] {
  return shards.flatMap((shard) => {
    const progress = route.progress.get(shard.k)
    return progress === undefined ? [] : [{ shard, progress }]
  })
}

/**
 * The shards of which a topic may have held records after it was last known what it holds, and retention has removed them: it keeps records
 * for less time than that is ago, and all that it holds is younger. Where it holds any of the shard, the highest tells all the same.
 */
async function expiredIn(
  { broker, now }: ProducerParts,
  { route, shards }: HeldTopic,
  { offsets, retentionMs = Number.POSITIVE_INFINITY }: TopicDescription,
  signal: AbortSignal,
): Promise<ReadonlySet<Shard>> {
  const earliest = offsets[0]?.earliest ?? 0
  const expired = new Set<Shard>()
  if (earliest === 0) return expired
  for (const { shard, progress } of ownProgress(route, shards)) {
    const at = knownAt(progress, shard)
    const isKnown = progress.isRead && progress.sentAt === undefined
    if (isKnown || now() - at < retentionMs - SLACK_MS) continue
    const since = await broker.offsetAt(route.topic, 0, Math.max(0, at - SLACK_MS), signal)
    if (since <= earliest) expired.add(shard)
  }
  return expired
}

/** Reads what topics hold; gives the streams that have to begin anew. */
async function readHeld(
  producer: ProducerParts,
  chunk: readonly ReadTopic[],
  signal: AbortSignal,
): Promise<readonly Route[]> {
  const { broker, topics } = producer
  const anew = new Set<Route>()
  const entries = chunk.map(({ route, shards }) => ({
    ...{ topic: route.topic, topicId: route.topicId, partition: 0, shared: true as const },
    records: shards.map(markerOf),
  }))
  const acks = await withDeadline(signal, SEND_TIMEOUT_MS, (deadline) => broker.publish(entries, deadline))
  const ranges = chunk.map(({ route, from }, i): ReadRange => {
    // Up to the own marker: the first of them lies there, and what is behind it is of others, or not of before.
    const end = (acks[i]?.baseOffset ?? 0) + 1
    return { topic: route.topic, partition: 0, offset: Math.min(from, end), end }
  })
  const memories = new Map(chunk.map(({ route }) => [route.topic, emptyMemory()]))
  const ownEpochs = new Map(chunk.flatMap(({ shards }) => shards.map(({ k, epoch }) => [k, epoch] as const)))
  /** By topic and fixed partition: the last position that a former owner derived, and under which epoch. */
  const heldBefore = new Map<string, { readonly offset: number; readonly epoch: number }>()
  await readRanges(
    broker,
    ranges,
    ({ topic, records }) => {
      const memory = memories.get(topic)
      if (memory === undefined) return
      for (const { headers } of records) {
        const isFormer = isOfFormerOwner(memory, headers)
        const isCounted = admit(memory, headers)
        const { kind, position, epoch = -1 } = headers
        if (position === undefined || isFormer) continue
        const place = `${topic}:${position.topic}:${position.partition}`
        // Readers are told already that what came before does not count.
        if (kind === 'marker') heldBefore.delete(place)
        // What this owner has derived itself, in a step of unknown outcome, tells nothing of the log before it.
        if (isCounted && epoch < (ownEpochs.get(position.partition) ?? -1))
          heldBefore.set(place, { offset: position.offset, epoch })
      }
    },
    signal,
  )
  for (const { route, shards, expired } of chunk) {
    for (const { shard, progress } of ownProgress(route, shards)) {
      const { positions, epochs } = memories.get(route.topic) ?? emptyMemory()
      const held = positions[topics[route.channel]]?.[shard.k]?.[0] ?? -1
      // What a later owner has derived is no sign of a loss: this one is a zombie.
      const isLatest = (epochs[shard.k] ?? -1) <= shard.epoch
      const before = heldBefore.get(`${route.topic}:${topics[route.channel]}:${shard.k}`)
      const next = firstNew(shard, route.channel, before?.epoch ?? -1)
      if (!progress.isRead && isLatest && progress.anew === undefined && (before?.offset ?? -1) >= next) {
        const reason = `partition ${shard.k} of ${topics[route.channel]} has lost its end: the stream held ${held}, and it went on at ${next}`
        progress.anew = { reason }
        progress.behind = next
        producer.log.error(
          { topic: route.topic, shard: shard.k, code: 'OFFSET_OUT_OF_RANGE' },
          'a stream begins anew: the fixed topic has lost its end',
        )
        anew.add(route)
      }
      if (expired.has(shard) && held < 0 && isLatest && progress.anew === undefined) {
        const { marker, derivedTo } = shard.tails[route.channel]
        const reason = `what the stream held of shard ${shard.k} is gone: retention removed it before it was known how far it was`
        const before = progress.sentAt === undefined ? marker : derivedTo
        progress.anew = { reason, before, since: knownAt(progress, shard) }
        anew.add(route)
      }
      progress.sentAt = undefined
      progress.isRead = true
      progress.held = progress.anew === undefined ? held : -1
      progress.prepared = true
    }
  }
  return [...anew]
}

/**
 * The first offset of a fixed partition that an owner of an epoch cannot have derived: a later one begins there, or before. Where a stream holds it
 * all the same, the log has lost its end, and its offsets come a second time.
 */
function firstNew({ tails, lost }: Shard, channel: Channel, epoch: number): number {
  const { marker, owners } = tails[channel]
  const later = owners.find((owner) => owner.epoch > epoch)?.offset ?? marker
  const found = lost.get(channel)
  return found?.code === 'OFFSET_OUT_OF_RANGE' ? Math.min(found.at, later) : later
}
