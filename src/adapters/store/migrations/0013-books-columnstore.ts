import type { Migration } from './migration.ts'

export const booksColumnstore: Migration = {
  id: 13,
  name: '0013-books-columnstore',
  needs: 'community',
  sql: `
alter table books set (timescaledb.enable_columnstore, timescaledb.segmentby = 'symbol', timescaledb.orderby = 'ts desc');`,
}
