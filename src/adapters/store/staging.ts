import { TABLES } from '../../domain/rows.ts'

/**
 * Tables of the session that rows pass through where COPY alone does not do: candles, of which the last one counts, and
 * trades that enter again. They are empty after each transaction. `arrival` keeps the order in which rows came.
 */
export const STAGING_TABLES = `
  create temporary table if not exists staged_trades (
    exchange text, symbol text, id text, side text, price double precision, size double precision,
    ts timestamptz, recv_ts timestamptz,
    arrival bigint generated always as identity
  ) on commit delete rows;
  create temporary table if not exists staged_candles (
    exchange text, symbol text, "interval" text, open double precision, high double precision, low double precision,
    close double precision, volume double precision, trades integer, ts timestamptz, closed boolean,
    arrival bigint generated always as identity
  ) on commit delete rows;`

/** Columns as a list of SQL identifiers. */
export function columnList(columns: readonly string[]): string {
  return columns.map((column) => `"${column}"`).join(', ')
}

const candle = columnList(TABLES.candle.columns)
const candleValues = TABLES.candle.columns
  .filter((column) => !['exchange', 'symbol', 'interval', 'ts'].includes(column))
  .map((column) => `"${column}" = excluded."${column}"`)
  .join(', ')

/** Moves staged trades that the table does not have; of several equal ones the first (migration 1). */
export const INSERT_STAGED_TRADES = 'select tapeline_move_reentering();'

/** Moves staged candles: of each key the last, over one that is there. */
export const UPSERT_STAGED_CANDLES = `
  insert into candles (${candle})
  select distinct on (exchange, symbol, "interval", ts) ${candle} from staged_candles
  order by exchange, symbol, "interval", ts, arrival desc
  on conflict (exchange, symbol, "interval", ts) do update set ${candleValues};`
