import { type Address, call, callUntilAnswered } from './http.ts'
import type {
  GapsQuery,
  KnownMarket,
  MarketsQuery,
  OrderBook,
  RowsPage,
  RowsQuery,
  StoredGap,
} from './types.ts'

const PAGE_ROWS = 5_000
const MOST_GAPS = 1_000

/** Stored rows, one by one, or page by page. Each loop reads them anew. */
export interface Rows<Row> extends AsyncIterable<Row> {
  pages(): AsyncIterable<RowsPage<Row>>
}

/** Stored rows that are read while the loop takes them. A platform that is away is waited for. */
export function rowsOf<Row>(
  address: Address,
  name: 'trades' | 'quotes' | 'candles',
  query: RowsQuery,
  signal: AbortSignal | undefined,
): Rows<Row> {
  async function* pages(): AsyncGenerator<RowsPage<Row>> {
    let { cursor } = query
    do {
      const wanted = { order: 'asc', limit: PAGE_ROWS, ...query, ...(cursor !== undefined && { cursor }) }
      const search = new URLSearchParams(
        Object.entries(wanted).map(([field, value]) => [field, String(value)] as [string, string]),
      )
      const path = `/v1/${name}?${search}`
      const answer = await callUntilAnswered<{ next: string | null }>(address, path, { signal })
      const rows = (answer as unknown as Readonly<Record<string, readonly Row[]>>)[name] ?? []
      cursor = answer.next ?? undefined
      yield { rows, next: answer.next }
    } while (cursor !== undefined)
  }
  return {
    pages,
    async *[Symbol.asyncIterator]() {
      for await (const { rows } of pages()) yield* rows
    },
  }
}

/** The order book of a market now. Raises ApiError where there is none, or where it is in doubt. */
export function bookOf(
  address: Address,
  {
    exchange,
    symbol,
    depth,
  }: { readonly exchange: string; readonly symbol: string; readonly depth?: number },
  signal: AbortSignal | undefined,
): Promise<OrderBook> {
  const path = `/v1/books/${encodeURIComponent(exchange)}/${encodeURIComponent(symbol)}`
  return call(address, depth === undefined ? path : `${path}?depth=${depth}`, { signal })
}

/** All markets that match, page by page. A platform that is away is waited for. */
export async function marketsOf(
  address: Address,
  { stored, ...query }: MarketsQuery,
  signal: AbortSignal | undefined,
): Promise<readonly KnownMarket[]> {
  const found: KnownMarket[] = []
  const search = new URLSearchParams({ ...query, ...(stored !== undefined && { stored: String(stored) }) })
  for (;;) {
    const path = `/v1/markets?${search}`
    const page = await callUntilAnswered<{ markets: readonly KnownMarket[]; next: string | null }>(
      address,
      path,
      {
        signal,
      },
    )
    found.push(...page.markets)
    if (page.next === null) return found
    search.set('cursor', page.next)
  }
}

/** The gaps that match, the latest flagged first, page by page. A platform that is away is waited for. */
export async function gapsOf(
  address: Address,
  { limit = Number.POSITIVE_INFINITY, ...query }: GapsQuery,
  signal: AbortSignal | undefined,
): Promise<readonly StoredGap[]> {
  const found: StoredGap[] = []
  const search = new URLSearchParams(
    Object.entries(query).map(([field, value]) => [field, String(value)] as [string, string]),
  )
  while (found.length < limit) {
    search.set('limit', String(Math.min(limit - found.length, MOST_GAPS)))
    const page = await callUntilAnswered<{ gaps: readonly StoredGap[]; next: string | null }>(
      address,
      `/v1/gaps?${search}`,
      { signal },
    )
    found.push(...page.gaps)
    if (page.next === null) break
    search.set('cursor', page.next)
  }
  return found
}
