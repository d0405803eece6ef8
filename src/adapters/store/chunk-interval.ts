import { records, type SqlSession } from './session.ts'

/** Which lengths of chunks a kind of store takes, and how large a chunk may grow. */
export interface ChunkChoice {
  /** In milliseconds, the shortest first. */
  readonly lengths: readonly [number, ...number[]]
  /** Those for few rows of the past alone, longer than all others. */
  readonly ofPast?: readonly number[]
  /** What one chunk of the table may hold, in bytes, without its index. */
  readonly mostBytes: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/**
 * A chunk is compressed in one go and nothing else runs meanwhile: about 100,000 rows, half a second. So an hour, and more for markets
 * that are quiet.
 */
export const EMBEDDED_CHUNKS: ChunkChoice = {
  lengths: [HOUR_MS, DAY_MS, 7 * DAY_MS],
  ofPast: [28 * DAY_MS],
  mostBytes: 11_000_000,
}

/**
 * TimescaleDB's advice: a day to a week, so that the chunks that are written to fit into a quarter of the memory. A gibibyte
 * is about ten million rows, or 16 a second for a week.
 */
export const SERVER_CHUNKS: ChunkChoice = { lengths: [DAY_MS, 7 * DAY_MS], mostBytes: 2 ** 30 }

/** Retention removes whole chunks: rows stay for longer than it by up to the length of one. */
const CHUNKS_OF_RETENTION = 4
/** Less than this says little about a rate. */
const LEAST_MEASURED_MS = 3 * HOUR_MS

interface Measured {
  /** Milliseconds. */
  readonly current: number
  readonly bytesPerMs: number | undefined
}

/** The length of new chunks of a table in milliseconds: the longest that its rate, measured on chunks not compressed yet, and the retention allow. */
export function chooseInterval(
  { lengths, mostBytes }: ChunkChoice,
  { current, bytesPerMs }: Measured,
  retentionMs: number | undefined,
): number {
  const fits = lengths.filter((length) => length <= longestInterval(retentionMs))
  const shortest = shortestInterval(lengths, retentionMs)
  if (bytesPerMs === undefined) return fits.includes(current) ? current : shortest
  return fits.findLast((length) => length * bytesPerMs <= mostBytes) ?? shortest
}

/** Other rows of the same time may come later, from other markets. */
const SHARE_OF_SPARSE = 0.1

/** Rows of one write. */
export interface Sparse {
  readonly bytesPerMs: number
  /** How old the newest of them are, in milliseconds. */
  readonly ageMs: number
}

/** The length of chunks for rows of the past in milliseconds; undefined where they are too many or too new for any. */
export function chooseSparse(
  { lengths, ofPast = [], mostBytes }: ChunkChoice,
  { bytesPerMs, ageMs }: Sparse,
  retentionMs: number | undefined,
): number | undefined {
  const longest = Math.min(ageMs, longestInterval(retentionMs))
  return [...lengths, ...ofPast].findLast(
    (length) => length <= longest && length * bytesPerMs <= mostBytes * SHARE_OF_SPARSE,
  )
}

function longestInterval(retentionMs: number | undefined): number {
  return retentionMs === undefined ? Number.POSITIVE_INFINITY : retentionMs / CHUNKS_OF_RETENTION
}

/** The length of the shortest chunks that are made, in milliseconds. */
export function shortestInterval(
  [shortest]: ChunkChoice['lengths'],
  retentionMs: number | undefined,
): number {
  if (retentionMs === undefined) return shortest
  return Math.min(shortest, Math.max(HOUR_MS, retentionMs / CHUNKS_OF_RETENTION))
}

/** The length of chunks of each table, and how fast it fills, where there is enough to tell. */
export async function measureTables(
  session: SqlSession,
  tables: readonly string[],
): Promise<ReadonlyMap<string, Measured>> {
  const names = tables.map((table) => `'${table}'`).join(', ')
  const found = await session.rows(`
    with recent as (
      select hypertable_name, extract(epoch from least(range_end, now()) - range_start) * 1000 as spanned,
        pg_relation_size(format('%I.%I', chunk_schema, chunk_name)::regclass) as bytes
      from timescaledb_information.chunks
      where hypertable_schema = current_schema and hypertable_name in (${names}) and not is_compressed
        and range_start < now() and range_end > now() - interval '14 days')
    select d.hypertable_name as name, extract(epoch from d.time_interval) * 1000 as current,
      sum(r.spanned) as spanned, sum(r.bytes) as bytes
    from timescaledb_information.dimensions d left join recent r using (hypertable_name)
    where d.hypertable_schema = current_schema and d.hypertable_name in (${names}) and d.time_interval is not null
    group by 1, 2`)
  return new Map(
    records(found).map((row) => {
      const spanned = Number(row['spanned'] ?? 0)
      const bytesPerMs = spanned < LEAST_MEASURED_MS ? undefined : Number(row['bytes']) / spanned
      return [row['name'] ?? '', { current: Number(row['current']), bytesPerMs }]
    }),
  )
}
