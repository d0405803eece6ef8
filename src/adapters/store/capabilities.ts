import { TapelineError } from '../../errors.ts'
import type { Capability } from './migrations/migration.ts'
import { records, type SqlSession } from './session.ts'

/** What a database offers beyond plain PostgreSQL, and in words what it does not. */
export interface Capabilities {
  readonly has: ReadonlySet<Capability>
  readonly missing: readonly string[]
}

/** Continuous aggregates take functions such as `extract`, which are not immutable, from this version on. */
const OLDEST = [2, 20] as const
const NEXT_MAJOR = 3

const WITHOUT_COMMUNITY =
  'candles are computed by each query, there is no columnstore, and nothing is removed by age'

/** Whether the platform works with a version of TimescaleDB, such as `2.23.0-dev`. */
export function supportsExtension(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  return major < NEXT_MAJOR && (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]))
}

/**
 * Asks the database what it can do. `absence` says why there is no TimescaleDB, where it is known. Raises STORE_UNSUPPORTED
 * where there is one that the platform cannot work with, or that is not loaded: its tables would look empty.
 */
export async function detectCapabilities(session: SqlSession, absence?: string): Promise<Capabilities> {
  const found = await session.rows(`
    select extversion as version, current_setting('timescaledb.license', true) as license
    from pg_extension where extname = 'timescaledb'`)
  const [extension] = records(found)
  if (extension === undefined) {
    const reason = absence ?? 'TimescaleDB is not installed in this database'
    return { has: new Set(), missing: [`${reason}: all tables are plain, ${WITHOUT_COMMUNITY}.`] }
  }
  const version = extension['version'] ?? ''
  const license = extension['license']
  if (!supportsExtension(version)) throw unsupported(`TimescaleDB ${version}`)
  if (license == null) throw notLoaded(version)
  if (license === 'timescale') return { has: new Set(['hypertables', 'community']), missing: [] }
  const missing = [`TimescaleDB runs under the licence "${license}": ${WITHOUT_COMMUNITY}.`]
  return { has: new Set(['hypertables']), missing }
}

function unsupported(what: string): TapelineError {
  const message = `The database has ${what}; this version takes ${OLDEST.join('.')} and newer ones below ${NEXT_MAJOR}.0.`
  return new TapelineError('STORE_UNSUPPORTED', message, {
    remedy:
      'Install a newer TimescaleDB on the server, then run in the database, first thing in a new connection: alter extension timescaledb update.',
  })
}

function notLoaded(version: string): TapelineError {
  return new TapelineError(
    'STORE_UNSUPPORTED',
    `The database has TimescaleDB ${version}, but the server has not loaded it: its tables would look empty.`,
    { remedy: 'Add timescaledb to shared_preload_libraries of the server, and start it again.' },
  )
}
