import { type BookRules, readLevels, type WireBook } from '../feed/book-wire.ts'
import { type Fields, listOf, microsOfIso } from '../feed/wire-fields.ts'

/**
 * Changes of a book have neither a number nor a checksum. So a fault shows only where a change comes late, or where the book cannot be. All other faults
 * end with the next snapshot, which is asked for every ten minutes.
 */
export const BOOK_RULES: BookRules = { refreshMs: 600_000 }

/**
 * A frame of the channel level2_batch: a snapshot, or changes `[side, price, size]`.
 * Format: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
 */
export function readBook(name: string, { type, bids, asks, changes, time }: Fields): WireBook {
  const ts = microsOfIso(time)
  if (type === 'snapshot')
    return { kind: 'book', name, snapshot: true, bids: readLevels(bids), asks: readLevels(asks), ts }
  const isReadable = Array.isArray(changes) && changes.every((change) => SIDES.has(listOf(change)[0]))
  const of = (side: string) =>
    isReadable
      ? readLevels(changes.filter(([each]) => each === side).map(([, price, size]) => [price, size]))
      : undefined
  return { kind: 'book', name, snapshot: false, bids: of('buy'), asks: of('sell'), ts }
}

const SIDES: ReadonlySet<unknown> = new Set(['buy', 'sell'])
