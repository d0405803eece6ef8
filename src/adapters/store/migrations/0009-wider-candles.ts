import { asView } from './0008-candle-order.ts'
import type { Migration } from './migration.ts'

/** Each with the interval whose candles it is computed from. */
const WIDER = [
  { interval: '15m', width: '15 minutes', finer: '5m' },
  { interval: '4h', width: '4 hours', finer: '1h' },
] as const
type Wider = (typeof WIDER)[number]

function candlesOver(relation: string, { width }: Wider): string {
  return `
select exchange, symbol, time_bucket(interval '${width}', bucket) as bucket,
  first(open, bucket) as open, max(high) as high, min(low) as low, last(close, bucket) as close,
  sum(volume) as volume, sum(trades)::bigint as trades
from ${relation}
group by 1, 2, 3`
}

function overCandles(wider: Wider): string {
  return `
create materialized view trade_candles_${wider.interval} with (timescaledb.continuous, timescaledb.materialized_only = false) as
${candlesOver(`trade_candles_${wider.finer}`, wider)}
with no data;`
}

/**
 * Where there are candles of a former version (migration 8), the view of the finer interval says in its own text up to when they count:
 * a whole day. They are put together by each query.
 */
function asUnion(wider: Wider): string {
  const { interval, finer } = wider
  const columns = 'exchange, symbol, bucket, open, high, low, close, volume, trades'
  return `
do $$
declare
  border text := substring(pg_get_viewdef('candles_${finer}'::regclass) from 'bucket < ''([^'']+)''');
begin
  if border is null then
    create view candles_${interval} as select ${columns} from trade_candles_${interval};
  else
    execute format(
      'create view candles_${interval} as
       select ${columns} from trade_candles_${interval} where bucket >= %1$L
       union all
       ${candlesOver(`(select * from former_candles_${finer} where bucket < %1$L) former`, wider).replaceAll("'", "''")}', border);
  end if;
end $$;`
}

/**
 * Candles of 15 minutes and 4 hours, as those of the other intervals. Nothing that is there changes, so a platform that runs meanwhile
 * goes on; the aggregates begin empty and are filled step by step. Behind a query that holds the tables for longer than 30 s it gives up.
 */
export const widerCandles: Migration = {
  id: 9,
  name: '0009-wider-candles',
  needs: 'community',
  sql: `
set local lock_timeout = '30s';
drop view if exists candles_15m, candles_4h;
${WIDER.map(overCandles).join('')}
${WIDER.map(asUnion).join('')}`,
  substitute: WIDER.map(({ interval, width }) => asView(interval, width)).join(''),
}
