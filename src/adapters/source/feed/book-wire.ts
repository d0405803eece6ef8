import type { ChecksumName } from '../../../domain/book-checksum.ts'
import type { BookPlace, SequenceName } from '../../../domain/book-sequence.ts'
import type { NewLevel } from '../../../domain/order-book.ts'
import { readAmount, readPrice } from './values.ts'

/** A book, or a change of one, as a frame has it. */
export interface WireBook {
  readonly kind: 'book'
  readonly name: unknown
  /** Whether these are all levels that the service tells of. */
  readonly snapshot: boolean
  /** Undefined where they cannot be read. */
  readonly bids: readonly NewLevel[] | undefined
  readonly asks: readonly NewLevel[] | undefined
  readonly place?: BookPlace | undefined
  /** The service has levels beyond those of this snapshot, and tells of each only when it changes. */
  readonly isCut?: boolean
  /** Of the book after this, where the frame has one. */
  readonly checksum?: number | undefined
  /** Microseconds; undefined where the frame has none. */
  readonly ts: number | undefined
}

/** A checksum that comes by itself. */
export interface WireChecksum {
  readonly kind: 'checksum'
  readonly name: string
  readonly checksum: number
}

/** How a service keeps its books: what its frames mean beside their levels. */
export interface BookRules {
  /** How updates are numbered; left out where nothing shows that one is missing. */
  readonly sequence?: SequenceName
  readonly checksum?: ChecksumName
  /** Each frame is a snapshot: a difference between two of them is a change. */
  readonly isWhole?: true
  /** Snapshots have their levels in any order. */
  readonly isUnsorted?: true
  /** How many levels of each side the service tells of, where so many are wanted; what falls out of these is told no more. */
  readonly kept?: (depth: number) => number
  /** Nothing shows that a change was lost: a snapshot is asked for every so often, in milliseconds. */
  readonly refreshMs?: number
  /** Snapshots by REST, where the WebSocket has none. */
  readonly rest?: RestSnapshots
}

interface RestSnapshots {
  /** The path and query of the book of a market. */
  readonly path: (name: string, depth: number) => string
  /** The parameter of the query that names the market. */
  readonly parameter: string
  readonly read: (name: string, body: unknown) => WireBook
  /** From one call to the next, in milliseconds: what a service allows depends on how much is asked for. */
  readonly apartMs: (depth: number) => number
  /** How long the WebSocket has to send one, in milliseconds. */
  readonly afterMs: number
}

/** The levels of a list of rows: `[price, size, ...]` of each, as numbers or decimal text. Undefined where one cannot be read. */
export function readLevels(rows: unknown): readonly NewLevel[] | undefined {
  if (!Array.isArray(rows)) return undefined
  const levels: NewLevel[] = []
  for (const row of rows) {
    if (!Array.isArray(row)) return undefined
    const price = readPrice(row[0])
    const size = readAmount(row[1])
    if (price === undefined || size === undefined) return undefined
    levels.push({ price, size })
  }
  return levels
}

/** The smallest of some depths that has so many levels; the largest where none has. */
export function depthOf(depths: readonly number[], wanted: number): number {
  return depths.find((depth) => depth >= wanted) ?? (depths.at(-1) as number)
}
