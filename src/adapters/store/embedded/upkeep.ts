import { records, type SqlSession } from '../session.ts'

/**
 * The tables to vacuum and analyse: of each hypertable the newest chunk, where rows are added, and the offsets, of which
 * each write leaves dead rows. The statistics that autovacuum goes by are not kept in the WebAssembly build.
 */
export async function vacuumTargets(session: SqlSession): Promise<string[]> {
  const chunks = records(
    await session.rows(`
      select distinct on (hypertable_id) format('%I.%I', schema_name, table_name) as name
      from _timescaledb_catalog.chunk where not dropped order by hypertable_id, id desc`),
  )
  return ['tapeline_offsets', ...chunks.flatMap(({ name }) => (name == null ? [] : [name]))]
}
