import pg from 'pg'
import type { Cluster } from './cluster.ts'

/** Keeps the database from taking rows of trades until `release`, so that much is written at once afterwards. */
export async function beginBacklog({ postgres }: Cluster): Promise<{ release(): Promise<void> }> {
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  await client.query('begin; lock table trades in share mode')
  return {
    async release() {
      await client.query('commit')
      await client.end()
    },
  }
}

/** How many sessions have begun to write trades and wait for the rest of their rows. */
export async function writersWaitingForRows(cluster: Cluster): Promise<number> {
  const [row] = await cluster.sql<{ n: string }>(
    `select count(*) as n from pg_stat_activity
     where state = 'active' and wait_event = 'ClientRead' and query ilike '%copy%trades%'`,
  )
  return Number(row?.n)
}
