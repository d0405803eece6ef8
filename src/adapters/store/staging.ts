import { TABLES } from '../../domain/rows.ts'

/**
 * Tables of the session that rows pass through where COPY alone does not do: candles, of which the last one counts, and rows
 * that enter again. They are empty after each transaction. `arrival` keeps the order in which rows came.
 */
export const STAGING_TABLES = `
  create temporary table if not exists staged_trades (
    exchange text, symbol text, id text, side text, price double precision, size double precision,
    ts timestamptz, recv_ts timestamptz,
    arrival bigint generated always as identity
  ) on commit delete rows;
  create temporary table if not exists staged_quotes (
    exchange text, symbol text, bid double precision, bid_size double precision, ask double precision,
    ask_size double precision, last double precision, volume_24h double precision, ts timestamptz, recv_ts timestamptz
  ) on commit delete rows;
  create temporary table if not exists staged_books (
    exchange text, symbol text, bids double precision[], asks double precision[], doubt text, ts timestamptz,
    recv_ts timestamptz
  ) on commit delete rows;
  create temporary table if not exists staged_events (
    source text, exchange text, state text, symbol text, from_ts timestamptz, to_ts timestamptz, detail text,
    ts timestamptz, cause text
  ) on commit delete rows;
  create temporary table if not exists staged_instruments (
    exchange text, symbol text, name text, base text, quote text, tick text, lot text, status text, ts timestamptz,
    arrival bigint generated always as identity
  ) on commit delete rows;
  ${candles('staged_candles')}
  ${candles('staged_late_candles')}`

function candles(table: string): string {
  return `create temporary table if not exists ${table} (
    exchange text, symbol text, "interval" text, open double precision, high double precision, low double precision,
    close double precision, volume double precision, trades integer, ts timestamptz, closed boolean,
    arrival bigint generated always as identity
  ) on commit delete rows;`
}

/** Columns as a list of SQL identifiers. */
export function columnList(columns: readonly string[]): string {
  return columns.map((column) => `"${column}"`).join(', ')
}

/** Moves staged trades that the table does not have; of several equal ones the first (migration 7). */
export const INSERT_STAGED_TRADES = 'select tapeline_move_trades();'

/** Moves staged quotes and status that the tables do not have; of several equal ones one (migrations 5 and 7). */
export const INSERT_STAGED_QUOTES = 'select tapeline_move_quotes();'
export const INSERT_STAGED_STATUS = 'select tapeline_move_events();'

/** Moves staged books that the table does not have, by all that they say; of several equal ones one. */
export const INSERT_STAGED_BOOKS = `
  insert into books (exchange, symbol, bids, asks, doubt, ts, recv_ts)
  select distinct exchange, symbol, bids, asks, doubt, ts, recv_ts from staged_books s
  where not exists (
    select from books b
    where b.ts between (select min(ts) from staged_books) and (select max(ts) from staged_books)
      and b.symbol = s.symbol and b.ts = s.ts and b.exchange = s.exchange and b.recv_ts = s.recv_ts
      and b.bids = s.bids and b.asks = s.asks and b.doubt is not distinct from s.doubt);`

/** Moves staged candles: of each key the last, over one that is there. */
export const UPSERT_STAGED_CANDLES = `${upsertCandles('staged_candles')};`

/** Moves staged candles that enter again: what is newer has come meanwhile, so only an open candle is replaced, by a closed one. */
export const INSERT_LATE_CANDLES = `${upsertCandles('staged_late_candles')} where not candles.closed and excluded.closed;`

/** Moves what exchanges list: of each market the last word, which follows from the order of the log alone. */
export const UPSERT_STAGED_INSTRUMENTS = `${upsert('instrument', ['exchange', 'symbol'], 'staged_instruments')};`

function upsertCandles(from: string): string {
  return upsert('candle', ['exchange', 'symbol', 'interval', 'ts'], from)
}

function upsert(channel: 'candle' | 'instrument', key: readonly string[], from: string): string {
  const { name, columns } = TABLES[channel]
  const values = columns
    .filter((column) => !key.includes(column))
    .map((column) => `"${column}" = excluded."${column}"`)
    .join(', ')
  return `
  insert into ${name} (${columnList(columns)})
  select distinct on (${columnList(key)}) ${columnList(columns)} from ${from}
  order by ${columnList(key)}, arrival desc
  on conflict (${columnList(key)}) do update set ${values}`
}
