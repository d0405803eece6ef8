import type { CandleQuery } from '../../ports/store.ts'
import { marketTimes } from './market-times.ts'
import { ARRIVAL_ORDER } from './migrations/0008-candle-order.ts'
import { AGGREGATES } from './policies.ts'
import { records, type SqlSession } from './session.ts'
import { type ChunkedTable, hypertableId, type Layout, MOST_CHUNKS, timeDimension } from './time-windows.ts'

type Interval = CandleQuery['interval']
type Market = Pick<CandleQuery, 'symbol' | 'exchange'>

/** Where candles come from. */
export interface CandleSource {
  /** A statement for the candles of the rows that match, in any order; its times are in the column `bucket`. */
  readonly select: (where: string) => string
  /** The column of the rows that bounds in time are for, and what these are multiples of, in microseconds. */
  readonly time: 'bucket' | 'ts'
  readonly unit: number
  readonly layout: Layout
  /** Where windows above a time (microseconds) are read for less. */
  readonly above?: { readonly low: number; readonly source: Omit<CandleSource, 'above'> }
}

/** How wide the candles of an interval are, in microseconds. */
export function bucketMicros(interval: Interval): number {
  const found = AGGREGATES.find(({ view }) => view === `trade_candles_${interval}`)
  if (found === undefined) throw new Error(`no aggregate has candles of ${interval}`)
  return found.bucketMs * 1000
}

/**
 * Where the candles that we compute are read: from the view of the interval, as long as its aggregates are about up to date. While
 * they are far behind the view cannot be bounded: no bound on the candles of a day reaches the trades below the candles of an
 * hour below them. Then they are put together from the view of a minute, whose bounds do. Where nothing is computed yet, or there are no
 * aggregates, they come from trades: the view would gather these anew for each interval in between.
 */
export async function computedCandles(
  session: SqlSession,
  interval: Interval,
  market: Market,
): Promise<CandleSource> {
  const { symbol } = market
  const trades = await hypertableId(session, 'trades')
  if (trades === undefined)
    return overTrades(interval, { kind: 'plain', rows: 'trades where symbol = $1', symbol })
  const aggregates = await aggregatesUpTo(session, interval)
  const finest = aggregates.find(({ view }) => view === 'trade_candles_1m')
  const own = aggregates.find(({ view }) => view === `trade_candles_${interval}`)
  if (finest === undefined || own === undefined)
    return overTrades(interval, { kind: 'chunks', of: [{ id: trades }] })
  const former = aggregates.filter(({ view }) => view.startsWith('former_'))
  // Candles of a former version outlast their trades.
  const known = former.length > 0 ? {} : { times: () => marketTimes(session, trades, market) }
  const unread = (layout: Layout): Pick<CandleSource, 'above'> =>
    former.length > 0
      ? {}
      : { above: { low: Number(finest.watermark), source: overTrades(interval, layout) } }
  if (finest.unread > MOST_CHUNKS && interval !== '1m') {
    const layout: Layout = { kind: 'chunks', of: [{ id: trades }, finest, ...former], ...known }
    return { ...overMinutes(interval, layout), ...unread(layout) }
  }
  const above = own.watermark
  const finer = aggregates.filter((each) => each !== own && !former.includes(each))
  const rest: ChunkedTable[] = [{ id: trades }, ...finer].map(({ id }) => ({ id, above }))
  const layout: Layout = { kind: 'chunks', of: [own, ...former, ...rest], ...known }
  return { ...overView(interval, layout), ...unread(layout) }
}

/** The candles of an interval as a source says them. */
export async function sourceCandles(
  session: SqlSession,
  interval: Interval,
  { symbol }: Market,
): Promise<CandleSource> {
  const id = await hypertableId(session, 'candles')
  return {
    select: (where) =>
      `select ${COLUMNS}, ts as bucket from candles where "interval" = '${interval}' and ${where}`,
    time: 'ts',
    unit: 1,
    layout:
      id === undefined
        ? { kind: 'plain', rows: `candles where symbol = $1 and "interval" = '${interval}'`, symbol }
        : { kind: 'chunks', of: [{ id }] },
  }
}

