import { admit, emptyMemory, isLater, type ReaderMemory } from '../../domain/reader-rules.ts'
import { isBeyond, type SeamBound } from '../../domain/seam.ts'
import type { StoredRecord } from '../../ports/broker.ts'

/** So many records in front of a place tell whether it is the one that a cursor means. */
export const FRONT_RECORDS = 100

/** Whether one memory knows a later record of some fixed partition than the other, of those that both know. */
export function isAhead(one: ReaderMemory, other: ReaderMemory): boolean {
  return Object.entries(one.positions).some(([topic, partitions]) =>
    Object.entries(partitions).some(([partition, place]) => {
      const known = other.positions[topic]?.[Number(partition)]
      return known !== undefined && isLater(place, known)
    }),
  )
}

/** Whether one memory knows all that another knows: no epoch and no place of the other is higher, or of a shard that it does not know. */
export function knowsAllOf(one: ReaderMemory, other: ReaderMemory): boolean {
  const isLower = ([shard, epoch]: [string, number]): boolean => (one.epochs[Number(shard)] ?? -1) < epoch
  if (Object.entries(other.epochs).some(isLower)) return false
  return Object.entries(other.positions).every(([topic, partitions]) =>
    Object.entries(partitions).every(([partition, place]) => {
      const known = one.positions[topic]?.[Number(partition)]
      return known !== undefined && !isLater(place, known)
    }),
  )
}

/**
 * What lies in front of the place where an application goes on, beside what it remembers. Where there is a later record of a fixed partition than
 * the last one that it got, the log is not the one that it has read: it has lost its end and has grown again.
 */
export class PlaceInFront {
  readonly #remembered: ReaderMemory
  readonly #offset: number
  readonly #found: ReaderMemory
  /** What lies beyond it was passed over, and is not remembered. */
  readonly #bound: SeamBound | undefined

  constructor(remembered: ReaderMemory, offset: number, bound?: SeamBound) {
    this.#remembered = remembered
    this.#offset = offset
    this.#bound = bound
    this.#found = { ...emptyMemory(), epochs: { ...remembered.epochs } }
  }

  take(records: readonly StoredRecord[]): void {
    for (const { offset, headers } of records) {
      const isPassed = this.#bound && isBeyond(this.#bound, headers.position)
      if (offset < this.#offset && !isPassed) admit(this.#found, headers)
    }
  }

  get isOther(): boolean {
    return isAhead(this.#found, this.#remembered)
  }
}
