import type { Migration } from './migration.ts'

/**
 * Trades of one market at the same microsecond count in the order of their ids: the fills of one order that sweeps
 * several levels carry one time and rising ids. The key is text, which `first` and `last` can compare: seconds with six
 * digits, then the id. It costs a third more than `ts` alone, which would take any of them.
 */
const ORDER = `(extract(epoch from ts)::text || id) collate "C"`

function overTrades(view: string, width: string): string {
  return `
create materialized view ${view} with (timescaledb.continuous, timescaledb.materialized_only = false) as
select exchange, symbol, time_bucket(interval '${width}', ts) as bucket,
  first(price, ${ORDER}) as open, max(price) as high, min(price) as low, last(price, ${ORDER}) as close,
  sum(size) as volume, count(*) as trades
from trades
group by 1, 2, 3
with no data;`
}

function overCandles(view: string, width: string, finer: string): string {
  return `
create materialized view ${view} with (timescaledb.continuous, timescaledb.materialized_only = false) as
select exchange, symbol, time_bucket(interval '${width}', bucket) as bucket,
  first(open, bucket) as open, max(high) as high, min(low) as low, last(close, bucket) as close,
  sum(volume) as volume, sum(trades)::bigint as trades
from ${finer}
group by 1, 2, 3
with no data;`
}

/** 2000-01-03 is where `time_bucket` counts from; for these widths every midnight in UTC does. */
function asView(view: string, width: string): string {
  return `
create or replace view ${view} as
select exchange, symbol, date_bin(interval '${width}', ts, timestamptz '2000-01-03 00:00:00+00') as bucket,
  (array_agg(price order by ts, id collate "C"))[1] as open, max(price) as high, min(price) as low,
  (array_agg(price order by ts desc, id collate "C" desc))[1] as close,
  sum(size) as volume, count(*) as trades
from trades
group by 1, 2, 3;`
}

/** What we compute: candles of each exchange and market, real-time above what has been materialised. */
export const candleAggregates: Migration = {
  id: 3,
  name: '0003-candle-aggregates',
  needs: 'community',
  sql: `
drop view if exists candles_1m, candles_5m, candles_1h, candles_1d;
${overTrades('candles_1m', '1 minute')}
${overCandles('candles_5m', '5 minutes', 'candles_1m')}
${overCandles('candles_1h', '1 hour', 'candles_5m')}
${overCandles('candles_1d', '1 day', 'candles_1h')}`,
  substitute: [
    asView('candles_1m', '1 minute'),
    asView('candles_5m', '5 minutes'),
    asView('candles_1h', '1 hour'),
    asView('candles_1d', '1 day'),
  ].join(''),
}
