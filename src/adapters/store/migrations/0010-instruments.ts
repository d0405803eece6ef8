import type { Migration } from './migration.ts'

/** What exchanges list: one row a market, which stays when the market is delisted. */
export const instruments: Migration = {
  id: 10,
  name: '0010-instruments',
  sql: `
create table instruments (
  exchange text not null,
  symbol text not null,
  name text not null,
  base text not null,
  quote text not null,
  tick text,
  lot text,
  status text not null,
  ts timestamptz not null,
  primary key (exchange, symbol)
);`,
}
