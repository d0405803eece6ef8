import type { Capability } from './migrations/migration.ts'
import { records, type SqlSession } from './session.ts'

/** What a database offers beyond plain PostgreSQL, and in words what it does not. */
export interface Capabilities {
  readonly has: ReadonlySet<Capability>
  readonly missing: readonly string[]
}

/** `add_columnstore_policy` and its kin came with this version. */
const OLDEST = [2, 18] as const

const WITHOUT_COMMUNITY =
  'candles are computed by each query, there is no columnstore, and nothing is removed by age'

/** Asks the database what it can do. TimescaleDB must be loaded already where it is there. */
export async function detectCapabilities(session: SqlSession): Promise<Capabilities> {
  const found = await session.rows(`
    select extversion as version, current_setting('timescaledb.license', true) as license
    from pg_extension where extname = 'timescaledb'`)
  const [extension] = records(found)
  if (extension === undefined) {
    return {
      has: new Set(),
      missing: [`TimescaleDB is not installed in this database: all tables are plain, ${WITHOUT_COMMUNITY}.`],
    }
  }
  const version = extension['version'] ?? ''
  const lack = communityLack(version, extension['license'] ?? '')
  if (lack === undefined) return { has: new Set(['hypertables', 'community']), missing: [] }
  return { has: new Set(['hypertables']), missing: [`${lack}: ${WITHOUT_COMMUNITY}.`] }
}

function communityLack(version: string, license: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    return `TimescaleDB ${version} is older than ${OLDEST.join('.')}`
  }
  return license === 'timescale' ? undefined : `TimescaleDB runs under the licence "${license}"`
}
