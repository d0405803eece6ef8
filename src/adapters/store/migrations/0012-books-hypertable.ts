import type { Migration } from './migration.ts'

export const booksHypertable: Migration = {
  id: 12,
  name: '0012-books-hypertable',
  needs: 'hypertables',
  sql: `
select create_hypertable('books', by_range('ts', interval '1 hour'), create_default_indexes => false, migrate_data => true);`,
}
