import type { RowChannel } from '../../domain/stored-rows.ts'
import { parseIsoMicros } from '../../domain/time.ts'
import { readPage } from '../../gateway/row-pages.ts'
import {
  candlesSchema,
  quotesSchema,
  sqlResultSchema,
  tradesSchema,
} from '../../gateway/schemas/market-data.ts'
import type { SqlResult, Store } from '../../ports/store.ts'
import type { ApiClient } from '../api-client.ts'
import type { Row } from './formats.ts'
import type { Selection } from './selection.ts'

/** Where an export stands: at a page of a symbol's rows; without a cursor at its first. */
export interface Place {
  readonly symbol: string
  readonly cursor?: string | undefined
}

/** What can be exported of a platform or a store. A cursor of one is good for the other. */
export interface RowSource {
  /** Rows of a symbol from the oldest on, and where the next ones are; undefined: there are no more. */
  page(
    place: Place,
    signal: AbortSignal,
  ): Promise<{ readonly rows: readonly Row[]; readonly next: string | undefined }>
  /** The symbols of which anything is stored, in order. */
  symbols(signal: AbortSignal): Promise<readonly string[]>
}

/** Rows of one symbol after another, page by page. A page that could not be read is read by the next call. */
export interface Pages {
  /** Undefined after the last. */
  next(signal: AbortSignal): Promise<readonly Row[] | undefined>
  /** The page that `next` reads; undefined after the last. */
  readonly place: Place | undefined
}

const PAGE_ROWS = 10_000

/** The pages of some symbols, from a place on; without one there are none. */
export function pagesOf(source: RowSource, symbols: readonly string[], start: Place | undefined): Pages {
  let place = start
  return {
    get place() {
      return place
    },
    async next(signal) {
      if (place === undefined) return undefined
      const { symbol } = place
      const { rows, next } = await source.page(place, signal)
      const following = symbols[symbols.indexOf(symbol) + 1]
      if (next !== undefined) place = { symbol, cursor: next }
      else place = following === undefined ? undefined : { symbol: following }
      return rows
    },
  }
}

/** Where an export of some symbols begins. */
export function firstPlace([symbol]: readonly string[]): Place | undefined {
  return symbol === undefined ? undefined : { symbol }
}

/** The rows that a platform has, over its API. */
export function platformRows(client: ApiClient, selection: Selection): RowSource {
  const { channel, ...parameters } = selection
  return {
    async page({ symbol, cursor }, signal) {
      const search = new URLSearchParams({
        symbol,
        ...parameters,
        order: 'asc',
        limit: String(PAGE_ROWS),
        ...(cursor !== undefined && { cursor }),
      })
      const { rows, next } = await ask(client, channel, search, signal)
      return { rows, next: next ?? undefined }
    },
    async symbols(signal) {
      const body = { sql: symbolsStatement(selection), maxRows: MOST_SYMBOLS }
      return symbolsIn(await client.call('/v1/sql', sqlResultSchema, signal, { method: 'POST', body }))
    },
  }
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

/** The rows that a store has, in the pages of the API: an export may go on by either way. */
export function storedRows(store: Store, selection: Selection): RowSource {
  const [from, to] = [selection.from, selection.to].map((time) =>
    time === undefined ? undefined : parseIsoMicros(time),
  )
  return {
    page: ({ symbol, cursor }, signal) =>
      readPage(store, { ...selection, symbol, from, to, order: 'asc' }, { cursor, limit: PAGE_ROWS }, signal),
    async symbols(signal) {
      const limits = { maxRows: MOST_SYMBOLS, timeoutMs: SYMBOLS_MS }
      return symbolsIn(await store.query(symbolsStatement(selection), limits, signal))
    },
  }
}

const MOST_SYMBOLS = 100_000
const SYMBOLS_MS = 60_000

/** From one symbol to the next by the index: there may be any number of rows. Computed candles may outlast their trades. */
function symbolsStatement({ channel, origin = 'trades', from, to }: Selection): string {
  const isComputed = channel === 'candle' && origin === 'trades'
  if (isComputed) return 'select distinct symbol from candles_1d order by 1'
  const table = { trade: 'trades', quote: 'quotes', candle: 'candles' }[channel]
  const bounds = [
    ...(from === undefined ? [] : [`ts >= '${from}'`]),
    ...(to === undefined ? [] : [`ts <= '${to}'`]),
  ]
  const first = (where: readonly string[]): string => {
    const all = [...where, ...bounds]
    return `(select symbol from ${table} ${all.length === 0 ? '' : `where ${all.join(' and ')}`} order by symbol limit 1)`
  }
  return `with recursive found as (
    ${first([])} union all select ${first(['symbol > found.symbol'])} from found where symbol is not null
  ) select symbol from found where symbol is not null`
}

function symbolsIn({ rows }: SqlResult): string[] {
  return rows.map(({ symbol }) => String(symbol)).toSorted()
}
