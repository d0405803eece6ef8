import type { PartitionWrite, Store } from '../../ports/store.ts'
import { detectCapabilities } from './capabilities.ts'
import { SERVER_CHUNKS } from './chunk-interval.ts'
import { isCrowded } from './database-errors.ts'
import { candles, quotes, trades } from './market-queries.ts'
import { markets } from './markets.ts'
import { migrate } from './migrate.ts'
import { PlatformJobs } from './platform-jobs.ts'
import { leastChunkMicros } from './policies.ts'
import { readOnlyQuery } from './read-only-query.ts'
import { claimFromZombies } from './timescale/claims.ts'
import { createExtension } from './timescale/extension.ts'
import { HostList } from './timescale/hosts.ts'
import { withLockAdvice } from './timescale/locks.ts'
import { PgSession } from './timescale/pg-session.ts'
import { onPrimary } from './timescale/primary.ts'
import { serverJobs } from './timescale/server-jobs.ts'
import { SessionPool } from './timescale/session-pool.ts'
import type { TimescaleSettings } from './timescale/settings.ts'
import { TupleMemory } from './tuple-memory.ts'
import { advancedClaims, planWrite, write } from './write.ts'

export { inspectTimescale } from './timescale/inspect.ts'
export type { TimescaleSettings } from './timescale/settings.ts'

/** Connections that answer queries of applications at the same time; further ones wait. */
const QUERIES = 4
/** One that claims, and one that sees to what holds it up. */
const CONTROLS = 2
/** What the answer may take beyond the time that the server itself keeps. */
const GRACE_MS = 5_000
/** Migrations move rows that are there already, and jobs of the platform catch up with years; the signal ends them. */
const UNLIMITED_MS = 24 * 3_600_000

/**
 * Opens the store on a PostgreSQL server, with TimescaleDB or without. One attempt: it connects, logs in and checks versions.
 * Raises STORE_UNAVAILABLE, STORE_UNAUTHORIZED, STORE_FORBIDDEN, STORE_TLS_FAILED, STORE_HOST_UNKNOWN, STORE_UNSUPPORTED,
 * CONFIG_INVALID.
 *
 * Writes, claims and queries have connections of their own, so that none waits for another kind. A connection that breaks is
 * replaced at the next use, looking the host's name up again. Of several hosts in the address it is the first that takes writes.
 */
export async function openTimescaleStore(settings: TimescaleSettings, signal: AbortSignal): Promise<Store> {
  const { lanes, statementTimeoutMs, log } = settings
  const hosts = new HostList(settings.url)
  const openWith = (statementTimeoutMs: number) => (stop: AbortSignal) =>
    hosts.open((address, end) => PgSession.open({ ...settings, address, statementTimeoutMs }, end), stop)
  const open = openWith(statementTimeoutMs)
  const openUnlimited = openWith(0)
  const openForQueries = queryOpener(settings, hosts)
  const useMs = statementTimeoutMs + GRACE_MS
  const writes = new SessionPool({ size: lanes, open, useMs })
  const controls = new SessionPool({ size: CONTROLS, open, useMs })
  const queries = new SessionPool({ size: QUERIES, open: openForQueries, useMs })
  const pings = new SessionPool({ size: 1, open, useMs })
  const unlimited = new SessionPool({ size: 1, open: openUnlimited, useMs: UNLIMITED_MS })
  const policies = {
    chunkIntervalMs: settings.chunkIntervalMs ?? SERVER_CHUNKS,
    columnstoreAfterMs: settings.columnstoreAfterMs || undefined,
    retentionMs: settings.retentionMs || undefined,
    jobs: settings.jobs ?? 'server',
  }
  const platformJobs = new PlatformJobs(policies)
  try {
    await writes.use(signal, (session) => detectCapabilities(session))
    if (settings.queries !== undefined) await queries.use(signal, (session) => session.rows('select 1'))
  } catch (error) {
    // A connection left open would keep the process alive that ends because of this.
    await Promise.all([writes.close(), queries.close()])
    throw error
  }
  return {
    lanes,
    chunkMicros: leastChunkMicros(policies),
    rowMemory: () => new TupleMemory(),
    migrate: (stop) => unlimited.use(stop, (session) => migrate(session, policies, createExtension)),
    claim: (targets, stop) => claimFromZombies(controls, targets, stop, log),
    write: (partitionWrites, stop) => writePartitions(writes, partitionWrites, stop),
    trades: (query, stop) => queries.use(stop, (session) => trades(session, query)),
    quotes: (query, stop) => queries.use(stop, (session) => quotes(session, query)),
    candles: (query, stop) => queries.use(stop, (session) => candles(session, query)),
    markets: (query, stop) => queries.use(stop, (session) => markets(session, query)),
    query: (sql, limits, stop) =>
      queries.use(
        stop,
        (session) => withLockAdvice(session, () => readOnlyQuery(session, { sql, ...limits })),
        limits.timeoutMs + GRACE_MS,
      ),
    tendJobs: (stop) =>
      policies.jobs === 'platform'
        ? unlimited.use(stop, (session) => platformJobs.tend(session))
        : controls.use(stop, serverJobs),
    ping: (stop) => ping(pings, stop),
    async close() {
      await Promise.all([writes, controls, queries, pings, unlimited].map((pool) => pool.close()))
    },
  }
}

/** A server that has no connection left for this one answers all the same: those that are open go on. */
async function ping(pool: SessionPool, signal: AbortSignal): Promise<void> {
  try {
    await pool.use(signal, (session) => session.rows('select 1'))
  } catch (error) {
    if (!isCrowded(error)) throw error
  }
}

/** Opens sessions for queries: under their own login where there is one, else where writes go. */
function queryOpener(
  settings: TimescaleSettings,
  hosts: HostList,
): (signal: AbortSignal) => Promise<PgSession> {
  const { password, queries, ...shared } = settings
  const login = queries ?? { url: settings.url, ...(password !== undefined && { password }) }
  const own = queries === undefined ? hosts : new HostList(login.url)
  return (signal) =>
    own.open(
      (address, stop) => PgSession.open({ ...shared, ...login, address, readsOnly: true }, stop),
      signal,
    )
}

async function writePartitions(
  pool: SessionPool,
  partitionWrites: readonly PartitionWrite[],
  signal: AbortSignal,
): ReturnType<Store['write']> {
  signal.throwIfAborted()
  if (partitionWrites.length === 0) return []
  const plan = planWrite(partitionWrites)
  await pool.use(signal, (session) =>
    onPrimary(session, () => withLockAdvice(session, () => write(session, plan))),
  )
  return advancedClaims(plan)
}