interface Aggregate extends ChunkedTable {
  readonly view: string
  /** What lies below, in microseconds, is computed already. */
  readonly watermark: string
  /** Chunks of the table that it is computed from with rows above the watermark, counted to a little more than one statement may touch. */
  readonly unread: number
}

/** The aggregates that candles of an interval are computed from, and those of a former version. */
async function aggregatesUpTo(session: SqlSession, interval: Interval): Promise<Aggregate[]> {
  const count = AGGREGATES.findIndex(({ view }) => view === `trade_candles_${interval}`) + 1
  const current = AGGREGATES.slice(0, count).map(({ view }) => view)
  const views = [...current, ...current.map((view) => view.replace('trade_', 'former_'))]
  const found = await session.rows(`
    select user_view_name as view, mat_hypertable_id as id, watermark,
      (select count(*) from (
         select from _timescaledb_catalog.dimension_slice
         where dimension_id in (${timeDimension('raw_hypertable_id')})
           and range_end > watermark
         limit ${MOST_CHUNKS + 1}) s) as unread
    from _timescaledb_catalog.continuous_agg, _timescaledb_functions.cagg_watermark(mat_hypertable_id) as watermark
    where user_view_schema = current_schema and user_view_name in (${views.map((view) => `'${view}'`).join(', ')})`)
  return records(found).map((row) => ({
    view: row['view'] ?? '',
    id: row['id'] ?? '',
    watermark: row['watermark'] ?? '',
    unread: Number(row['unread']),
  }))
}

const COLUMNS = 'exchange, symbol, open, high, low, close, volume, trades'

function overView(interval: Interval, layout: Layout): CandleSource {
  return {
    select: (where) => `select ${COLUMNS}, bucket from candles_${interval} where ${where}`,
    time: 'bucket',
    unit: bucketMicros(interval),
    layout,
  }
}

function overMinutes(interval: Interval, layout: Layout): CandleSource {
  return {
    select: (where) => `
      select exchange, symbol, ${binned(interval, 'bucket')} as bucket, (array_agg(open order by bucket))[1] as open,
        max(high) as high, min(low) as low, (array_agg(close order by bucket desc))[1] as close, sum(volume) as volume,
        sum(trades)::bigint as trades
      from candles_1m where ${where} group by exchange, symbol, ${binned(interval, 'bucket')}`,
    time: 'bucket',
    unit: bucketMicros(interval),
    layout,
  }
}

/** TimescaleDB gives the first and the last without sorting. */
const ENDS: { readonly [Kind in Layout['kind']]: { readonly open: string; readonly close: string } } = {
  chunks: { open: `first(price, ${ARRIVAL_ORDER})`, close: `last(price, ${ARRIVAL_ORDER})` },
  plain: {
    open: `(array_agg(price order by ${ARRIVAL_ORDER}))[1]`,
    close: `(array_agg(price order by ${ARRIVAL_ORDER} desc))[1]`,
  },
}

function overTrades(interval: Interval, layout: Layout): CandleSource {
  const { open, close } = ENDS[layout.kind]
  return {
    select: (where) => `
      select exchange, symbol, ${binned(interval, 'ts')} as bucket, ${open} as open,
        max(price) as high, min(price) as low, ${close} as close,
        sum(size) as volume, count(*) as trades
      from trades where ${where} group by exchange, symbol, ${binned(interval, 'ts')}`,
    time: 'ts',
    unit: bucketMicros(interval),
    layout,
  }
}

function binned(interval: Interval, column: string): string {
  return `date_bin(interval '${bucketMicros(interval) / 1e6} seconds', ${column}, timestamptz '2000-01-03 00:00:00+00')`
}
