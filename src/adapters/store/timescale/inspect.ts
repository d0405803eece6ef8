import { onAbort } from '../../../async/abort.ts'
import { TABLES } from '../../../domain/rows.ts'
import { detectCapabilities } from '../capabilities.ts'
import { readError } from '../database-errors.ts'
import { MIGRATIONS } from '../migrations/index.ts'
import { records, type SqlSession } from '../session.ts'
import { type Address, nameOf } from './address.ts'
import { extensionState } from './extension.ts'
import { HostList } from './hosts.ts'
import { lockBudget, lockRemedy } from './locks.ts'
import { PgSession } from './pg-session.ts'
import { serverJobs } from './server-jobs.ts'
import type { TimescaleSettings } from './settings.ts'

/** What one look at the server came to, for `doctor`; `fail` is what keeps the platform from running. */
export interface ServerFinding {
  readonly check: string
  readonly status: 'ok' | 'warn' | 'fail'
  readonly detail: string
  /** What a person can do; not for `ok`. */
  readonly remedy?: string
}

const CLOCK_MS = 1_000
/** What one process may open: lanes, queries, claims, a migration. */
const CONNECTIONS_BESIDE_LANES = 7
/** The tables of events, as a list of SQL. */
const OUR_TABLES = Object.values(TABLES)
  .map(({ name }) => `'${name}'`)
  .join(', ')
const LOOPBACK = /^(localhost|127\.|::1)/

/**
 * Looks at the server: version, encryption, extension and licence, rights, schema, clock, connections, and TimescaleDB's jobs. Changes
 * nothing but for temporary tables. Raises what `openTimescaleStore` raises where no session comes about.
 */
export async function inspectTimescale(
  settings: TimescaleSettings,
  signal: AbortSignal,
): Promise<readonly ServerFinding[]> {
  const { session, address } = await new HostList(settings.url).open(
    async (address, stop) => ({ address, session: await PgSession.open({ ...settings, address }, stop) }),
    signal,
  )
  const off = onAbort(signal, () => session.abort())
  try {
    const findings = [await serverFinding(session, address), await clockFinding(session)]
    findings.push(await connectionsFinding(session, settings.lanes), await extensionFinding(session))
    findings.push(await queriesFinding(settings, signal))
    const rights = await rightsFinding(session)
    findings.push(rights)
    return rights.status === 'ok'
      ? [
          ...findings,
          await schemaFinding(session),
          await locksFinding(session),
          ...(await jobFindings(session, settings)),
        ]
      : findings
  } catch (error) {
    signal.throwIfAborted()
    throw readError(error)
  } finally {
    off()
    await session.close()
  }
}

async function only(session: SqlSession, sql: string): Promise<Record<string, string | null>> {
  const [row] = records(await session.rows(sql))
  return row ?? {}
}

async function serverFinding(session: SqlSession, address: Address): Promise<ServerFinding> {
  const row = await only(
    session,
    `select current_setting('server_version') as version, current_user as user,
       (select version from pg_stat_ssl where pid = pg_backend_pid() and ssl) as tls`,
  )
  const detail = `PostgreSQL ${row['version']} at ${nameOf(address)} as ${row['user']}, ${row['tls'] ?? 'not encrypted'}`
  if (row['tls'] != null || LOOPBACK.test(address.host)) return { check: 'store', status: 'ok', detail }
  const remedy = 'Set store.tls to verify (with store.tlsCa) where the way to the server is not private.'
  return { check: 'store', status: 'warn', detail, remedy }
}

async function clockFinding(session: SqlSession): Promise<ServerFinding> {
  const asked = Date.now()
  const row = await only(session, 'select extract(epoch from clock_timestamp()) * 1000 as now')
  const difference = Math.round(Number(row['now']) - (asked + Date.now()) / 2)
  const detail = `the server's clock differs by ${difference} ms`
  if (Math.abs(difference) < CLOCK_MS) return { check: 'store clock', status: 'ok', detail }
  const remedy = 'Set both clocks by NTP: policies of the database go by its clock, events by the exchanges.'
  return { check: 'store clock', status: 'warn', detail, remedy }
}

