import { type FixedRecord, isInPlaceOfLost, lostFromOf } from './fixed-markers.ts'

/** What a reader knows of a partition before it looks at what lies in front of its position. */
interface Known {
  /** The highest epoch that it has met in front of its position; -1 where it has met none. */
  readonly last: number
  readonly position: number
  /** It has dealt with the lost ends in whose place owners of up to this epoch wrote; -1 where there was none. */
  readonly heardTo: number
}

/** How far a log was looked at in front of a position. */
interface Looked {
  /** The first offset that was looked at, and the first one that the log has. */
  readonly from: number
  readonly earliest: number
  /** Whether nobody looks further. */
  readonly isLast: boolean
}

/**
 * Tells where a log went on that has lost its end and has grown beyond a reader's position again, from what lies in front of that position (R8). Whoever reads on from the
 * position misses what lies between. It takes in the records from a place in front of the position on. Three things tell:
 * - A record of an owner that is later than all that the reader has met. The log went on there, or where a marker says.
 * - A record that lies in front of where its owner expected it. That owner may have died before it knew.
 * - No record of the last owner that the reader has met. The marker of that one was lost too, and a former owner, which knows of neither, has written in its place. Where the log
 *   went on nothing tells then, but not in front of what that former owner wrote first.
 */
export class LogInFront {
  readonly #known: Known
  #isLastSeen: boolean
  /** The first record of the last owner before the one that the reader has met last. */
  #former: { readonly epoch: number; readonly offset: number } | undefined
  #isRotten = false
  #highest = -1
  #highestInFront = -1
  /** The first record that lies in front of where its owner expected it, while no later owner has followed. */
  #overwritten: number | undefined
  /** Where the log went on, as the first two of the signs tell; undefined where they tell nothing. */
  wentOn: number | undefined

  constructor(known: Known) {
    this.#known = known
    // Of a topic without owners nothing tells.
    this.#isLastSeen = known.last < 0 || known.position <= 0
  }

  /** The highest epoch in front of the position. */
  get highest(): number {
    return this.#highestInFront
  }

  /**
   * Takes a record in, in the order of the log. Gives from where on nothing of an owner before counts any more, where the record is the first of its owner: there, or in front of it where the former
   * owner wrote in the place of a lost end.
   */
  take(record: FixedRecord): number {
    const { offset } = record
    const { epoch = -1 } = record.headers
    let begin = lostFromOf(record) ?? offset
    if (epoch < 0) return begin
    const { last, position, heardTo } = this.#known
    if (epoch > this.#highest) {
      begin = Math.min(begin, this.#overwritten ?? begin)
      this.#overwritten = undefined
    }
    const isLate = epoch < this.#highest
    this.#highest = Math.max(this.#highest, epoch)
    if (isInPlaceOfLost(record) && !isLate) {
      this.#overwritten ??= offset
      if (epoch > heardTo) this.#goOnAt(offset)
    }
    if (epoch > last) this.#goOnAt(begin)
    if (offset >= position) return begin
    this.#highestInFront = this.#highest
    if (epoch === last) this.#isLastSeen ||= this.wentOn === undefined
    else if (epoch < last && epoch > (this.#former?.epoch ?? -1)) this.#former = { epoch, offset }
    return begin
  }

  /** There are records in front of the position that nobody can read. */
  rot(): void {
    this.#isRotten = true
  }

  /** Where the log may have gone on where the marker of the last owner was lost; undefined where nothing says so. `isOpen`: that cannot be told before more is looked at. */
  judge({ from, earliest, isLast }: Looked): { readonly isOpen: boolean; readonly unmarkedFrom?: number } {
    const isWhole = from <= earliest
    if (this.#isLastSeen) return { isOpen: false }
    if (!isWhole && !isLast) return { isOpen: true }
    // Retention, or a batch that nobody can read, may hide the marker: then its lack proves nothing.
    const isHidden = this.#isRotten || (isWhole && earliest > 0)
    return { isOpen: false, ...(!isHidden && this.#former && { unmarkedFrom: this.#former.offset }) }
  }

  #goOnAt(offset: number): void {
    if (offset < this.#known.position) this.wentOn = Math.min(this.wentOn ?? offset, offset)
  }
}
