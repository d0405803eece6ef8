import type { Migration } from './migration.ts'

/** One market's rows lie together, newest first, as they are asked for. When chunks move there is policy (`policies.ts`). */
export const columnstore: Migration = {
  id: 4,
  name: '0004-columnstore',
  needs: 'community',
  sql: `
alter table trades set (timescaledb.enable_columnstore, timescaledb.segmentby = 'symbol', timescaledb.orderby = 'ts desc');
alter table quotes set (timescaledb.enable_columnstore, timescaledb.segmentby = 'symbol', timescaledb.orderby = 'ts desc');`,
}
