import { z } from 'zod'
import { BOOK_DOUBTS } from '../domain/events.ts'
import { literal } from '../domain/sql-literal.ts'
import { isoMicros } from '../domain/time.ts'
import type { Market } from '../ports/source.ts'
import type { Store } from '../ports/store.ts'

const QUERY_MS = 10_000

const levels = z
  .string()
  .transform((text) => JSON.parse(text) as unknown)
  .pipe(z.array(z.tuple([z.number(), z.number()]).readonly()).readonly())

const rowSchema = z
  .object({
    bids: levels,
    asks: levels,
    doubt: z.enum(BOOK_DOUBTS).nullable(),
    ts: z.string(),
    recv_ts: z.string(),
  })
  .transform(({ recv_ts: recvTs, ...row }) => ({ ...row, recvTs }))

/** A book of a market as the database has it; times are ISO 8601. One in doubt has no levels. */
type StoredBook = z.output<typeof rowSchema>

/** Event times in microseconds, both ends included. */
interface BookRange {
  readonly from?: number | undefined
  readonly to?: number | undefined
}

/** The books of a market that the database has, the latest first. Raises STORE_UNAVAILABLE and TIMEOUT. */
export async function readStoredBooks(
  store: Store,
  { exchange, symbol }: Market,
  { from, to }: BookRange,
  limit: number,
  signal: AbortSignal,
): Promise<readonly StoredBook[]> {
  const conditions = [
    `exchange = ${literal(exchange)} and symbol = ${literal(symbol)}`,
    ...(from === undefined ? [] : [`ts >= timestamptz ${literal(isoMicros(from))}`]),
    ...(to === undefined ? [] : [`ts <= timestamptz ${literal(isoMicros(to))}`]),
  ]
  const { rows } = await store.query(
    `select array_to_json(bids)::text as bids, array_to_json(asks)::text as asks, doubt, ts, recv_ts
     from books where ${conditions.join(' and ')} order by ts desc, recv_ts desc limit ${limit}`,
    { maxRows: limit, timeoutMs: QUERY_MS },
    signal,
  )
  return rows.map((row) => rowSchema.parse(row))
}
