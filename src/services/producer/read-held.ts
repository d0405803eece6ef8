import { withDeadline } from '../../async/deadline.ts'
import { readRanges } from '../../control/read-range.ts'
import { type Channel, hasLatestValue } from '../../domain/events.ts'
import type { OutgoingRecord } from '../../ports/broker.ts'
import { expectedAt } from './expected-at.ts'
import {
  type Held,
  type HeldTopic,
  heldOf,
  nothingHeld,
  ownProgress,
  placeHeld,
  type ReadTopic,
  takeHeld,
  wentOnAt,
} from './held.ts'
import type { ProducerParts } from './parts.ts'
import {
  type Anew,
  freshWindows,
  knownAt,
  lostEndsOf,
  NOTHING_HELD,
  type Progress,
  type Route,
  SLACK_MS,
  startOf,
} from './route.ts'
import type { Routes } from './routes.ts'
import type { Shard } from './shard.ts'

/** How long one publish to dynamic topics may take: so long may one that cannot be written hold up the fixed ones (R3). */
export const SEND_TIMEOUT_MS = 5_000
/** So many records in front of the place where a topic has lost its end tell how far it was. */
const LOST_BACK = 20_000

const GONE = 'is gone: retention removed it'
const UNREADABLE = 'became unreadable'

export function markerOf(shard: Shard): OutgoingRecord {
  return { key: null, value: null, headers: shard.markerHeaders }
}

/** A topic, and what is to be read of it. */
interface Reading {
  readonly each: ReadTopic
  readonly offset: number
  readonly end: number
}

/** Reads what topics hold; gives the streams that have to begin anew. */
export async function readHeld(
  producer: ProducerParts,
  routes: Routes,
  chunk: readonly ReadTopic[],
  signal: AbortSignal,
): Promise<readonly Route[]> {
  const entries = chunk.map(({ route, shards }) => ({
    ...{ topic: route.topic, topicId: route.topicId, partition: 0, shared: true as const },
    records: expectedAt(route.end, shards.map(markerOf)),
  }))
  const acks = await withDeadline(signal, SEND_TIMEOUT_MS, (deadline) =>
    producer.broker.publish(entries, deadline),
  )
  const readings = chunk.map((each, i): Reading => {
    const { route, shards, from, front, earliest } = each
    const baseOffset = acks[i]?.baseOffset ?? 0
    routes.acknowledge(route, baseOffset, shards.length)
    // Up to the own marker: the first of them lies there, and what comes after it is of others, or not of before.
    const end = baseOffset + 1
    const lostFrom = wentOnAt(each)
    const begin = isAnyLost(each) ? front : from
    const first = lostFrom === undefined ? begin : Math.min(begin, Math.max(earliest, lostFrom - LOST_BACK))
    return { each, offset: Math.min(first, end), end }
  })
  const found = await readAll(producer, readings, signal)
  const doubtful = readings.filter(
    ({ each, offset }) => each.front < offset && isInDoubt(producer, each, found.get(each.route.topic)),
  )
  const again = doubtful.map((reading) => ({ ...reading, offset: reading.each.front }))
  for (const [topic, held] of await readAll(producer, again, signal)) found.set(topic, held)
  const anew = new Set<Route>()
  for (const each of chunk) {
    const held = found.get(each.route.topic) ?? nothingHeld(each, false)
    for (const { shard, progress } of ownProgress(each.route, each.shards)) {
      if (judge(producer, each, held, shard, progress)) anew.add(each.route)
      // What follows a lost end is told already where the topic holds any of it.
      if (heldOf(producer, each.route, held, shard) >= (progress.again?.from ?? 0)) progress.again = undefined
      progress.sentAt = undefined
      if (progress.anew === undefined) progress.lostFrom = undefined
      progress.isRead = true
      progress.held =
        progress.anew === undefined ? placeHeld(producer, each.route, held, shard) : NOTHING_HELD
      progress.prepared = true
    }
  }
  return [...anew]
}

/** What ranges of topics hold, by topic. */
async function readAll(
  producer: ProducerParts,
  readings: readonly Reading[],
  signal: AbortSignal,
): Promise<Map<string, Held>> {
  const { broker, log } = producer
  const found = new Map(
    readings.map(
      ({ each, offset }) => [each.route.topic, { each, held: nothingHeld(each, offset === 0) }] as const,
    ),
  )
  await readRanges(
    broker,
    readings.map(({ each, offset, end }) => ({ topic: each.route.topic, partition: 0, offset, end })),
    ({ topic, records }) => {
      const { each, held } = found.get(topic) ?? {}
      if (each && held) for (const record of records) takeHeld(producer, each, held, record)
    },
    signal,
    undefined,
    ({ topic, offset, nextOffset, reason }) => {
      const { held } = found.get(topic) ?? {}
      if (held) held.isRotten = true
      // Its readers get a reset by what they meet there themselves; what lay in it comes again where it lies after the checkpoint.
      log.error(
        { topic, offset, nextOffset, code: 'BATCH_UNDECODABLE', reason },
        'what a stream holds cannot be read',
      )
    },
  )
  return new Map([...found].map(([topic, { held }]) => [topic, held]))
}

/** Whether a log has lost its end, so that what the topic held long ago counts too. */
function isAnyLost({ route, shards }: HeldTopic): boolean {
  return ownProgress(route, shards).some(
    ({ shard, progress }) =>
      shard.lost.has(route.channel) || progress.again !== undefined || lostEndsOf(route, shard).length > 0,
  )
}

