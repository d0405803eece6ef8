import {
  admit,
  copyMemory,
  emptyMemory,
  isLater,
  isOfFormerOwner,
  positionsAhead,
  type ReaderMemory,
  raise,
} from '../../domain/reader-rules.ts'
import { partitionKey } from '../../domain/record.ts'
import { isBeyond, type SeamBound } from '../../domain/seam.ts'
import type { StoredRecord } from '../../ports/broker.ts'
import type { Leg } from './legs.ts'

/** So many records in front of a place tell whether it is the one that a cursor means. */
export const FRONT_RECORDS = 100

/** Why who goes on there is told `reset` where it is not. */
export const OTHER_IN_FRONT =
  'the log has lost its end, and others came in its place: what lies before this place may be new'

/** Whether one memory knows a later record of some fixed partition than the other, of those that both know; only of some partitions, where these are given. */
export function isAhead(one: ReaderMemory, other: ReaderMemory, among?: ReadonlySet<string>): boolean {
  return Object.entries(one.positions).some(([topic, partitions]) =>
    Object.entries(partitions).some(([partition, place]) => {
      if (among?.has(partitionKey({ topic, partition: Number(partition) })) === false) return false
      const known = other.positions[topic]?.[Number(partition)]
      return known !== undefined && isLater(place, known)
    }),
  )
}

/** Whether one memory knows all that another knows: no epoch and no place of the other is higher, or of a shard that it does not know. */
export function knowsAllOf(one: ReaderMemory, other: ReaderMemory): boolean {
  const isLower = ([shard, epoch]: [string, number]): boolean => (one.epochs[Number(shard)] ?? -1) < epoch
  if (Object.entries(other.epochs).some(isLower)) return false
  return positionsAhead(other.positions, one) === undefined
}

/**
 * What lies in front of the place where an application goes on, beside what it remembers. Where there is a later record of a fixed partition than
 * the last one that it got, the log is not the one that it has read: it has lost its end and has grown again. So it is where it has a record of an owner that the
 * application has met nothing of, and where the log says that a fixed partition begins anew, and holds an earlier record after that than the last one that it got.
 */
export class PlaceInFront {
  readonly #remembered: ReaderMemory
  readonly #offset: number
  readonly #found: ReaderMemory
  /** What lies beyond it was passed over, and is not remembered. */
  readonly #bound: SeamBound | undefined
  readonly #leg: Pick<Leg, 'begin' | 'before'>
  /** The fixed partitions of which all is known that lies in front since they began anew. */
  readonly #exact = new Set<string>()
  #isOfUnknownOwner = false

  constructor(
    remembered: ReaderMemory,
    offset: number,
    leg: Pick<Leg, 'begin' | 'before'>,
    bound?: SeamBound,
  ) {
    this.#remembered = remembered
    this.#offset = offset
    this.#leg = leg
    this.#bound = bound
    this.#found = { ...emptyMemory(), epochs: { ...remembered.epochs } }
  }

  take(records: readonly StoredRecord[]): void {
    for (const { offset, headers } of records) {
      if (offset >= this.#offset) return
      if (this.#bound && isBeyond(this.#bound, headers.position)) continue
      const { kind, position, shard = -1, epoch = -1 } = headers
      // Where a lease begins in the topic, its readers remember what they have of another one.
      const isExact = offset >= this.#leg.begin && !isOfFormerOwner(this.#found, headers)
      if (kind === 'marker' && position !== undefined && isExact) this.#exact.add(partitionKey(position))
      if (isExact && epoch > (this.#remembered.epochs[shard] ?? -1)) this.#isOfUnknownOwner = true
      admit(this.#found, headers)
    }
  }

  /** Some of it cannot be read. */
  miss(): void {
    this.#exact.clear()
  }

  get isOther(): boolean {
    if (this.#isOfUnknownOwner || isAhead(this.#found, this.#remembered)) return true
    const atLeast = raise(copyMemory(this.#found), this.#leg.before)
    return isAhead(this.#remembered, atLeast, this.#exact)
  }
}
