import { isoMicros } from '../../../domain/time.ts'
import { ROW_BYTES } from '../columnstore.ts'
import { AGGREGATES } from '../policies.ts'
import { records, type SqlSession } from '../session.ts'

type Aggregate = (typeof AGGREGATES)[number]

/** The chunks that one step reads, and those of candles that it makes, at the most: each of these costs up to 0.1 s, however few rows it has. */
const STEP_CHUNKS = 8

export interface RefreshLimits {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Rows that one window may read. */
  readonly maxRows: number
  /** Whether a single bucket may have more. */
  readonly largeBuckets: boolean
  /** Trades older than this are gone, and their candles must not be computed again. */
  readonly retentionMs: number | undefined
}

/**
 * Materialises the next window of the continuous aggregates that has changed: the oldest of the finest first. Never a
 * newer one before an older one, since what lies below the newest materialised bucket is not computed by queries any more.
 *
 * The policy's own job does not do here: with trades five years apart it took 9.5 s to plan one minute, measured, and
 * nothing else runs meanwhile. So the window is looked up in the lists of changes that TimescaleDB keeps.
 */
export async function refreshNextWindow(
  session: SqlSession,
  limits: RefreshLimits,
): Promise<string | undefined> {
  for (const aggregate of AGGREGATES) {
    const window = await nextWindow(session, aggregate, limits)
    if (window === 'later') return undefined
    if (window === 'none') continue
    const [from, to] = [isoMicros(window.from), isoMicros(window.to)]
    await session.execute(
      `call refresh_continuous_aggregate('${aggregate.view}', timestamptz '${from}', timestamptz '${to}')`,
    )
    return `refresh ${aggregate.view} ${from} to ${to}`
  }
  return undefined
}

/**
 * Changed ranges lie in three lists: those of the aggregate, which begin as everything there is; those of the table below
 * it that no refresh has looked at yet; and those that a refresh has taken up but not ended, because it failed or the
 * process was killed. Where they meet a chunk there is something to compute. Times are microseconds. Several, since most
 * chunks of a quiet market have few rows.
 *
 * `width` is the time that a chunk's rows spread over, which for the newest one ends now.
 */
function firstChanges(view: string): string {
  return `
    with aggregate as (
      select mat_hypertable_id, raw_hypertable_id from _timescaledb_catalog.continuous_agg
      where user_view_schema = current_schema and user_view_name = '${view}'
    ), changed as (
      select lowest_modified_value as low, greatest_modified_value as high
      from _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
      join aggregate on materialization_id = mat_hypertable_id
      union all
      select lowest_modified_value, greatest_modified_value
      from _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log
      join aggregate on hypertable_id = raw_hypertable_id
      union all
      select lowest_modified_value, greatest_modified_value
      from _timescaledb_catalog.continuous_aggs_materialization_ranges
      join aggregate on materialization_id = mat_hypertable_id
    ), chunks as (
      select s.range_start, s.range_end, format('%I.%I', c.schema_name, c.table_name) as name
      from aggregate
      join _timescaledb_catalog.chunk c on c.hypertable_id = raw_hypertable_id and not c.dropped
      join _timescaledb_catalog.chunk_constraint cc on cc.chunk_id = c.id
      join _timescaledb_catalog.dimension_slice s on s.id = cc.dimension_slice_id
    )
    select greatest(range_start, low, $2::bigint) as low, least(range_end - 1, high) as high,
      least(range_end, $3::bigint) - range_start as width, pg_relation_size(name::regclass) as bytes
    from chunks join changed on low < range_end and high >= range_start
    where greatest(range_start, low, $2::bigint) < least($1::bigint, range_end) and high >= $2::bigint
    order by 1 limit ${STEP_CHUNKS}`
}

/** A changed range within one chunk, ends included. */
interface Change {
  readonly low: number
  readonly high: number
  /** About how many of the chunk's rows lie in a microsecond. */
  readonly density: number
}

/** `later`: the next bucket is larger than the limit. */
async function nextWindow(
  session: SqlSession,
  { view, bucketMs, settledMs, chunkMs }: Aggregate,
  { now, maxRows, largeBuckets, retentionMs }: RefreshLimits,
): Promise<{ readonly from: number; readonly to: number } | 'none' | 'later'> {
  const bucket = bucketMs * 1000
  const settled = floor((now - settledMs) * 1000, bucket)
  const oldest =
    view === 'trade_candles_1m' && retentionMs !== undefined ? ceil((now - retentionMs) * 1000, bucket) : 0
  const found = await session.rows(firstChanges(view), [settled, oldest, now * 1000])
  const [first, ...others] = records(found).map((row): Change => {
    const [low, high, width, bytes] = ['low', 'high', 'width', 'bytes'].map((key) => Number(row[key]))
    return { low: low ?? 0, high: high ?? 0, density: (bytes ?? 0) / ROW_BYTES / (width || 1) }
  })
  if (first === undefined) return 'none'
  const rowsPerBucket = first.density * bucket
  if (rowsPerBucket > maxRows && !largeBuckets) return 'later'
  const from = floor(first.low, bucket)
  const last = Math.min(settled, floor(first.low, chunkMs * 1000) + STEP_CHUNKS * chunkMs * 1000)
  const endOf = ({ high }: Change): number => Math.min(ceil(high + 1, bucket), last)
  const most = Math.max(1, Math.floor(maxRows / Math.max(1, rowsPerBucket)))
  let to = Math.min(endOf(first), from + most * bucket)
  if (to < endOf(first)) return { from, to }
  let rows = rowsOf(first)
  for (const other of others) {
    rows += rowsOf(other)
    if (rows > maxRows) break
    to = Math.max(to, endOf(other))
  }
  return { from, to }
}

function rowsOf({ low, high, density }: Change): number {
  return (high + 1 - low) * density
}

function floor(value: number, unit: number): number {
  return Math.floor(value / unit) * unit
}

function ceil(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit
}
