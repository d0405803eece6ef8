import type { StoreJob } from '../../../ports/store.ts'
import { records, type SqlSession } from '../session.ts'

/** A job that TimescaleDB runs itself, and how it fared the last time. */
export interface ServerJob extends StoreJob {
  readonly id: string
}

/** When a job should have begun and has not, the server has no background worker for it. */
const LATE = "interval '1 hour'"

/**
 * The jobs of the tables of this schema; none where the database has no TimescaleDB. `job_errors` shows what jobs of the user's own
 * said, also in versions that log no successful runs.
 */
export async function serverJobs(session: SqlSession): Promise<readonly ServerJob[]> {
  const [views] = records(
    await session.rows(`select to_regclass('timescaledb_information.job_errors') is not null as exist`),
  )
  if (views?.['exist'] !== 't') return []
  const found = await session.rows(`
    select j.job_id as id, j.proc_name as does, j.hypertable_name as on, s.last_run_status as status,
      j.scheduled and s.next_start < now() - ${LATE} and s.job_status <> 'Running' as late,
      to_char(s.next_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as due,
      (select concat(e.err_message, ' (' || e.sqlerrcode || ')') from timescaledb_information.job_errors e
       where e.job_id = j.job_id order by e.start_time desc limit 1) as message
    from timescaledb_information.jobs j left join timescaledb_information.job_stats s using (job_id)
    where j.hypertable_schema = current_schema order by j.job_id`)
  return records(found).map(({ id, does, on, status, late, due, message }) => ({
    id: id ?? '',
    name: `${does} on ${on}`,
    failure:
      status === 'Failed'
        ? message || 'the server does not say why; its log may'
        : late === 't'
          ? `it should have begun at ${due} UTC and has not: the server has no background worker for it`
          : undefined,
  }))
}
