import { isInPlaceOfLost } from '../../domain/fixed-markers.ts'
import { lowest } from '../../domain/lowest.ts'
import {
  admit,
  emptyMemory,
  isOfFormerOwner,
  type Place,
  placeBefore,
  type ReaderMemory,
} from '../../domain/reader-rules.ts'
import type { RecordHeaders } from '../../domain/record.ts'
import type { StoredRecord } from '../../ports/broker.ts'
import type { ProducerParts } from './parts.ts'
import { NOTHING_HELD, type Progress, type Route } from './route.ts'
import type { Shard } from './shard.ts'

/** A topic that may hold records of these shards already. */
export interface HeldTopic {
  readonly route: Route
  readonly shards: readonly Shard[]
}

/** The same with what the broker shows of it, and what is to be read. */
export interface ReadTopic extends HeldTopic {
  /** The first record that may be younger than what was last known of the topic. */
  readonly from: number
  /** Where it is read from in doubt: the records up to `from` tell which epochs count there. */
  readonly front: number
  readonly earliest: number
  readonly retentionMs: number
  /** The shards of which retention may have removed records that nobody knows of. */
  readonly expired: ReadonlySet<Shard>
}

/** How far a stream is of some shards. */
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
export interface Held {
  readonly memory: ReaderMemory
  /** By fixed partition: the last position that a former owner derived, and under which epoch. */
  readonly byFormer: Map<number, { readonly offset: number; readonly epoch: number }>
  /** By fixed partition: where it began anew the last time. All in front of that is held, or not due. */
  readonly begins: Map<number, number>
  /** Where the topic went on after it had lost its end; undefined where it has not. */
  readonly lostFrom: number | undefined
  /** By fixed partition: the last position in front of that place. */
  readonly inFront: Map<number, number>
  /** The fixed partitions of which it says behind that place that what follows the last position in front of it comes again. */
  readonly told: Set<number>
  /**
   * Where the first record lies that its owner expected further behind, and by shard the last position in front of it, while the topic does not say behind that place
   * that what follows that position comes again.
   */
  overwritten: { readonly at: number; readonly inFront: Map<number, number> } | undefined
  /** By fixed partition: what it holds around the last record that it held at the checkpoint. */
  readonly aroundLast: Map<number, AroundLast>
  /** Whether it was read from the first record that the topic ever had. */
  readonly isWhole: boolean
  /** Whether there are records that nobody can read. */
  isRotten: boolean
  /** Whether a record may count for nobody, since another owner may have followed in front of what was read. */
  isDoubtful: boolean
}

/** What a topic holds around a fixed record that it has held once. */
interface AroundLast {
  /** Whether it holds the record, or says behind it that nothing in front of a later one is due. */
  readonly isHeld: boolean
  /** The last fixed offset in front of it that the topic holds; -1 where it holds none. */
  readonly before: number
  /** Where the first record behind it lies in the topic; undefined where there is none. */
  readonly wentOn: number | undefined
}

const NOTHING_AROUND: AroundLast = { isHeld: false, before: -1, wentOn: undefined }

/** Before anything is read. */
export function nothingHeld(each: HeldTopic, isWhole: boolean): Held {
  return {
    ...{ memory: emptyMemory(), byFormer: new Map(), begins: new Map(), inFront: new Map() },
    ...{ told: new Set<number>(), aroundLast: new Map(), isWhole },
    ...{ lostFrom: wentOnAt(each), overwritten: undefined, isRotten: false, isDoubtful: false },
  }
}

/** Where the topic of a stream went on after it had lost its end; undefined where it has not. */
export function wentOnAt({ route, shards }: HeldTopic): number | undefined {
  return lowest(...ownProgress(route, shards).map(({ progress }) => progress.lostFrom))
}

