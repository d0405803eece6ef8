import type { Migration } from './migration.ts'

/**
 * As `tapeline_move_reentering` of migration 1, for quotes and status. They have no id: what makes two of them the same is all
 * that they say, absent values included. Each is looked up in the index by time (and symbol).
 */
function mover(table: string, columns: readonly string[], indexed: readonly string[]): string {
  const others = columns.filter((column) => !indexed.includes(column))
  const list = columns.join(', ')
  const same = [
    ...indexed.map((column) => `t.${column} = s.${column}`),
    ...others.map((column) => `t.${column} is not distinct from s.${column}`),
  ]
  return `
create function tapeline_move_${table}() returns void language plpgsql as $$
declare
  low timestamptz;
  high timestamptz;
begin
  select min(ts), max(ts) into low, high from staged_${table};
  execute format(
    'insert into ${table} (${list})
     select distinct ${list}
     from staged_${table} s
     where (
       select true from ${table} t
       where t.ts between %L and %L
         and ${same.join('\n         and ')}
       limit 1) is null', low, high);
end $$;`
}

const QUOTES = [
  'exchange',
  'symbol',
  'bid',
  'bid_size',
  'ask',
  'ask_size',
  'last',
  'volume_24h',
  'ts',
  'recv_ts',
]
const STATUS = ['source', 'exchange', 'state', 'symbol', 'from_ts', 'to_ts', 'detail', 'ts']

/** Quotes and status that enter again (a replay of dead letters) make no second row either. */
export const reentering: Migration = {
  id: 5,
  name: '0005-reentering',
  sql: mover('quotes', QUOTES, ['symbol', 'ts']) + mover('status', STATUS, ['ts']),
}
