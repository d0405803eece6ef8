import { isoMicros } from '../../domain/time.ts'
import { DatabaseError, literal, records, type SqlSession } from './session.ts'
import { timeDimension } from './time-windows.ts'

/** Where a market may have trades, as far as its candles of a day tell. Times are microseconds. */
export interface MarketDays {
  /** The end of the newest time below `at` that there may be trades in; undefined where there is none. */
  before(at: number): Promise<number | undefined>
  /** The beginning of the oldest time from `at` on that there may be trades in. */
  after(at: number): Promise<number | undefined>
}

/** A time that the candles of a day say nothing about, `high` not in it. */
interface Unknown {
  readonly low: number
  readonly high: number
}

const DAY = 86_400_000_000
/** The candles of a day, and those that they are computed from, up to trades. */
const CHAIN = ['trade_candles_1m', 'trade_candles_5m', 'trade_candles_1h', 'trade_candles_1d']
const DAYS_VIEW = 'trade_candles_1d'

/**
 * What the candles of a day tell about a market: where it has none it has no trades, but for what has changed since they were
 * computed. TimescaleDB keeps lists of that, whoever wrote the rows. Undefined where there are no such candles, or where the lists are not as we know them.
 */
export async function marketDays(
  session: SqlSession,
  trades: string,
  symbol: string,
): Promise<MarketDays | undefined> {
  const unknown = await unknownTimes(session, trades).catch((error: unknown) => {
    if (error instanceof DatabaseError) return undefined
    throw error
  })
  if (unknown === undefined) return undefined
  const { settled, ranges } = unknown
  const dayNear = async (where: string, order: 'asc' | 'desc'): Promise<number | undefined> => {
    const found = await session.rows(
      `select (extract(epoch from bucket) * 1000000)::bigint as day from ${DAYS_VIEW}
       where symbol = $1 and bucket < ${moment(settled)} and ${where} order by bucket ${order} limit 1`,
      [symbol],
    )
    const day = records(found)[0]?.['day']
    return day == null ? undefined : Number(day)
  }
  return {
    async before(at) {
      if (ranges.some(({ low, high }) => low < at && at <= high)) return at
      const day = await dayNear(`bucket < ${moment(at)}`, 'desc')
      const ends = ranges.map(({ high }) => high).filter((high) => high <= at)
      if (day !== undefined) ends.push(Math.min(at, day + DAY))
      return ends.length === 0 ? undefined : Math.max(...ends)
    },
    async after(at) {
      if (ranges.some(({ low, high }) => low <= at && at < high)) return at
      const day = await dayNear(`bucket > ${moment(at - DAY)}`, 'asc')
      const starts = ranges.map(({ low }) => low).filter((low) => low >= at)
      if (day !== undefined) starts.push(Math.max(at, day))
      return starts.length === 0 ? undefined : Math.min(...starts)
    },
  }
}

/** A constant: the planner leaves chunks out by it. */
function moment(micros: number): string {
  return `timestamptz ${literal(isoMicros(micros))}`
}

/** Up to where candles of a day are computed, and the times that lie above or have changed since, where there are chunks. */
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
    // A day's candle that is to be computed anew may lack the trades of all of it.
    low == null || high == null ? [] : [{ low: floorDay(Number(low)), high: floorDay(Number(high)) + DAY }],
  )
  return { settled: floorDay(settled), ranges }
}

function floorDay(micros: number): number {
  return Math.floor(micros / DAY) * DAY
}
