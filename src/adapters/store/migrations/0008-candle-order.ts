import type { Migration } from './migration.ts'

/**
 * Trades of one market at the same microsecond count by the value of their ids where these are digits (9 before 10), else in the
 * order of their arrival. The key is bytes, which `first` and `last` compare: time, then the number, or what sorts behind all
 * numbers. It costs as much as the text of migration 3 did.
 */
export const ARRIVAL_ORDER = `timestamptz_send(ts) || case
    when id = '' or translate(id, '0123456789', '') <> '' then '\\x3a'::bytea || timestamptz_send(recv_ts) || textsend(id)
    when length(id) <= 18 then int8send(id::int8)
    else textsend(lpad(id, 128, '0')) end`

const WIDTHS = { '1m': '1 minute', '5m': '5 minutes', '1h': '1 hour', '1d': '1 day' } as const
type Interval = keyof typeof WIDTHS

function overTrades(interval: Interval): string {
  return `
create materialized view trade_candles_${interval} with (timescaledb.continuous, timescaledb.materialized_only = false) as
select exchange, symbol, time_bucket(interval '${WIDTHS[interval]}', ts) as bucket,
  first(price, ${ARRIVAL_ORDER}) as open, max(price) as high, min(price) as low, last(price, ${ARRIVAL_ORDER}) as close,
  sum(size) as volume, count(*) as trades
from trades
group by 1, 2, 3
with no data;`
}

function overCandles(interval: Interval, finer: Interval): string {
  return `
create materialized view trade_candles_${interval} with (timescaledb.continuous, timescaledb.materialized_only = false) as
select exchange, symbol, time_bucket(interval '${WIDTHS[interval]}', bucket) as bucket,
  first(open, bucket) as open, max(high) as high, min(low) as low, last(close, bucket) as close,
  sum(volume) as volume, sum(trades)::bigint as trades
from trade_candles_${finer}
group by 1, 2, 3
with no data;`
}

/**
 * Candles of trades that retention has removed cannot be computed anew: where there are such, the former aggregates stay for what
 * lies before the first whole day of trades, and are not refreshed any more. Else they go.
 */
const REPLACE = `
do $$
declare
  oldest timestamptz;
  finest regclass;
  has_older boolean := false;
  width text;
begin
  select min(range_start) into oldest from timescaledb_information.chunks
  where hypertable_schema = current_schema and hypertable_name = 'trades';
  select format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass into finest
  from timescaledb_information.continuous_aggregates
  where view_schema = current_schema and view_name = 'candles_1m';
  execute format('select exists (select from %s where bucket < %L)', finest, coalesce(oldest, 'infinity'))
  into has_older;
  foreach width in array array['1d', '1h', '5m', '1m'] loop
    if has_older then
      perform remove_continuous_aggregate_policy(format('candles_%s', width)::regclass, if_exists => true);
      execute format('alter materialized view candles_%s rename to former_candles_%s', width, width);
    else
      execute format('drop materialized view candles_%s', width);
    end if;
  end loop;
  foreach width in array array['1m', '5m', '1h', '1d'] loop
    if has_older then
      execute format(
        'create view candles_%1$s as
         select exchange, symbol, bucket, open, high, low, close, volume, trades from trade_candles_%1$s where bucket >= %2$L
         union all
         select exchange, symbol, bucket, open, high, low, close, volume, trades from former_candles_%1$s where bucket < %2$L',
        width, coalesce(time_bucket(interval '1 day', oldest + interval '1 day' - interval '1 us'), 'infinity'));
    else
      execute format(
        'create view candles_%1$s as
         select exchange, symbol, bucket, open, high, low, close, volume, trades from trade_candles_%1$s', width);
    end if;
  end loop;
end $$;`

/** A view over trades. 2000-01-03 is where `time_bucket` counts from; for these widths every midnight in UTC does. */
export function asView(interval: string, width: string): string {
  return `
create or replace view candles_${interval} as
select exchange, symbol, date_bin(interval '${width}', ts, timestamptz '2000-01-03 00:00:00+00') as bucket,
  (array_agg(price order by ${ARRIVAL_ORDER}))[1] as open, max(price) as high, min(price) as low,
  (array_agg(price order by ${ARRIVAL_ORDER} desc))[1] as close,
  sum(size) as volume, count(*) as trades
from trades
group by 1, 2, 3;`
}

/**
 * The candles that we compute, with trades of one time in the right order. The new aggregates begin empty, so that the migration locks the
 * tables for a moment only. Where somebody's query holds them for longer, the migration gives up rather than have writers wait behind it.
 * Queries compute what the aggregates do not have yet, and the policies (or `refresh.ts`) fill the aggregates step by step.
 */
export const candleOrder: Migration = {
  id: 8,
  name: '0008-candle-order',
  needs: 'community',
  sql: `
set local lock_timeout = '30s';
${overTrades('1m')}
${overCandles('5m', '1m')}
${overCandles('1h', '5m')}
${overCandles('1d', '1h')}
${REPLACE}`,
  substitute: (['1m', '5m', '1h', '1d'] as const)
    .map((interval) => asView(interval, WIDTHS[interval]))
    .join(''),
}
