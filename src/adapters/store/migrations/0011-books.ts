import type { Migration } from './migration.ts'

/**
 * The top levels of books, where `store.books` asks for them: a row for each snapshot in the log, and for each doubt, which has no levels. `bids` and `asks` are pairs of price and
 * size, the best first.
 */
export const books: Migration = {
  id: 11,
  name: '0011-books',
  sql: `
create table books (
  exchange text not null,
  symbol text not null,
  bids double precision[] not null,
  asks double precision[] not null,
  doubt text,
  ts timestamptz not null,
  recv_ts timestamptz not null
);
create index books_symbol_ts on books (symbol, ts desc);`,
}
