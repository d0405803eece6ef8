import { literal } from '../../domain/sql-literal.ts'
import { isoMicros } from '../../domain/time.ts'
import type { RowQuery } from '../../ports/store.ts'
import { DatabaseError, records, type SqlSession } from './session.ts'
import { timeDimension } from './time-windows.ts'

/** Where a market may have trades, as far as its candles of an hour tell. Times are microseconds. */
export interface MarketTimes {
  /** The end of the newest time below `at` that there may be trades in; undefined where there is none. */
  before(at: number): Promise<number | undefined>
  /** The beginning of the oldest time from `at` on that there may be trades in. */
  after(at: number): Promise<number | undefined>
}

/** A time that the candles say nothing about, `high` not in it. */
interface Unknown {
  readonly low: number
  readonly high: number
}

const HOUR = 3_600_000_000
const VIEW = 'trade_candles_1h'
/** The candles of an hour, and those that they are computed from, up to trades. */
const CHAIN = ['trade_candles_1m', 'trade_candles_5m', VIEW]

/**
 * What the candles of an hour tell about a market: where it has none it has no trades, but for what has changed since they were
 * computed. TimescaleDB keeps lists of that, whoever wrote the rows. Those of a day would do with fewer rows, but are computed hours later.
 * Undefined where there are no such candles, or where the lists are not as we know them.
 */
export async function marketTimes(
  session: SqlSession,
  trades: string,
  { symbol, exchange }: Pick<RowQuery, 'symbol' | 'exchange'>,
): Promise<MarketTimes | undefined> {
  const unknown = await unknownTimes(session, trades).catch((error: unknown) => {
    if (error instanceof DatabaseError) return undefined
    throw error
  })
  if (unknown === undefined) return undefined
  const { settled, ranges } = unknown
  const market = exchange === undefined ? 'symbol = $1' : 'symbol = $1 and exchange = $2'
  const hourNear = async (where: string, order: 'asc' | 'desc'): Promise<number | undefined> => {
    const found = await session.rows(
      `select (extract(epoch from bucket) * 1000000)::bigint as hour from ${VIEW}
       where ${market} and bucket < ${moment(settled)} and ${where} order by bucket ${order} limit 1`,
      exchange === undefined ? [symbol] : [symbol, exchange],
    )
    const hour = records(found)[0]?.['hour']
    return hour == null ? undefined : Number(hour)
  }
  return {
    async before(at) {
      if (ranges.some(({ low, high }) => low < at && at <= high)) return at
      const hour = await hourNear(`bucket < ${moment(at)}`, 'desc')
      const ends = ranges.map(({ high }) => high).filter((high) => high <= at)
      if (hour !== undefined) ends.push(Math.min(at, hour + HOUR))
      return ends.length === 0 ? undefined : Math.max(...ends)
    },
    async after(at) {
      if (ranges.some(({ low, high }) => low <= at && at < high)) return at
      const hour = await hourNear(`bucket > ${moment(at - HOUR)}`, 'asc')
      const starts = ranges.map(({ low }) => low).filter((low) => low >= at)
      if (hour !== undefined) starts.push(Math.max(at, hour))
      return starts.length === 0 ? undefined : Math.min(...starts)
    },
  }
}

/** A constant: the planner leaves chunks out by it. */
function moment(micros: number): string {
  return `timestamptz ${literal(isoMicros(micros))}`
}

/** Up to where candles of an hour are computed, and the times that lie above or have changed since, where there are chunks. */
async function unknownTimes(
  session: SqlSession,
  trades: string,
): Promise<{ readonly settled: number; readonly ranges: readonly Unknown[] } | undefined> {
  const found = await session.rows(`
    with chain as (
      select mat_hypertable_id, raw_hypertable_id, _timescaledb_functions.cagg_watermark(mat_hypertable_id) as watermark
      from _timescaledb_catalog.continuous_agg
      where user_view_schema = current_schema and user_view_name in (${CHAIN.map(literal).join(', ')})
    ), settled as (
      select min(watermark) as watermark, count(*) as views from chain
    ), changed as (
      select lowest_modified_value as low, greatest_modified_value as high
      from _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
      join chain on materialization_id = mat_hypertable_id
      union
      select lowest_modified_value, greatest_modified_value
      from _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log
      join chain on hypertable_id = raw_hypertable_id
      union
      select lowest_modified_value, greatest_modified_value
      from _timescaledb_catalog.continuous_aggs_materialization_ranges
      join chain on materialization_id = mat_hypertable_id
      union
      select watermark, 9223372036854775807 from settled
    ), slices as (
      select range_start, range_end from _timescaledb_catalog.dimension_slice
      where dimension_id in (${timeDimension(trades)})
    )
    select s.watermark, s.views, r.low, r.high
    from settled s left join (
      select greatest(low, min(range_start)) as low, least(high, max(range_end) - 1) as high
      from changed join slices on range_end > low and range_start <= high
      group by changed.low, changed.high) r on true`)
  const rows = records(found)
  const settled = Number(rows[0]?.['watermark'])
  if (Number(rows[0]?.['views']) !== CHAIN.length || !(settled > 0)) return undefined
  const ranges = rows.flatMap(({ low, high }) =>
    // A candle that is to be computed anew may lack the trades of all of its hour.
    low == null || high == null
      ? []
      : [{ low: floorHour(Number(low)), high: floorHour(Number(high)) + HOUR }],
  )
  return { settled: floorHour(settled), ranges }
}

function floorHour(micros: number): number {
  return Math.floor(micros / HOUR) * HOUR
}