async function connectionsFinding(session: SqlSession, lanes: number): Promise<ServerFinding> {
  const row = await only(
    session,
    `select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as most,
       (select count(*) from pg_stat_activity where backend_type = 'client backend') as used`,
  )
  const needed = lanes + CONNECTIONS_BESIDE_LANES
  const free = Number(row['most']) - Number(row['used'])
  const detail = `${free} of ${row['most']} connections are free; a process takes up to ${needed}`
  if (free >= needed) return { check: 'store connections', status: 'ok', detail }
  const remedy = 'Raise max_connections of the server, or end clients that hold connections.'
  return { check: 'store connections', status: 'warn', detail, remedy }
}

/** Under which login applications ask. Raises what `openTimescaleStore` raises where the one for queries does not come about. */
async function queriesFinding(settings: TimescaleSettings, signal: AbortSignal): Promise<ServerFinding> {
  const check = 'store queries'
  const { password: _ofWriter, queries, ...shared } = settings
  if (queries === undefined) {
    const detail =
      'queries of applications use the login of the platform, which may write and read everything'
    const remedy = 'Make a user who may only read these tables, and set store.queryUrl: docs/storage.md.'
    return { check, status: 'warn', detail, remedy }
  }
  const { session, address } = await new HostList(queries.url).open(
    async (address, stop) => ({
      address,
      session: await PgSession.open({ ...shared, ...queries, address, readsOnly: true }, stop),
    }),
    signal,
  )
  try {
    const row = await only(
      session,
      `select current_user as user, current_setting('temp_file_limit') as spill,
         (select rolsuper from pg_roles where rolname = current_user) as super,
         (select string_agg(relname, ', ') from pg_class where relnamespace = current_schema::regnamespace
            and relname in (${OUR_TABLES}) and not has_table_privilege(oid, 'select')) as closed,
         (select string_agg(relname, ', ') from pg_class where relnamespace = current_schema::regnamespace
            and relname in (${OUR_TABLES})
            and has_table_privilege(oid, 'insert, update, delete')) as open`,
    )
    const detail = `${row['user']} at ${nameOf(address)}`
    if (row['closed'] != null) {
      const remedy = 'grant select on all tables in schema public to the user.'
      return { check, status: 'fail', detail: `${detail} may not read ${row['closed']}`, remedy }
    }
    if (row['super'] === 't' || row['open'] != null) {
      const remedy = 'Take from the user all rights but select, and being a superuser.'
      return { check, status: 'warn', detail: `${detail} may also write`, remedy }
    }
    if (row['spill'] === '-1') {
      const remedy = `alter role "${row['user']}" set temp_file_limit = '1GB', as a superuser: a query may fill the disk.`
      return { check, status: 'warn', detail: `${detail} has no temp_file_limit`, remedy }
    }
    return { check, status: 'ok', detail: `${detail} may only read` }
  } finally {
    await session.close()
  }
}

async function extensionFinding(session: SqlSession): Promise<ServerFinding> {
  const check = 'store extension'
  const { available, created, isLoaded } = await extensionState(session)
  const { missing } = await detectCapabilities(session)
  const row = await only(session, `select current_setting('timescaledb.license', true) as license`)
  const [lack] = missing
  if (created !== undefined) {
    const detail = `TimescaleDB ${created}, licence ${row['license']}`
    if (lack === undefined) return { check, status: 'ok', detail }
    return {
      check,
      status: 'warn',
      detail: lack,
      remedy: 'Set timescaledb.license to timescale on the server.',
    }
  }
  if (available === undefined) {
    return { check, status: 'warn', detail: lack ?? '', remedy: 'Install TimescaleDB on the server.' }
  }
  const detail = `TimescaleDB ${available} is on the server, but not in this database`
  if (!isLoaded) {
    const remedy = 'Add timescaledb to shared_preload_libraries of the server, and start it again.'
    return { check, status: 'warn', detail, remedy }
  }
  const remedy =
    'tapeline migrate makes it, if the user may; else an administrator: create extension timescaledb.'
  return { check, status: 'warn', detail, remedy }
}

