import { withDeadline } from '../../async/deadline.ts'
import { type ReadRange, readRanges } from '../../control/read-range.ts'
import { type Channel, hasLatestValue } from '../../domain/events.ts'
import {
  admit,
  emptyMemory,
  isOfFormerOwner,
  type Place,
  placeBefore,
  type ReaderMemory,
} from '../../domain/reader-rules.ts'
import type { OutgoingRecord, StoredRecord } from '../../ports/broker.ts'
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

/** A topic that may hold records of these shards already. */
export interface HeldTopic {
  readonly route: Route
  readonly shards: readonly Shard[]
}

export interface ReadTopic extends HeldTopic {
  readonly from: number
  readonly earliest: number
  readonly retentionMs: number
  /** The shards of which retention may have removed records that nobody knows of. */
  readonly expired: ReadonlySet<Shard>
}

export function markerOf(shard: Shard): OutgoingRecord {
  return { key: null, value: null, headers: shard.markerHeaders }
}

export function ownProgress(
  route: Route,
  shards: readonly Shard[],
): { readonly shard: Shard; readonly progress: Progress }[] {
  return shards.flatMap((shard) => {
    const progress = route.progress.get(shard.k)
    return progress === undefined ? [] : [{ shard, progress }]
  })
}

/** What was read of the topic of a stream. */
interface Held {
  readonly memory: ReaderMemory
  /** By fixed partition: the last position that a former owner derived, and under which epoch. */
  readonly byFormer: Map<number, { readonly offset: number; readonly epoch: number }>
  /** By fixed partition: where it began anew the last time. All in front of that is held, or not due. */
  readonly begins: Map<number, number>
  /** Where the topic went on after it had lost its end; undefined where it has not. */
  readonly lostFrom: number | undefined
  /** By fixed partition: the last position in front of that place. */
  readonly inFront: Map<number, number>
  /** Whether there are records that nobody can read. */
  isRotten: boolean
}

/** Reads what topics hold; gives the streams that have to begin anew. */
export async function readHeld(
  producer: ProducerParts,
  routes: Routes,
  chunk: readonly ReadTopic[],
  signal: AbortSignal,
): Promise<readonly Route[]> {
  const { broker, log } = producer
  const entries = chunk.map(({ route, shards }) => ({
    ...{ topic: route.topic, topicId: route.topicId, partition: 0, shared: true as const },
    records: shards.map(markerOf),
  }))
  const acks = await withDeadline(signal, SEND_TIMEOUT_MS, (deadline) => broker.publish(entries, deadline))
  const ranges = chunk.map((each, i): ReadRange => {
    const { route, shards, from, earliest } = each
    const baseOffset = acks[i]?.baseOffset ?? 0
    routes.acknowledge(route, baseOffset, shards.length)
    // Up to the own marker: the first of them lies there, and what is behind it is of others, or not of before.
    const end = baseOffset + 1
    const lostFrom = wentOnAt(each)
    const first = lostFrom === undefined ? from : Math.min(from, Math.max(earliest, lostFrom - LOST_BACK))
    return { topic: route.topic, partition: 0, offset: Math.min(first, end), end }
  })
  const found = new Map(
    chunk.map((each) => {
      const held: Held = {
        ...{ memory: emptyMemory(), byFormer: new Map(), begins: new Map(), inFront: new Map() },
        ...{ lostFrom: wentOnAt(each), isRotten: false },
      }
      return [each.route.topic, { each, held }]
    }),
  )
  await readRanges(
    broker,
    ranges,
    ({ topic, records }) => {
      const { each, held } = found.get(topic) ?? {}
      if (each && held) for (const record of records) takeHeld(producer, each, held, record)
    },
    signal,
    undefined,
    ({ topic, offset, nextOffset, reason }) => {
      const { held } = found.get(topic) ?? {}
      if (held) held.isRotten = true
      // Its readers get a reset by what they meet there themselves; what lay in it comes again where it is behind the checkpoint.
      log.error(
        { topic, offset, nextOffset, code: 'BATCH_UNDECODABLE', reason },
        'what a stream holds cannot be read',
      )
    },
  )
  const anew = new Set<Route>()
  for (const { each, held } of found.values())
    for (const { shard, progress } of ownProgress(each.route, each.shards)) {
      if (judge(producer, each, held, shard, progress)) anew.add(each.route)
      // What follows a lost end is told already where the topic holds any of it.
      if (heldOf(producer, each.route, held, shard) >= (progress.again?.from ?? 0)) progress.again = undefined
      progress.sentAt = undefined
      progress.lostFrom = undefined
      progress.isRead = true
      progress.held =
        progress.anew === undefined ? placeHeld(producer, each.route, held, shard) : NOTHING_HELD
      progress.prepared = true
    }
  return [...anew]
}