/** Whether what was read does not tell for certain what counts, or the topic may have lost something. */
function isInDoubt(producer: ProducerParts, each: ReadTopic, held: Held | undefined): boolean {
  if (held === undefined || held.isDoubtful || held.isRotten) return true
  return ownProgress(each.route, each.shards).some(
    ({ shard, progress }) => leftOf(producer, each, held, shard, progress) !== undefined,
  )
}

/** Judges whether a stream has to begin anew, and where; gives whether it has. */
function judge(
  producer: ProducerParts,
  each: ReadTopic,
  held: Held,
  shard: Shard,
  progress: Progress,
): boolean {
  const { topics, log } = producer
  const { route, expired } = each
  // What a later owner has derived is no sign of a loss: this one is a zombie.
  const isLatest = (held.memory.epochs[shard.k] ?? -1) <= shard.epoch
  if (!isLatest || progress.anew !== undefined) return false
  const last = heldOf(producer, route, held, shard)
  const begin = (anew: Anew, behind: number | undefined): true => {
    progress.anew = anew
    progress.again = undefined
    if (behind !== progress.behind)
      progress.windows = freshWindows(route, shard, behind ?? shard.tails[route.channel].derivedTo)
    progress.behind = behind
    const topic = route.topic
    log.error(
      { topic, shard: shard.k, code: 'OFFSET_OUT_OF_RANGE', reason: anew.reason },
      'a stream begins anew',
    )
    return true
  }
  const former = held.byFormer.get(shard.k)
  const next = firstNew(shard, route.channel, former?.epoch ?? -1)
  if (!progress.isRead && (former?.offset ?? -1) >= next) {
    const reason = `partition ${shard.k} of ${topics[route.channel]} has lost its end: the stream held ${former?.offset}, and it went on at ${next}`
    // Of what an earlier owner wrote behind records that nobody can read, what lies in front of that place comes again too.
    const notHeld = Math.max(last + 1, progress.behind ?? shard.tails[route.channel].derivedTo)
    return begin({ reason }, Math.min(next, notHeld))
  }
  const left = leftOf(producer, each, held, shard, progress)
  if (left !== undefined) {
    const what = held.isRotten ? 'cannot be read, or has' : 'has'
    const reason = `the topic of the stream ${what} lost its end: what was lost follows again`
    progress.lostFrom ??= held.overwritten?.at ?? held.aroundLast.get(shard.k)?.wentOn
    if (left < 0 && hasLatestValue(route.channel)) progress.latestDue = true
    return begin({ reason }, left < 0 ? beginOf(each.route, shard, progress, held) : left + 1)
  }
  const isGone = expired.has(shard) && last < 0
  const isLost = lostEndsOf(route, shard).length > 0
  if (isGone || (held.isRotten && !progress.isRead && isLost)) {
    const { derivedTo } = shard.tails[route.channel]
    const why = isGone ? GONE : UNREADABLE
    const reason = `what the stream held of shard ${shard.k} ${why} before it was known how far it was`
    // Its readers may be further than a fixed topic that has lost its end after the last checkpoint: what could tell is gone. This owner sees such a loss itself.
    const before = isLost || progress.sentAt === undefined ? undefined : derivedTo
    return begin(
      { reason, ...(before !== undefined && { before }), ...(isGone && { since: knownAt(progress, shard) }) },
      progress.behind,
    )
  }
  return false
}

/**
 * Where a stream begins anew whose topic has nothing left of a shard: at its start where all of the topic was read. Else, since what is older may be there, what was
 * derived in the last minute before the checkpoint comes again.
 */
function beginOf(route: Route, shard: Shard, { notBefore, isCovered }: Progress, { isWhole }: Held): number {
  if (!isCovered) return notBefore
  const { recentFrom = notBefore } = shard.tails[route.channel]
  return Math.min(notBefore, Math.max(isWhole ? 0 : recentFrom, startOf(route, shard)))
}

/** The last fixed offset that a topic has left of a shard which has lost its end, -1 where it has none; undefined where it has lost nothing. */
function leftOf(
  producer: ProducerParts,
  { route, earliest, retentionMs }: ReadTopic,
  held: Held,
  shard: Shard,
  { last, lostFrom, isRead }: Progress,
): number | undefined {
  if (lostFrom !== undefined && !held.told.has(shard.k)) return held.inFront.get(shard.k) ?? -1
  const inFront = held.overwritten?.inFront.get(shard.k)
  if (inFront !== undefined) return inFront
  if (isRead || last === undefined) return undefined
  // What it holds was read from there on.
  if (last.at < shard.restored.at - SLACK_MS) return undefined
  const left = leftAround(heldOf(producer, route, held, shard), last.offset, held, shard)
  if (left >= last.offset) return undefined
  // Where it holds nothing of the shard retention may have removed it.
  return left >= 0 || earliest === 0 || last.at + retentionMs > producer.now() ? left : undefined
}

/**
 * The last fixed offset that a topic holds up to one that it has held. An owner may have written in the place of a lost end and have died before it could tell:
 * then the topic holds later ones, and not this one. Where some of it cannot be read that may be among them.
 */
function leftAround(highest: number, last: number, { isRotten, aroundLast }: Held, { k }: Shard): number {
  const { isHeld = true, before = -1 } = aroundLast.get(k) ?? {}
  return highest < last || isRotten || isHeld ? highest : before
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
