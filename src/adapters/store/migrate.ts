import { createHash } from 'node:crypto'
import { literal } from '../../domain/sql-literal.ts'
import { TapelineError } from '../../errors.ts'
import type { MigrationReport } from '../../ports/store.ts'
import { detectCapabilities } from './capabilities.ts'
import { readError } from './database-errors.ts'
import { MIGRATIONS } from './migrations/index.ts'
import type { Migration } from './migrations/migration.ts'
import { applyPolicies, type PolicySettings } from './policies.ts'
import { records, type SqlSession } from './session.ts'

const LOCK = 7_265_726_501

/** Which migrations were applied. */
export const MIGRATIONS_TABLE = `
  create table if not exists tapeline_migrations (
    id integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
  )`

/** What a kind of connection does under the lock first; gives the reason why there is no TimescaleDB, where it knows one. */
export type Prepare = (session: SqlSession) => Promise<string | undefined>

/**
 * Brings the schema up to date, each migration in a transaction of its own, and the policies to the settings. An advisory
 * lock lets one process at a time do so. Raises MIGRATION_MISMATCH, STORE_FORBIDDEN, STORE_UNSUPPORTED.
 */
export async function migrate(
  session: SqlSession,
  settings: PolicySettings,
  prepare: Prepare = async () => undefined,
): Promise<MigrationReport> {
  try {
    await session.execute(`select pg_advisory_lock(${LOCK})`)
    try {
      return await migrateLocked(session, settings, prepare)
    } finally {
      await session.execute(`select pg_advisory_unlock(${LOCK})`)
    }
  } catch (error) {
    throw readError(error)
  }
}

async function migrateLocked(
  session: SqlSession,
  settings: PolicySettings,
  prepare: Prepare,
): Promise<MigrationReport> {
  const absence = await prepare(session)
  const { has, missing } = await detectCapabilities(session, absence)
  await session.execute(MIGRATIONS_TABLE)
  const known = await checkApplied(session)
  const applied: string[] = []
  for (const migration of MIGRATIONS) {
    if (known.has(migration.id)) continue
    if (migration.needs !== undefined && !has.has(migration.needs)) {
      if (migration.substitute !== undefined) await session.transaction([{ sql: migration.substitute }])
      continue
    }
    await apply(session, migration)
    known.add(migration.id)
    applied.push(migration.name)
  }
  if (has.has('hypertables')) await applyPolicies(session, settings, has.has('community'))
  const current = MIGRATIONS.filter(({ id }) => known.has(id)).at(-1)?.name ?? ''
  return { applied, current, missing }
}

async function apply(session: SqlSession, migration: Migration): Promise<void> {
  const row = [String(migration.id), literal(migration.name), literal(checksum(migration))].join(', ')
  const record = `insert into tapeline_migrations (id, name, checksum) values (${row});`
  await session.transaction([{ sql: `${migration.sql}\n${record}` }])
}

/** The ids that are applied already, each compared with what this program has under it. */
async function checkApplied(session: SqlSession): Promise<Set<number>> {
  const rows = records(await session.rows('select id, name, checksum from tapeline_migrations order by id'))
  const ids = new Set<number>()
  for (const row of rows) {
    const id = Number(row['id'])
    const migration = MIGRATIONS.find((candidate) => candidate.id === id)
    if (migration === undefined) {
      throw new TapelineError(
        'MIGRATION_MISMATCH',
        `The database has the migration ${row['name']}, which this version does not know: it is newer.`,
        { remedy: 'Run the version of tapeline that wrote the database, or a newer one.' },
      )
    }
    if (row['checksum'] !== checksum(migration)) {
      throw new TapelineError(
        'MIGRATION_MISMATCH',
        `The migration ${migration.name} was applied with another text than this version has.`,
        {
          remedy:
            'Run the version of tapeline that wrote the database; a change needs a migration of its own.',
        },
      )
    }
    ids.add(id)
  }
  return ids
}

/** SHA-256 of a migration's SQL, in hexadecimal. */
export function checksum(migration: Migration): string {
  return createHash('sha256').update(migration.sql).digest('hex')
}
