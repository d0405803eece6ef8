import type { LevelHashes } from './book-checksum.ts'
import { type BookLevel, type BookLevels, bestFirst } from './book-levels.ts'
import { hashOf, type TextHash } from './crc32.ts'

/** A level as it comes: `hash` is of what the exchange's checksum is made of, where it has one. A size of 0 removes the price. */
export interface NewLevel {
  readonly price: number
  readonly size: number
  readonly hash?: TextHash | undefined
}

export interface NewLevels {
  readonly bids: readonly NewLevel[]
  readonly asks: readonly NewLevel[]
}

/** How many levels of each side are shown, and how many are kept: what falls out of these is forgotten, as some exchanges do. */
export interface BookDepth {
  readonly shown: number
  readonly kept?: number | undefined
}

/** What comes after the place moves one further: few, since most changes are near the end. */
function insertAt<Item>(list: Item[], at: number, item: Item): void {
  list.push(item)
  for (let i = list.length - 1; i > at; i--) list[i] = list[i - 1] as Item
  list[at] = item
}

function removeAt(list: unknown[], at: number): void {
  for (let i = at + 1; i < list.length; i++) list[i - 1] = list[i]
  list.pop()
}

const NO_TEXT = hashOf('')

/** One side of a book. The best price stands last, so that what changes most moves least. */
class BookSide {
  /** 1: the highest price is the best one. */
  readonly #sign: 1 | -1
  readonly #depth: BookDepth
  /** Prices with the sign, rising. */
  readonly #ranks: number[] = []
  readonly #sizes: number[] = []
  /** Undefined until a level has one: most exchanges hash nothing. */
  #hashes: TextHash[] | undefined

  constructor(sign: 1 | -1, depth: BookDepth) {
    this.#sign = sign
    this.#depth = depth
  }

  get best(): number | undefined {
    const rank = this.#ranks.at(-1)
    return rank === undefined ? undefined : rank * this.#sign
  }

  /** The price of the last level that is shown; undefined where there is room for more. */
  get deepest(): number | undefined {
    const rank = this.#edge
    return rank === Number.NEGATIVE_INFINITY ? undefined : rank * this.#sign
  }

  clear(): void {
    this.#ranks.length = 0
    this.#sizes.length = 0
    this.#hashes = undefined
  }

