import { KEPT_TABLES } from './policies.ts'
import { records, type SqlSession } from './session.ts'
import { MOST_CHUNKS } from './time-windows.ts'

/**
 * Removes the oldest chunks of trades or quotes whose events are all older than a time (milliseconds), as many as one statement may.
 * Candles computed from them stay. Gives what it did; undefined where nothing is left to do.
 */
export async function dropOldestChunks(session: SqlSession, before: number): Promise<string | undefined> {
  for (const table of KEPT_TABLES) {
    const found = await session.rows(
      `select count(*) as count, max(range_end) as until from (
         select range_end from timescaledb_information.chunks
         where hypertable_schema = current_schema and hypertable_name = '${table}'
           and range_end <= to_timestamp($1::double precision / 1000)
         order by range_end limit ${MOST_CHUNKS}) c`,
      [before],
    )
    const [row] = records(found)
    if (row?.['until'] == null) continue
    await session.execute(`select drop_chunks('${table}', older_than => timestamptz '${row['until']}')`)
    return `retention ${table} ${row['count']} chunks`
  }
  return undefined
}