async function rightsFinding(session: SqlSession): Promise<ServerFinding> {
  const check = 'store rights'
  const row = await only(
    session,
    `select current_schema as schema, has_schema_privilege(current_schema, 'create') as creates,
       (select string_agg(relname, ', ') from pg_class
        where relnamespace = current_schema::regnamespace and relname in (${OUR_TABLES},
          'tapeline_offsets', 'tapeline_migrations') and not pg_has_role(relowner, 'usage')) as foreign`,
  )
  if (row['schema'] == null || row['creates'] !== 't') {
    const detail = `the user may not create tables in ${row['schema'] ?? 'any schema'}`
    return { check, status: 'fail', detail, remedy: 'grant create, usage on schema public to the user.' }
  }
  if (row['foreign'] != null) {
    const detail = `tables of another owner: ${row['foreign']}`
    return {
      check,
      status: 'fail',
      detail,
      remedy: 'Make the user their owner: alter table ... owner to ...',
    }
  }
  return { check, status: 'ok', detail: `the user may create tables in the schema ${row['schema']}` }
}

async function schemaFinding(session: SqlSession): Promise<ServerFinding> {
  const check = 'store schema'
  const { exists } = await only(session, `select to_regclass('tapeline_migrations') is not null as exists`)
  if (exists !== 't') return { check, status: 'ok', detail: 'no tables yet: made at the first start' }
  const { last } = await only(session, 'select max(id) as last from tapeline_migrations')
  const newest = MIGRATIONS.at(-1)?.id ?? 0
  const { has } = await detectCapabilities(session)
  // Of a migration that the database cannot take, only the substitute is made, and nothing is recorded.
  const due = MIGRATIONS.filter(({ needs }) => needs === undefined || has.has(needs)).at(-1)?.id ?? 0
  if (Number(last) > newest) {
    const remedy = 'Run the version of tapeline that wrote the database, or a newer one.'
    return { check, status: 'fail', detail: 'a newer version of tapeline wrote the database', remedy }
  }
  const detail =
    Number(last) < due ? 'older than this version: brought up to date at the start' : 'up to date'
  return { check, status: 'ok', detail }
}

/** A statement over everything locks each chunk, and all statements share the locks. */
async function locksFinding(session: SqlSession): Promise<ServerFinding> {
  const check = 'store locks'
  const budget = await lockBudget(session)
  const detail = `${budget.total} locks (max_locks_per_transaction = ${budget.current}); the largest table has ${budget.chunks} chunks`
  const remedy = lockRemedy(budget)
  return remedy === undefined ? { check, status: 'ok', detail } : { check, status: 'warn', detail, remedy }
}

/** How TimescaleDB's own jobs fare: those that failed last time, with what they said, and whether there are workers for them. */
async function jobFindings(session: SqlSession, { jobs: who }: TimescaleSettings): Promise<ServerFinding[]> {
  const check = 'store jobs'
  const { has } = await detectCapabilities(session)
  if (!has.has('community')) return []
  const jobs = await serverJobs(session)
  if (who === 'platform') {
    const detail = `the platform does the work of jobs itself; ${jobs.length} are left on the server until its next start`
    return [
      {
        check,
        status: 'ok',
        detail: jobs.length === 0 ? 'the platform does the work of jobs itself' : detail,
      },
    ]
  }
  const failed = jobs.filter(({ failure }) => failure !== undefined)
  if (failed.length > 0) {
    const names = failed.map(({ id, name, failure }) => `${name} (${id}): ${failure}`).join('; ')
    const remedy = 'Cure what they say, or let the platform do their work: store.jobs: platform.'
    return [{ check, status: 'warn', detail: `failed last time: ${names}`, remedy }]
  }
  const { workers } = await only(
    session,
    `select current_setting('timescaledb.max_background_workers', true) as workers`,
  )
  if (jobs.length > 0 && Number(workers ?? Number.POSITIVE_INFINITY) < 2) {
    const remedy = 'Set timescaledb.max_background_workers to 8 or more: one of them is the scheduler.'
    return [
      { check, status: 'warn', detail: `${workers} background workers for ${jobs.length} jobs`, remedy },
    ]
  }
  return [{ check, status: 'ok', detail: `${jobs.length} jobs, none failed last time` }]
}
