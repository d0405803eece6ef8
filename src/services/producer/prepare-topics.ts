import { withDeadline } from '../../async/deadline.ts'
import { presenceOf } from '../../control/topic-presence.ts'
import type { OutgoingRecord, TopicDescription } from '../../ports/broker.ts'
import { type HeldTopic, ownProgress, type ReadTopic } from './held.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import { markerOf, readHeld, SEND_TIMEOUT_MS } from './read-held.ts'
import { knownAt, type Route, SLACK_MS, startOf } from './route.ts'
import type { Routes } from './routes.ts'
import type { Shard } from './shard.ts'

/** In doubt so many records more are read than those that may tell something, to learn the epochs that count there. */
const SLACK_RECORDS = 2_000
/** How many records one chunk reads. A deadline that ends the next chunk takes nothing from this one. */
const CHUNK_RECORDS = 50_000
/** And at how many topics one chunk looks. */
const CHUNK_TOPICS = 500
/** After so long the remaining streams wait for the next step: many of them take many seconds. */
const STEP_MS = 2_000

/** The time that a step has for preparing streams. */
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
  /** The markers to write in front of the records. */
  readonly markers: ReadonlyMap<Route, readonly OutgoingRecord[]>
  /** Streams for which the step had no time, or that begin anew: nobody may write into their topics yet. */
  readonly late: readonly Route[]
  /** Streams whose topic the broker does not show, or shows under another identity. */
  readonly missing: readonly Route[]
}

/**
 * Prepares dynamic topics for the first records of this owner (R8): writes a marker of each shard, and reads what the topic holds already. The
 * topic of a stream that began under this owner holds nothing of other owners that counts. So it need not be read, and the marker travels with the
 * records; unless this owner does not know what became of records of its own.
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
  return { markers, ...(await readInChunks(producer, ownership.routes, toRead, step, signal)) }
}

/**
 * Whether a topic may hold records of a shard: its stream starts before this owner's marker, or is older than this owner, or this owner does
 * not know what became of its own records. Where a fixed topic has lost its end, an older stream may start after the marker.
 */
export function mayHold(route: Route, shard: Shard): boolean {
  if (route.progress.get(shard.k)?.sentAt !== undefined) return true
  return startOf(route, shard) <= shard.tails[route.channel].marker || route.readyOffset < shard.epoch
}

/** Reads what topics hold, as many as the step has time for, and gives the streams of the others. */
async function readInChunks(
  producer: ProducerParts,
  routes: Routes,
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
    // All at once: one after the other they would take longer than all else that a chunk does.
    const places = await Promise.all(
      asked.map((each) => placeOf(producer, each, described.get(each.route.topic), signal)),
    )
    const chunk: ReadTopic[] = []
    let records = 0
    for (const [i, each] of asked.entries()) {
      if (records >= CHUNK_RECORDS) break
      read++
      const place = places[i]
      if (place === undefined) {
        missing.push(each.route)
        continue
      }
      const { toRead, ...known } = place
      chunk.push({ ...each, ...known })
      records += toRead
    }
    if (chunk.length > 0) anew.push(...(await readHeld(producer, routes, chunk, signal)))
  }
  return { late: [...topics.slice(read).map(({ route }) => route), ...anew], missing }
}

/** Where a topic is to be read from, and how many records that are; undefined where the broker does not show the topic, or another one of its name. */
async function placeOf(
  producer: ProducerParts,
  each: HeldTopic,
  description: TopicDescription | undefined,
  signal: AbortSignal,
): Promise<(Omit<ReadTopic, keyof HeldTopic> & { readonly toRead: number }) | undefined> {
  const expected = { topicId: each.route.topicId, isOver: false }
  if (description === undefined || presenceOf(expected, description.id) !== 'there') return undefined
  const [since, expired] = await Promise.all([
    startOfReading(producer, each, signal),
    expiredIn(producer, each, description, signal),
  ])
  const { offsets, retentionMs = Number.POSITIVE_INFINITY } = description
  const { earliest, end } = offsets[0] ?? { earliest: 0, end: 0 }
  const from = Math.max(earliest, since)
  const front = Math.max(earliest, since - SLACK_RECORDS)
  return { from, front, earliest, retentionMs, expired, toRead: end - from }
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
  signal: AbortSignal,
): Promise<number> {
  const oldest = Math.min(
    ...ownProgress(route, shards).map(({ shard, progress }) => knownAt(progress, shard)),
  )
  return broker.offsetAt(route.topic, 0, Math.max(0, oldest - SLACK_MS), signal)
}

/**
 * The shards whose records retention may have removed from a topic, after an owner last knew what the topic holds: the topic keeps records for
 * a shorter time than since then, and all that it holds is younger. Where the topic still holds a record of the shard, the highest one tells.
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
