import type { Migration } from './migration.ts'

/**
 * No unique index on `trades`: it would halve COPY, and the offsets make it needless.
 * The claims' table has room in each page, so that an update stays in its page and leaves no dead index entries.
 *
 * `tapeline_move_reentering` looks each staged trade up in the index: a join would be planned without statistics and read
 * all of `trades`. The times are constants, so that chunks outside of them are left out when the statement is planned.
 */
export const tables: Migration = {
  id: 1,
  name: '0001-tables',
  sql: `
create table trades (
  exchange text not null,
  symbol text not null,
  id text not null,
  side text not null,
  price double precision not null,
  size double precision not null,
  ts timestamptz not null,
  recv_ts timestamptz not null
);
create index trades_symbol_ts on trades (symbol, ts desc);

create table quotes (
  exchange text not null,
  symbol text not null,
  bid double precision,
  bid_size double precision,
  ask double precision,
  ask_size double precision,
  last double precision,
  volume_24h double precision,
  ts timestamptz not null,
  recv_ts timestamptz not null
);
create index quotes_symbol_ts on quotes (symbol, ts desc);

create table candles (
  exchange text not null,
  symbol text not null,
  "interval" text not null,
  open double precision not null,
  high double precision not null,
  low double precision not null,
  close double precision not null,
  volume double precision not null,
  trades integer,
  ts timestamptz not null,
  closed boolean not null
);
create unique index candles_key on candles (exchange, symbol, "interval", ts);
create index candles_symbol_ts on candles (symbol, "interval", ts desc);

create table status (
  source text not null,
  exchange text not null,
  state text not null,
  symbol text,
  from_ts timestamptz,
  to_ts timestamptz,
  detail text not null,
  ts timestamptz not null
);
create index status_ts on status (ts desc);

create table tapeline_offsets (
  topic text not null,
  topic_id text not null,
  partition integer not null,
  next_offset bigint not null,
  fence bigint not null,
  memory jsonb not null,
  claimed_at timestamptz not null default now(),
  written_at timestamptz,
  primary key (topic_id, partition)
) with (fillfactor = 50);

create function tapeline_advance(advances jsonb) returns void language plpgsql as $$
declare
  stale jsonb;
begin
  with wanted as (
    select * from jsonb_to_recordset(advances) as a(
      topic text, topic_id text, partition integer, expected bigint, fence bigint, next bigint, memory jsonb)
  ), advanced as (
    update tapeline_offsets o
    set next_offset = w.next, memory = w.memory, written_at = now()
    from wanted w
    where o.topic_id = w.topic_id and o.partition = w.partition
      and o.next_offset = w.expected and o.fence = w.fence
    returning o.topic_id, o.partition
  )
  select jsonb_agg(jsonb_build_object('topic', w.topic, 'partition', w.partition)) into stale
  from wanted w
  where not exists (select from advanced a where a.topic_id = w.topic_id and a.partition = w.partition);
  if stale is not null then
    raise exception 'a claim is no longer valid' using errcode = 'TL001', detail = stale::text;
  end if;
end $$;

create function tapeline_move_reentering() returns void language plpgsql as $$
declare
  low timestamptz;
  high timestamptz;
begin
  select min(ts), max(ts) into low, high from staged_trades;
  execute format(
    'insert into trades (exchange, symbol, id, side, price, size, ts, recv_ts)
     select distinct on (exchange, symbol, id, ts) exchange, symbol, id, side, price, size, ts, recv_ts
     from staged_trades s
     where (
       select true from trades t
       where t.symbol = s.symbol and t.ts = s.ts and t.ts between %L and %L
         and t.exchange = s.exchange and t.id = s.id
       limit 1) is null
     order by exchange, symbol, id, ts, arrival', low, high);
end $$;`,
}
