import type { Book, BookDoubt } from './events.ts'

export type BookLevel = readonly [price: number, size: number]

export interface BookLevels {
  readonly bids: readonly BookLevel[]
  readonly asks: readonly BookLevel[]
}

/** So few are put in order one by one: `sort` takes longer to begin. */
const FEW_LEVELS = 16

/** `sign`: 1 where the highest price is the best one. */
export function bestFirst(levels: BookLevel[], sign: 1 | -1): BookLevel[] {
  if (levels.length > FEW_LEVELS) return levels.sort(([a], [b]) => (b - a) * sign)
  for (let i = 1; i < levels.length; i++) {
    const level = levels[i] as BookLevel
    let at = i
    for (; at > 0 && (levels[at - 1] as BookLevel)[0] * sign < level[0] * sign; at--)
      levels[at] = levels[at - 1] as BookLevel
    levels[at] = level
  }
  return levels
}

/** The levels of one side with changes applied: a size of 0 removes a price. `levels` stays as it is. */
function withChanges(
  levels: readonly BookLevel[],
  changes: readonly BookLevel[],
  sign: 1 | -1,
): readonly BookLevel[] {
  if (changes.length === 0) return levels
  const changed = [...levels]
  for (const level of changes) {
    const rank = level[0] * sign
    let [low, high] = [0, changed.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((changed[middle] as BookLevel)[0] * sign > rank) low = middle + 1
      else high = middle
    }
    const isThere = changed[low]?.[0] === level[0]
    if (level[1] > 0) changed.splice(low, isThere ? 1 : 0, level)
    else if (isThere) changed.splice(low, 1)
  }
  return changed
}

/**
 * The book after one more record of its market (R30): a snapshot with all its levels, or a record with a `doubt` while nobody may use it.
 * `book` is what came of the records before; undefined before the first. A delta counts only if it follows its predecessor by one.
 */
export function foldBook(book: Book | undefined, record: Book): Book {
  if (record.doubt !== undefined || record.snapshot) return record
  if (book === undefined) return inDoubt(record, 'unknown')
  if (book.doubt !== undefined) return inDoubt(record, book.doubt)
  if (record.seq !== book.seq + 1) return inDoubt(record, 'sequence')
  const bids = withChanges(book.bids, record.bids, 1)
  const asks = withChanges(book.asks, record.asks, -1)
  return isCrossed({ bids, asks }) ? inDoubt(record, 'crossed') : { ...record, snapshot: true, bids, asks }
}

/** A record that says that the book of a market is in doubt. */
export function inDoubt(
  { exchange, symbol, seq, ts, recvTs }: Pick<Book, 'exchange' | 'symbol' | 'seq' | 'ts' | 'recvTs'>,
  doubt: BookDoubt,
): Book {
  return { exchange, symbol, snapshot: false, bids: [], asks: [], seq, ts, recvTs, doubt }
}

function isCrossed({ bids, asks }: BookLevels): boolean {
  const [bid, ask] = [bids[0], asks[0]]
  return bid !== undefined && ask !== undefined && bid[0] >= ask[0]
}

/** A book with no more than so many levels of each side. */
export function cutBook(book: Book, depth: number): Book {
  return { ...book, bids: book.bids.slice(0, depth), asks: book.asks.slice(0, depth) }
}
