import { chooseSparse } from '../chunk-interval.ts'
import { ROW_BYTES } from '../columnstore.ts'
import type { PolicySettings } from '../policies.ts'
import { records, type SqlSession } from '../session.ts'
import type { Around, WritePlan } from '../write.ts'

/**
 * Makes the chunks of a write longer that brings few rows of a long time, as a backfill does: a market that trades once an hour would
 * have a chunk for each trade. What comes now goes on with the chunks that it has, since these end before. Undefined where
 * nothing is to be changed. One connection does everything here: on a server others would write meanwhile.
 */
export async function longerChunks(
  session: SqlSession,
  { sparse }: WritePlan,
  { chunkIntervalMs, retentionMs }: PolicySettings,
  now: number = Date.now(),
): Promise<Around | undefined> {
  if (sparse.length === 0 || typeof chunkIntervalMs === 'number') return undefined
  const found = await session.rows(`
    select hypertable_name as table, extract(epoch from time_interval) * 1000 as current
    from timescaledb_information.dimensions where hypertable_schema = current_schema and time_interval is not null`)
  const changes = sparse.flatMap(({ table, rows, from, to }) => {
    const current = Number(records(found).find((row) => row['table'] === table)?.['current'])
    const bytesPerMs = (rows * ROW_BYTES * 1000) / (to - from)
    const length = chooseSparse(chunkIntervalMs, { bytesPerMs, ageMs: now - to / 1000 }, retentionMs)
    if (length === undefined || !(length > current)) return []
    return [{ table, length, current }]
  })
  if (changes.length === 0) return undefined
  const set = (length: 'length' | 'current'): string =>
    changes
      .map(
        (each) => `select set_chunk_time_interval('${each.table}', interval '${each[length]} milliseconds');`,
      )
      .join(' ')
  return { before: set('length'), after: set('current') }
}