  /** Takes all levels, in whatever order, in place of those that there are; of several at one price the last. */
  replace(levels: readonly NewLevel[]): void {
    this.clear()
    // Each goes to the end then, where nothing has to move.
    for (const level of levels.toSorted((a, b) => (a.price - b.price) * this.#sign))
      this.#set(level.price * this.#sign, level)
    this.#cut(undefined)
  }

  /** The best levels, the best first. */
  shown(): BookLevel[] {
    const levels: BookLevel[] = []
    const end = Math.max(0, this.#ranks.length - this.#depth.shown)
    for (let at = this.#ranks.length - 1; at >= end; at--) levels.push(this.#levelAt(at))
    return levels
  }

  hashes(count: number): TextHash[] {
    const hashes: TextHash[] = []
    const end = Math.max(0, this.#ranks.length - count)
    for (let at = this.#ranks.length - 1; at >= end; at--) hashes.push(this.#hashes?.[at] ?? NO_TEXT)
    return hashes
  }

  /** Applies changes in order, and gives what they change of the levels that are shown: sizes, 0 where one is shown no more. */
  change(levels: readonly NewLevel[]): BookLevel[] {
    if (levels.length === 0) return []
    const edge = this.#edge
    /** The sizes before, of what is changed. */
    const before = new Map<number, number>()
    for (const level of levels) {
      const rank = level.price * this.#sign
      const former = this.#set(rank, level)
      if (!before.has(rank)) before.set(rank, former)
    }
    this.#cut(before)
    return this.#seen(before, edge)
  }

  #levelAt(at: number): BookLevel {
    return [(this.#ranks[at] as number) * this.#sign, this.#sizes[at] as number]
  }

  /** Where a rank stands, or would. */
  #find(rank: number): number {
    let [low, high] = [0, this.#ranks.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ranks[middle] as number) < rank) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Gives the size before; 0 where there was none. */
  #set(rank: number, { size, hash }: NewLevel): number {
    const at = this.#find(rank)
    const isThere = at < this.#ranks.length && this.#ranks[at] === rank
    const former = isThere ? (this.#sizes[at] as number) : 0
    if (hash !== undefined) this.#hashes ??= this.#ranks.map(() => NO_TEXT)
    if (size > 0 && isThere) {
      this.#sizes[at] = size
      if (this.#hashes) this.#hashes[at] = hash ?? NO_TEXT
    } else if (size > 0) {
      insertAt(this.#ranks, at, rank)
      insertAt(this.#sizes, at, size)
      if (this.#hashes) insertAt(this.#hashes, at, hash ?? NO_TEXT)
    } else if (isThere) {
      removeAt(this.#ranks, at)
      removeAt(this.#sizes, at)
      if (this.#hashes) removeAt(this.#hashes, at)
    }
    return former
  }

  /** Forgets what is deeper than the exchange tells of; `before` gets the sizes that it had. */
  #cut(before: Map<number, number> | undefined): void {
    const excess = this.#ranks.length - (this.#depth.kept ?? Number.POSITIVE_INFINITY)
    if (excess <= 0) return
    for (let at = 0; before && at < excess; at++) {
      const rank = this.#ranks[at] as number
      if (!before.has(rank)) before.set(rank, this.#sizes[at] as number)
    }
    for (const list of [this.#ranks, this.#sizes, this.#hashes]) list?.splice(0, excess)
  }

  /** The rank of the last level that is shown; minus infinity where there is room for more. */
  get #edge(): number {
    const at = this.#ranks.length - this.#depth.shown
    return at < 0 ? Number.NEGATIVE_INFINITY : (this.#ranks[at] as number)
  }

  #seen(before: ReadonlyMap<number, number>, formerEdge: number): BookLevel[] {
    const edge = this.#edge
    const seen: BookLevel[] = []
    for (const [rank, former] of before) {
      const at = this.#find(rank)
      const size = rank >= edge && this.#ranks[at] === rank ? (this.#sizes[at] as number) : 0
      const shown = rank >= formerEdge ? former : 0
      if (size !== shown) seen.push([rank * this.#sign, size])
    }
    if (edge === formerEdge) return seen
    // Others come into sight, or leave it, as the edge moves.
    for (let at = this.#find(edge); (this.#ranks[at] ?? Number.POSITIVE_INFINITY) < formerEdge; at++)
      if (!before.has(this.#ranks[at] as number)) seen.push(this.#levelAt(at))
    for (let at = this.#find(formerEdge); (this.#ranks[at] ?? Number.POSITIVE_INFINITY) < edge; at++)
      if (!before.has(this.#ranks[at] as number)) seen.push([(this.#ranks[at] as number) * this.#sign, 0])
    return seen
  }
}

/** The book of one market as its exchange tells it: all levels that it knows of, of which the best ones are shown. */
export class OrderBook {
  readonly #bids: BookSide
  readonly #asks: BookSide

  constructor(depth: BookDepth) {
    this.#bids = new BookSide(1, depth)
    this.#asks = new BookSide(-1, depth)
  }

  /** The levels that are shown, the best first. */
  get shown(): BookLevels {
    return { bids: this.#bids.shown(), asks: this.#asks.shown() }
  }

  /** Whether somebody bids as much as somebody asks: such a book cannot be. */
  get isCrossed(): boolean {
    const [bid, ask] = [this.#bids.best, this.#asks.best]
    return bid !== undefined && ask !== undefined && bid >= ask
  }

  /** The prices of the last levels that are shown; undefined where there is room for more. */
  get deepest(): { readonly bid: number | undefined; readonly ask: number | undefined } {
    return { bid: this.#bids.deepest, ask: this.#asks.deepest }
  }

  /** What the checksum of so many levels is made of. */
  hashes(count: number): LevelHashes {
    return { bids: this.#bids.hashes(count), asks: this.#asks.hashes(count) }
  }

  replace({ bids, asks }: NewLevels): void {
    this.#bids.replace(bids)
    this.#asks.replace(asks)
  }

  /** Applies a change, and gives what it changes of the levels that are shown. */
  change({ bids, asks }: NewLevels): BookLevels {
    return { bids: bestFirst(this.#bids.change(bids), 1), asks: bestFirst(this.#asks.change(asks), -1) }
  }
}

/** Whether the levels of a snapshot stand in order, the best first, each price once. */
export function isSorted({ bids, asks }: NewLevels): boolean {
  const isRising = (levels: readonly NewLevel[], sign: number) =>
    levels.every(({ price }, i) => i === 0 || price * sign > (levels[i - 1] as NewLevel).price * sign)
  return isRising(bids, -1) && isRising(asks, 1)
}
