import type { MarketTimes } from './market-times.ts'
import { records, type SqlSession } from './session.ts'

/** A span of event time in microseconds; `high` is not in it. */
export interface TimeWindow {
  readonly low: number
  readonly high: number
}

/** What is asked for. */
export interface WindowedRead {
  /** Microseconds, both ends included; without them there is no bound. */
  readonly from?: number | undefined
  readonly to?: number | undefined
  /** From which end. Windows come in this order, and so do their rows. */
  readonly order: 'newest' | 'oldest'
  readonly limit: number
  /** The time that the first window spans, and what windows begin and end at a multiple of; microseconds. */
  readonly first: number
  readonly unit: number
}

/** Where the rows lie: in chunks of hypertables, or in one plain table, as `TABLE where TERMS` with the symbol for `$1`. */
export type Layout =
  | {
      readonly kind: 'chunks'
      readonly of: readonly ChunkedTable[]
      /** Tells where there may be rows, where that is known: asked only where there are many chunks. */
      readonly times?: () => Promise<MarketTimes | undefined>
    }
  | { readonly kind: 'plain'; readonly rows: string; readonly symbol: string }

/** A hypertable by its id in TimescaleDB's catalog, as far as its chunks end above a time (microseconds). */
export interface ChunkedTable {
  readonly id: string
  readonly above?: string
}

/**
 * The chunks that one statement may touch. To plan a statement costs 0.05 to 0.3 ms a chunk and some locks, whether
 * there are rows in it or not: over the chunks of years it takes seconds, or all the locks that the server has.
 */
export const MOST_CHUNKS = 64
/** How much longer each window is than the one before, as far as `MOST_CHUNKS` lets it. */
const GROWTH = 8
/** How many times the rows that are missing a window is to have, since they do not lie evenly. */
const MARGIN = 2
/** What a bigint begins at: `'...'::bigint`, since the digits alone are too many before the sign is read. */
const LEAST = '-9223372036854775808'

/**
 * Reads rows by one statement for each window of time, from one end to the other, until there are as many as wanted or no
 * chunk is left. `read` gives the rows of a window in the order of the read, at most so many.
 */
export async function readInWindows<T>(
  session: SqlSession,
  layout: Layout,
  wanted: WindowedRead,
  read: (window: TimeWindow, limit: number) => Promise<readonly T[]>,
  now: number = Date.now() * 1000,
): Promise<T[]> {
  const extent = await extentOf(session, layout, wanted)
  if (extent === undefined) return []
  const rows: T[] = []
  const times = layout.kind === 'chunks' && extent.cuts.length > 1 ? layout.times : undefined
  const growth: Growth = { most: Number.POSITIVE_INFINITY }
  for await (const window of windowsOf(extent, wanted, now, times, growth)) {
    const found = await read(window, wanted.limit - rows.length)
    rows.push(...found)
    const missing = wanted.limit - rows.length
    if (missing <= 0) break
    const perRow = (window.high - window.low) / found.length
    growth.most = perRow * missing * MARGIN
  }
  return rows
}

/** How long the next window may be: where rows are as dense as in the last one it has those that are missing, and no more than twice as many. */
interface Growth {
  most: number
}

/** The time that there are rows in, and where no window may reach across. */
export interface Extent extends TimeWindow {
  /** Rising. */
  readonly cuts: readonly number[]
}

function extentOf(
  session: SqlSession,
  layout: Layout,
  { from, to }: WindowedRead,
): Promise<Extent | undefined> {
  const range = {
    low: from ?? Number.NEGATIVE_INFINITY,
    high: to === undefined ? Number.POSITIVE_INFINITY : to + 1,
  }
  return layout.kind === 'plain'
    ? plainExtent(session, layout, range)
    : chunkExtent(session, layout.of, range)
}

/** By the lists of TimescaleDB's catalog: `timescaledb_information.chunks` takes 60 ms where there are a thousand chunks. */
export async function chunkExtent(
  session: SqlSession,
  tables: readonly ChunkedTable[],
  { low, high }: TimeWindow,
): Promise<Extent | undefined> {
  const lists = tables.map(
    ({ id, above }) => `
      select range_start, range_end from _timescaledb_catalog.dimension_slice
      where dimension_id in (${timeDimension(id)}) and range_end > '${above ?? LEAST}'::bigint`,
  )
  const found = await session.rows(
    `with slices as (
       select range_start, row_number() over (order by range_start) as n, max(range_end) over () as high
       from (${lists.join(' union all ')}) s
       where ($1::bigint is null or range_end > $1) and ($2::bigint is null or range_start < $2))
     select range_start as low, high from slices where n % ${MOST_CHUNKS} = 1 order by n`,
    [Number.isFinite(low) ? low : null, Number.isFinite(high) ? high : null],
  )
  const rows = records(found)
  if (rows[0] === undefined) return undefined
  const cuts = rows.map((row) => Number(row['low']))
  return {
    low: Math.max(low, Number(rows[0]['low'])),
    high: Math.min(high, Number(rows[0]['high'])),
    cuts,
  }
}

