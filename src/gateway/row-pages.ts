import type { Interval } from '../domain/events.ts'
import { decodeRowCursor, encodeRowCursor, pageOf, type RowOrder } from '../domain/row-cursor.ts'
import type { RowChannel, StoredRow } from '../domain/stored-rows.ts'
import type { RowQuery, Store } from '../ports/store.ts'

/** Which rows of a store are read, page by page. */
export interface RowSelection<C extends RowChannel = RowChannel> {
  readonly channel: C
  readonly symbol: string
  readonly exchange?: string | undefined
  /** Microseconds, both ends included. */
  readonly from?: number | undefined
  readonly to?: number | undefined
  readonly order?: RowOrder | undefined
  /** Of candles. */
  readonly interval?: Interval | undefined
  readonly origin?: 'trades' | 'source' | undefined
}

/** Rows, and where the next ones are; undefined where there are no more now. */
interface Page<C extends RowChannel> {
  readonly rows: readonly StoredRow<C>[]
  readonly next: string | undefined
}

/** Reads one page from a cursor on, and one row more, which tells whether there are others. Raises CURSOR_INVALID. */
export async function readPage<C extends RowChannel>(
  store: Store,
  selection: RowSelection<C>,
  { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
  signal: AbortSignal,
): Promise<Page<C>> {
  const { channel, symbol, exchange, from, to, order } = selection
  const scope = scopeOf(selection)
  const after = cursor === undefined ? undefined : decodeRowCursor(cursor, channel, scope)
  const query: RowQuery = {
    symbol,
    ...(exchange !== undefined && { exchange }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(order !== undefined && { order }),
    ...(after !== undefined && { after }),
    limit: limit + 1,
  }
  const found = await READERS[channel](store, query, selection, signal)
  const { rows, next } = pageOf(channel, found, { limit, order, after })
  return { rows, next: next === undefined ? undefined : encodeRowCursor(scope, next) }
}

/** What a cursor belongs to. */
function scopeOf({ channel, symbol, interval = '1m', origin = 'trades' }: RowSelection): string {
  return channel === 'candle' ? `candle:${symbol}:${interval}:${origin}` : `${channel}:${symbol}`
}

const READERS: {
  readonly [C in RowChannel]: (
    store: Store,
    query: RowQuery,
    selection: RowSelection,
    signal: AbortSignal,
  ) => Promise<readonly StoredRow<C>[]>
} = {
  trade: (store, query, _selection, signal) => store.trades(query, signal),
  quote: (store, query, _selection, signal) => store.quotes(query, signal),
  candle: (store, query, { interval = '1m', origin = 'trades' }, signal) =>
    store.candles({ ...query, interval, origin }, signal),
}
