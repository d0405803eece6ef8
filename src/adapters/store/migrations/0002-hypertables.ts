import type { Migration } from './migration.ts'

/**
 * Trades and quotes fill fast: chunks of an hour can be compressed one at a time without a long stall. Candles and status
 * are few. The intervals are for new chunks only and follow the configuration later (`policies.ts`).
 */
export const hypertables: Migration = {
  id: 2,
  name: '0002-hypertables',
  needs: 'hypertables',
  sql: `
select create_hypertable('trades', by_range('ts', interval '1 hour'), create_default_indexes => false, migrate_data => true);
select create_hypertable('quotes', by_range('ts', interval '1 hour'), create_default_indexes => false, migrate_data => true);
select create_hypertable('candles', by_range('ts', interval '7 days'), create_default_indexes => false, migrate_data => true);
select create_hypertable('status', by_range('ts', interval '7 days'), create_default_indexes => false, migrate_data => true);`,
}