/** Takes a record of the topic in. */
export function takeHeld(
  producer: ProducerParts,
  { route, shards }: ReadTopic,
  held: Held,
  record: StoredRecord,
): void {
  const { topics } = producer
  const { headers, offset } = record
  const { memory, byFormer, begins, inFront, told, aroundLast, lostFrom = 0 } = held
  const isEarlier = isOfEarlier(route, shards, headers)
  held.isDoubtful ||= isEarlier
  const isFormer = isOfFormerOwner(memory, headers)
  if (!isFormer && isInPlaceOfLost(record)) {
    const { at = offset, inFront } = held.overwritten ?? {}
    // What a loss before that one has taken is not told yet either.
    const inFrontOf = (shard: Shard) => inFront?.get(shard.k) ?? heldOf(producer, route, held, shard)
    held.overwritten = { at, inFront: new Map(shards.map((shard) => [shard.k, inFrontOf(shard)])) }
  }
  const { kind, position, epoch = -1 } = headers
  // Who has read what nobody can read now may have met the marker of a later owner there, and counts no earlier one: what such a one wrote comes again.
  const mayBeLate = isEarlier && held.isRotten
  const isCounted = !mayBeLate && admit(memory, headers)
  if (position?.topic !== topics[route.channel] || position === undefined || isFormer) return
  const { partition } = position
  if (mayBeLate) {
    // Where the fixed topic has lost it since, others come under its offset, and readers who count it have to hear of that.
    const { epoch: highest = -1 } = byFormer.get(partition) ?? {}
    if (kind === 'event' && epoch >= highest) byFormer.set(partition, { offset: position.offset, epoch })
    return
  }
  // Readers are told already that what came before does not count.
  if (kind === 'marker') {
    byFormer.delete(partition)
    begins.set(partition, position.offset)
  } else if (!isCounted) return
  const last = kind === 'marker' ? position.offset - 1 : position.offset
  if (offset < lostFrom) inFront.set(partition, last)
  else if (kind === 'marker' && isAnewBehind(last, inFront.get(partition))) told.add(partition)
  const overwritten = held.overwritten?.inFront
  if (kind === 'marker' && isAnewBehind(last, overwritten?.get(partition))) overwritten?.delete(partition)
  const expected = route.progress.get(partition)?.last?.offset
  if (expected !== undefined) {
    const around = aroundLast.get(partition) ?? NOTHING_AROUND
    aroundLast.set(partition, aroundWith(around, kind === 'marker', last, expected, offset))
  }
  // What this owner has derived itself, in a step of unknown outcome, tells nothing of the log before it.
  const own = shards.find(({ k }) => k === partition)?.epoch ?? -1
  if (epoch < own) byFormer.set(partition, { offset: last, epoch })
}

/** Whether what lies behind the last position in front of a lost end comes again after a marker: where nothing is left in front, wherever that begins. */
function isAnewBehind(last: number, inFront = -1): boolean {
  return inFront < 0 || last <= inFront
}

/** What is known around a record after one more: `last` is its fixed offset, or the last one in front of a marker behind which all comes again. */
function aroundWith(
  around: AroundLast,
  isMarker: boolean,
  last: number,
  expected: number,
  offset: number,
): AroundLast {
  if (isMarker) return { isHeld: last >= expected, before: Math.min(last, around.before), wentOn: undefined }
  if (last < expected) return { ...around, before: last }
  if (last === expected) return { ...around, isHeld: true }
  return { ...around, wentOn: around.wentOn ?? offset }
}

/** Whether a record is of an owner in front of the last one: in the topic the marker of a later one may lie in front of it. */
function isOfEarlier(
  route: Route,
  shards: readonly Shard[],
  { shard: k, epoch = -1 }: RecordHeaders,
): boolean {
  const shard = shards.find((each) => each.k === k)
  return shard !== undefined && epoch < shard.formerEpoch(route.channel)
}

/** The last place of a shard that the topic holds. */
export function placeHeld({ topics }: ProducerParts, { channel }: Route, held: Held, { k }: Shard): Place {
  const begin = held.begins.get(k)
  return held.memory.positions[topics[channel]]?.[k] ?? (begin ? placeBefore(begin) : NOTHING_HELD)
}

/** The fixed offset of that place; -1 where it holds none. */
export function heldOf(producer: ProducerParts, route: Route, held: Held, shard: Shard): number {
  return placeHeld(producer, route, held, shard)[0]
}
