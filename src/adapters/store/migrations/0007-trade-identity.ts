import type { Migration } from './migration.ts'

/**
 * What makes two trades one (R28): exchange, symbol, id, price, size and time. Sources give times to the second, millisecond or
 * microsecond, so a time is also the same where one is the other cut or rounded to a whole second or millisecond:
 * `isSameTime` of `src/domain/trade-identity.ts` says the same.
 *
 * `tapeline_move_trades` follows `tapeline_move_reentering` and looks each staged trade up in the index: at the times that it
 * may have with another precision, which are points, and in the range that its own precision leaves open. A function of another name, since processes
 * of the version before may run on.
 *
 * `cause` says why a gap is one. It is null in rows of earlier versions.
 */
export const tradeIdentity: Migration = {
  id: 7,
  name: '0007-trade-identity',
  sql: `
alter table status add column cause text;

create function tapeline_is_same_time(a timestamptz, b timestamptz) returns boolean language sql stable parallel safe as $$
  select a = b
    or (date_trunc('second', a) = a and b >= a - interval '0.5 s' and b < a + interval '1 s')
    or (date_trunc('second', b) = b and a >= b - interval '0.5 s' and a < b + interval '1 s')
    or (date_trunc('milliseconds', a) = a and b >= a - interval '0.5 ms' and b < a + interval '1 ms')
    or (date_trunc('milliseconds', b) = b and a >= b - interval '0.5 ms' and a < b + interval '1 ms')
$$;

create function tapeline_move_trades() returns void language plpgsql as $$
declare
  low timestamptz;
  high timestamptz;
begin
  select min(ts) - interval '1 s', max(ts) + interval '1 s' into low, high from staged_trades;
  execute format(
    'insert into trades (exchange, symbol, id, side, price, size, ts, recv_ts)
     select exchange, symbol, id, side, price, size, ts, recv_ts
     from (
       select *, date_trunc(''milliseconds'', ts) as millisecond, date_trunc(''second'', ts) as second,
         lag(ts) over (partition by exchange, symbol, id, price, size order by ts, arrival) as former
       from staged_trades) s
     where (former is null or not tapeline_is_same_time(former, ts))
       and (
         select true from trades t
         where t.symbol = s.symbol and t.ts between %1$L and %2$L
           and t.ts = any(array[s.ts, s.millisecond, s.millisecond + interval ''1 ms'', s.second, s.second + interval ''1 s''])
           and t.exchange = s.exchange and t.id = s.id and t.price = s.price and t.size = s.size
           and tapeline_is_same_time(t.ts, s.ts)
         limit 1) is null
       and (s.ts <> s.millisecond or (
         select true from trades t
         where t.symbol = s.symbol and t.ts between %1$L and %2$L
           and t.ts >= s.ts - case when s.ts = s.second then interval ''0.5 s'' else interval ''0.5 ms'' end
           and t.ts < s.ts + case when s.ts = s.second then interval ''1 s'' else interval ''1 ms'' end
           and t.exchange = s.exchange and t.id = s.id and t.price = s.price and t.size = s.size
         limit 1) is null)
     order by arrival', low, high);
end $$;

create function tapeline_move_events() returns void language plpgsql as $$
declare
  low timestamptz;
  high timestamptz;
begin
  select min(ts), max(ts) into low, high from staged_events;
  execute format(
    'insert into status (source, exchange, state, symbol, from_ts, to_ts, detail, ts, cause)
     select distinct source, exchange, state, symbol, from_ts, to_ts, detail, ts, cause
     from staged_events s
     where (
       select true from status t
       where t.ts between %L and %L and t.ts = s.ts
         and t.source = s.source and t.exchange = s.exchange and t.state = s.state and t.detail = s.detail
         and t.symbol is not distinct from s.symbol
         and t.from_ts is not distinct from s.from_ts
         and t.to_ts is not distinct from s.to_ts
         and t.cause is not distinct from s.cause
       limit 1) is null', low, high);
end $$;`,
}
