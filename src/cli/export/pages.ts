import { pageOf, type RowPosition } from '../../domain/row-cursor.ts'
import type { RowChannel } from '../../domain/stored-rows.ts'
import { parseIsoMicros } from '../../domain/time.ts'
import { candlesSchema, quotesSchema, tradesSchema } from '../../gateway/schemas.ts'
import type { CandleQuery, RowQuery, Store } from '../../ports/store.ts'
import type { ApiClient } from '../api-client.ts'
import type { Row } from './formats.ts'

/** What is exported; times are ISO 8601, both ends included. Interval and origin are of candles. */
export interface Selection {
  readonly channel: RowChannel
  readonly symbol: string
  readonly exchange?: string
  readonly from?: string
  readonly to?: string
  readonly interval?: CandleQuery['interval']
  readonly origin?: CandleQuery['origin']
}

/** Rows from the oldest on, page by page. A page that could not be read is read by the next call. */
export interface Pages {
  /** Undefined behind the last. */
  next(signal: AbortSignal): Promise<readonly Row[] | undefined>
}

const PAGE_ROWS = 10_000

interface FoundPage<Place> {
  readonly rows: readonly Row[]
  /** Where the next one is; undefined: there is none. */
  readonly next: Place | undefined
}

/** Pages that each tell where the next one is. */
function pagesBy<Place>(
  read: (place: Place | undefined, signal: AbortSignal) => Promise<FoundPage<Place>>,
): Pages {
  let place: Place | undefined
  let isOver = false
  return {
    async next(signal) {
      if (isOver) return undefined
      const { rows, next } = await read(place, signal)
      place = next
      isOver = next === undefined
      return rows
    },
  }
}

/** The rows that a platform has, over its API. */
export function platformPages(client: ApiClient, selection: Selection): Pages {
  const { channel, ...parameters } = selection
  return pagesBy<string>(async (cursor, signal) => {
    const query = {
      ...parameters,
      order: 'asc',
      limit: String(PAGE_ROWS),
      ...(cursor !== undefined && { cursor }),
    }
    const search = new URLSearchParams(query)
    const { rows, next } = await ask(client, channel, search, signal)
    return { rows, next: next ?? undefined }
  })
}

async function ask(
  client: ApiClient,
  channel: RowChannel,
  search: URLSearchParams,
  signal: AbortSignal,
): Promise<{ readonly rows: readonly Row[]; readonly next: string | null }> {
  switch (channel) {
    case 'trade': {
      const { trades, next } = await client.call(`/v1/trades?${search}`, tradesSchema, signal)
      return { rows: trades, next }
    }
    case 'quote': {
      const { quotes, next } = await client.call(`/v1/quotes?${search}`, quotesSchema, signal)
      return { rows: quotes, next }
    }
    case 'candle': {
      const { candles, next } = await client.call(`/v1/candles?${search}`, candlesSchema, signal)
      return { rows: candles, next }
    }
  }
}

/** The rows that a store has. */
export function storePages(store: Store, selection: Selection): Pages {
  const { channel, symbol, exchange, from, to, interval = '1m', origin = 'trades' } = selection
  const market: Omit<RowQuery, 'limit'> = {
    symbol,
    order: 'asc',
    ...(exchange !== undefined && { exchange }),
    ...bound('from', from),
    ...bound('to', to),
  }
  const read = (query: RowQuery, signal: AbortSignal): Promise<readonly Row[]> => {
    switch (channel) {
      case 'trade':
        return store.trades(query, signal)
      case 'quote':
        return store.quotes(query, signal)
      case 'candle':
        return store.candles({ ...query, interval, origin }, signal)
    }
  }
  return pagesBy<RowPosition>(async (after, signal) => {
    const found = await read({ ...market, limit: PAGE_ROWS + 1, ...(after && { after }) }, signal)
    return pageOf(channel, found, { limit: PAGE_ROWS, order: 'asc', after })
  })
}

function bound<Name extends 'from' | 'to'>(
  name: Name,
  time: string | undefined,
): { readonly [N in Name]?: number } {
  const micros = time === undefined ? undefined : parseIsoMicros(time)
  return (micros === undefined ? {} : { [name]: micros }) as { readonly [N in Name]?: number }
}
