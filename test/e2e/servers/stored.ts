import { readLedger } from '../ledger.ts'
import { until } from '../platform-process.ts'
import type { Cluster } from './cluster.ts'
import { storedUpTo } from './operations-view.ts'

/** Waits until trades of after now are stored, of every market that trades often. */
export async function untilStored(cluster: Cluster, withinMs?: number): Promise<void> {
  const since = Date.now()
  await until('later trades are stored', async () => (await storedUpTo(cluster)) > since, withinMs)
}

/** Waits until every trade that the ledger holds by now is stored, of those since an event time in microseconds. */
export async function untilAllStored(cluster: Cluster, since: number, withinMs: number): Promise<void> {
  const emitted = (await readLedger(cluster.ledger)).filter(({ ts }) => ts >= since).length
  const count = `select count(*) as n from trades where ts >= to_timestamp(${since} / 1000000.0)`
  await until(
    'everything that was emitted is stored',
    async () => Number((await cluster.sql<{ n: string }>(count))[0]?.n) >= emitted,
    withinMs,
  )
}