/** A select for the dimension of a hypertable that is time; its owner may have added others. */
export function timeDimension(hypertable: string): string {
  return `select id from _timescaledb_catalog.dimension where hypertable_id = ${hypertable} and interval_length is not null`
}

async function plainExtent(
  session: SqlSession,
  { rows, symbol }: Layout & { kind: 'plain' },
  { low, high }: TimeWindow,
): Promise<Extent | undefined> {
  const end = (order: 'asc' | 'desc') =>
    `(select extract(epoch from ts) * 1000000 from ${rows} order by ts ${order} limit 1)::bigint`
  const [row] = records(
    await session.rows(`select ${end('asc')} as oldest, ${end('desc')} as newest`, [symbol]),
  )
  if (row?.['oldest'] == null || row['newest'] == null) return undefined
  const extent = {
    low: Math.max(low, Number(row['oldest'])),
    high: Math.min(high, Number(row['newest']) + 1),
    cuts: [],
  }
  return extent.low < extent.high ? extent : undefined
}

/**
 * The windows from one end to the other. Behind the first, which suffices where markets are busy, each begins where there may be
 * rows at all.
 */
async function* windowsOf(
  extent: Extent,
  { unit, order, first }: WindowedRead,
  now: number,
  openTimes: (() => Promise<MarketTimes | undefined>) | undefined,
  growth: Growth,
): AsyncGenerator<TimeWindow> {
  const floor = (time: number): number => Math.floor(time / unit) * unit
  const ceil = (time: number): number => Math.ceil(time / unit) * unit
  const [low, high] = [floor(extent.low), ceil(extent.high)]
  const cuts = extent.cuts.map(floor)
  const longer = (span: number): number => ceil(Math.min(span * GROWTH, growth.most))
  let span = ceil(first)
  let opening: Promise<MarketTimes | undefined> | undefined
  const times = (): typeof opening => (opening ??= openTimes?.())
  if (order === 'oldest') {
    for (let at = low; at < high; span = longer(span)) {
      const end = Math.min(at + span, cuts.find((cut) => cut > at) ?? high, high)
      yield { low: at, high: end }
      at = end
      const known = at < high ? await times() : undefined
      if (known !== undefined) at = Math.max(at, floor((await known.after(at)) ?? high))
    }
    return
  }
  // The newest chunk reaches into the future, where there is hardly anything.
  let from = Math.min(high, Math.max(low, ceil(now)))
  for (let at = high; at > low; span = longer(span)) {
    const cut = cuts.findLast((each) => each < at) ?? low
    const start = Math.max(Math.min(from, at) - span, cut, low)
    yield { low: start, high: at }
    at = start
    const known = at > low ? await times() : undefined
    if (known !== undefined) at = Math.min(at, ceil((await known.before(at)) ?? low))
    from = at
  }
}

/** Those of hypertables, by connection: a table that is one stays one. */
const IDS = new WeakMap<SqlSession, Map<string, string>>()

/** The id of a hypertable of this schema; undefined for a plain table, and where there is no TimescaleDB. */
export async function hypertableId(session: SqlSession, table: string): Promise<string | undefined> {
  const known = IDS.get(session) ?? new Map<string, string>()
  const id = known.get(table) ?? (await lookUpHypertable(session, table))
  if (id !== undefined) IDS.set(session, known.set(table, id))
  return id
}

async function lookUpHypertable(session: SqlSession, table: string): Promise<string | undefined> {
  const found = await session.rows(
    `select to_regclass('_timescaledb_catalog.dimension_slice') is not null as has`,
  )
  if (records(found)[0]?.['has'] !== 't') return undefined
  const [row] = records(
    await session.rows(
      `select id from _timescaledb_catalog.hypertable where schema_name = current_schema and table_name = $1`,
      [table],
    ),
  )
  return row?.['id'] ?? undefined
}
