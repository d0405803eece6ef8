import { z } from 'zod'
import { GAP_CAUSES } from '../domain/events.ts'
import { literal } from '../domain/sql-literal.ts'
import { isoMicros } from '../domain/time.ts'
import type { Store } from '../ports/store.ts'

const QUERY_MS = 10_000

/** Which gaps: of one market, or of all; what overlaps a time, in microseconds, both ends included. */
export interface GapSelection {
  readonly exchange?: string | undefined
  readonly symbol?: string | undefined
  readonly from?: number | undefined
  readonly to?: number | undefined
}

/** A gap after which the next ones come: all of what their order goes by. */
export interface GapPosition {
  readonly flagged: string
  readonly source: string
  readonly exchange: string
  readonly symbol: string
  readonly from: string
  readonly to: string
}

type StoredGap = z.output<typeof rowSchema>

const rowSchema = z
  .object({
    source: z.string(),
    exchange: z.string(),
    symbol: z.string(),
    from_ts: z.string(),
    to_ts: z.string(),
    cause: z.enum(GAP_CAUSES).nullable(),
    detail: z.string(),
    ts: z.string(),
    filled: z.boolean(),
  })
  .transform(({ from_ts: from, to_ts: to, ts: flagged, ...row }) => ({ ...row, from, to, flagged }))

/** What gaps are put in order by, the latest flagged first. */
const ORDER = ['ts', 'source', 'exchange', "coalesce(symbol, '')", 'from_ts', 'to_ts']

/**
 * The gaps that were flagged, the latest first, as the database has them. One counts as filled where what was recovered since covers all of it. The
 * clock of one process may be behind that of another: what was recovered is looked for from a day before on.
 */
export async function readGaps(
  store: Store,
  selection: GapSelection,
  { after, limit }: { readonly after: GapPosition | undefined; readonly limit: number },
  signal: AbortSignal,
): Promise<readonly StoredGap[]> {
  const { rows } = await store.query(
    `with flagged as materialized (
       select row_number() over () as n, * from (
         select source, exchange, coalesce(symbol, '') as symbol, from_ts, to_ts, cause, detail, ts from status
         where ${["state = 'gap'", 'from_ts <= to_ts', ...conditionsOf(selection, after)].join(' and ')}
         order by ${ORDER.map((column) => `${column} desc`).join(', ')} limit ${limit}
       ) as page
     ), recovered as (
       select n, range_agg(tstzrange(r.from_ts, r.to_ts, '[]')) as parts
       from flagged g join status r on r.state = 'recovered' and r.exchange = g.exchange and coalesce(r.symbol, '') = g.symbol
         and r.from_ts <= r.to_ts and r.from_ts <= g.to_ts and r.to_ts >= g.from_ts
         and r.ts >= (select min(ts) - interval '1 day' from flagged)
       group by n
     )
     select source, exchange, symbol, from_ts, to_ts, cause, detail, ts,
       coalesce(parts @> tstzrange(from_ts, to_ts, '[]'), false) as filled
     from flagged left join recovered using (n) order by n`,
    { maxRows: limit, timeoutMs: QUERY_MS },
    signal,
  )
  return rows.map((row) => rowSchema.parse(row))
}

/** A gap of a whole source, or of a whole exchange, is one of each of its markets. */
function conditionsOf(
  { exchange, symbol, from, to }: GapSelection,
  after: GapPosition | undefined,
): string[] {
  return [
    ...(exchange === undefined ? [] : [`exchange in (${literal(exchange)}, '')`]),
    ...(symbol === undefined ? [] : [`(symbol = ${literal(symbol)} or symbol is null)`]),
    ...(from === undefined ? [] : [`to_ts >= ${literal(isoMicros(from))}`]),
    ...(to === undefined ? [] : [`from_ts <= ${literal(isoMicros(to))}`]),
    ...(after === undefined ? [] : [`(${ORDER.join(', ')}) < (${placeOf(after).map(literal).join(', ')})`]),
  ]
}

function placeOf({ flagged, source, exchange, symbol, from, to }: GapPosition): readonly string[] {
  return [flagged, source, exchange, symbol, from, to]
}
