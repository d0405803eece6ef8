import { records, type SqlSession } from '../session.ts'

/** Runs the retention policies. Their ids are literals because CALL takes neither parameters here nor subqueries. */
export async function removeOldChunks(session: SqlSession): Promise<void> {
  const jobs = records(
    await session.rows(`
      select job_id from timescaledb_information.jobs
      where proc_name = 'policy_retention' and hypertable_schema = current_schema`),
  )
  for (const job of jobs) await session.execute(`call run_job(${job['job_id']})`)
}

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