/** Where the topic of a stream went on after it had lost its end; undefined where it has not. */
function wentOnAt({ route, shards }: HeldTopic): number | undefined {
  const all = ownProgress(route, shards).flatMap(({ progress }) => progress.lostFrom ?? [])
  return all.length === 0 ? undefined : Math.min(...all)
}

function takeHeld(
  { topics }: ProducerParts,
  { route, shards }: ReadTopic,
  { memory, byFormer, begins, inFront, lostFrom = 0 }: Held,
  { headers, offset }: StoredRecord,
): void {
  const isFormer = isOfFormerOwner(memory, headers)
  const isCounted = admit(memory, headers)
  const { kind, position, epoch = -1 } = headers
  if (position?.topic !== topics[route.channel] || position === undefined || isFormer) return
  const { partition } = position
  // Readers are told already that what came before does not count.
  if (kind === 'marker') {
    byFormer.delete(partition)
    begins.set(partition, position.offset)
  } else if (!isCounted) return
  const last = kind === 'marker' ? position.offset - 1 : position.offset
  if (offset < lostFrom) inFront.set(partition, last)
  // What this owner has derived itself, in a step of unknown outcome, tells nothing of the log before it.
  const own = shards.find(({ k }) => k === partition)?.epoch ?? -1
  if (epoch < own) byFormer.set(partition, { offset: last, epoch })
}

function placeHeld({ topics }: ProducerParts, { channel }: Route, held: Held, { k }: Shard): Place {
  const begin = held.begins.get(k)
  return held.memory.positions[topics[channel]]?.[k] ?? (begin ? placeBefore(begin) : NOTHING_HELD)
}

function heldOf(producer: ProducerParts, route: Route, held: Held, shard: Shard): number {
  return placeHeld(producer, route, held, shard)[0]
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
    const reason = `partition ${shard.k} of ${topics[route.channel]} has lost its end: the stream held ${last}, and it went on at ${next}`
    return begin({ reason }, next)
  }
  const left = leftOf(producer, each, held, shard, progress)
  if (left !== undefined) {
    const reason = 'the topic of the stream has lost its end: what was lost follows again'
    if (left < 0 && hasLatestValue(route.channel)) progress.latestDue = true
    return begin({ reason }, left < 0 ? beginOf(each.route, shard, progress) : left + 1)
  }
  const isGone = expired.has(shard) && last < 0
  const isLost = lostEndsOf(route, shard).length > 0
  if (isGone || (held.isRotten && !progress.isRead && isLost)) {
    const { marker, derivedTo } = shard.tails[route.channel]
    const why = isGone ? GONE : UNREADABLE
    const reason = `what the stream held of shard ${shard.k} ${why} before it was known how far it was`
    // Its readers may be further than the fixed topic, which has lost its end: nobody knows how far.
    const before = isLost ? undefined : progress.sentAt === undefined ? marker : derivedTo
    return begin(
      { reason, ...(before !== undefined && { before }), ...(isGone && { since: knownAt(progress, shard) }) },
      progress.behind,
    )
  }
  return false
}

/** Where a stream begins anew whose topic has nothing left of a shard: what was derived in the last minute before the checkpoint comes again. */
function beginOf(route: Route, shard: Shard, { notBefore, isCovered }: Progress): number {
  const { recentFrom = notBefore } = shard.tails[route.channel]
  return isCovered ? Math.min(notBefore, Math.max(recentFrom, startOf(route, shard))) : notBefore
}

/** The last fixed offset that a topic has left of a shard which has lost its end, -1 where it has none; undefined where it has lost nothing. */
function leftOf(
  producer: ProducerParts,
  { route, earliest, retentionMs }: ReadTopic,
  held: Held,
  shard: Shard,
  { last, lostFrom, isRead }: Progress,
): number | undefined {
  if (lostFrom !== undefined) return held.inFront.get(shard.k) ?? -1
  if (isRead || last === undefined || held.isRotten) return undefined
  // What it holds was read from there on.
  if (last.at < shard.restored.at - SLACK_MS) return undefined
  const left = heldOf(producer, route, held, shard)
  if (left >= last.offset) return undefined
  // Where it holds nothing of the shard retention may have removed it.
  return left >= 0 || earliest === 0 || last.at + retentionMs > producer.now() ? left : undefined
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
