import { deadlineAfter, startInterval } from '../../../async/timers.ts'
import { toTapelineError } from '../../../errors.ts'
import type { Log } from '../../../ports/log.ts'
import type { Claim, ClaimTarget } from '../../../ports/store.ts'
import { claim } from '../offsets.ts'
import { records } from '../session.ts'
import { APPLICATION_NAME } from './pg-session.ts'
import { onPrimary } from './primary.ts'
import type { SessionPool } from './session-pool.ts'

/** How long a claim waits for a write of the former owner before it ends that. A write takes a fraction of it. */
const PATIENCE_MS = 3_000

/**
 * Ends the connections of the platform that hold up a claim, and wait for nothing but their own process. They are of former
 * owners that stand still in the middle of a write: a stopped process, a host that is cut off. The server has no timeout for a
 * COPY that waits for its bytes, and would keep the row locked for as long as the process stands still.
 */
const END_BLOCKERS = `
  select pid, pg_terminate_backend(pid) as ended from pg_stat_activity
  where pid = any(pg_blocking_pids($1)) and application_name = $2 and datname = current_database()
    and usename = current_user and wait_event_type is distinct from 'Lock'`

/** Claims partitions (R8), and does not wait for ever for a former owner that holds the row of one. */
export function claimFromZombies(
  pool: SessionPool,
  targets: readonly ClaimTarget[],
  signal: AbortSignal,
  log: Log,
): Promise<readonly Claim[]> {
  return pool.use(signal, async (session) => {
    const timer = startInterval(() => void endBlockers(pool, session.processId, log), PATIENCE_MS)
    try {
      return await onPrimary(session, () => claim(session, targets))
    } finally {
      timer.stop()
    }
  })
}

async function endBlockers(pool: SessionPool, claimant: number, log: Log): Promise<void> {
  try {
    const found = await pool.use(deadlineAfter(PATIENCE_MS), (session) =>
      session.rows(END_BLOCKERS, [claimant, APPLICATION_NAME]),
    )
    for (const { pid, ended } of records(found)) {
      log.warn(
        { pid, ended: ended === 't' },
        'a former owner stood still in the middle of a write: its connection was ended',
      )
    }
  } catch (error) {
    log.warn({ code: toTapelineError(error).code }, 'what holds up a claim could not be looked at')
  }
}
