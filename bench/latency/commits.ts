import type { TemporaryDatabase } from '../servers/database.ts'
import { type Percentiles, SHARES } from './percentiles.ts'

export interface CommitLatencies {
  readonly fromFrame: Percentiles
  readonly fromTrade: Percentiles
}

/**
 * From the arrival of the source's frame at the producer, and from the trade's time at the source, to the commit of the row,
 * in ms, of all trades whose frame arrived at `since` or later (microseconds). The database itself has noted the time of each
 * commit, when its record was written to the log, before that was flushed. Undefined where the server does not note it.
 */
export async function commitLatencies(
  database: TemporaryDatabase,
  since: number,
): Promise<CommitLatencies | undefined> {
  const [setting] = await database.rows('show track_commit_timestamp')
  if (setting?.['track_commit_timestamp'] !== 'on') return undefined
  const millis = (column: string) =>
    SHARES.map(
      (share) =>
        `percentile_cont(${share}) within group (order by extract(epoch from at - ${column}) * 1000)`,
    )
  const columns = [...millis('recv_ts'), ...millis('ts')].map((sql, i) => `${sql} as p${i}`)
  const [row = {}] = await database.rows(
    `select ${columns.join(', ')}
    from (select pg_xact_commit_timestamp(xmin) as at, recv_ts, ts from trades
      where recv_ts >= timestamptz 'epoch' + ${since} * interval '1 microsecond') as stored`,
  )
  const values = columns.map((_, i) => Number(row[`p${i}`]))
  return { fromFrame: values.slice(0, SHARES.length), fromTrade: values.slice(SHARES.length) }
}
