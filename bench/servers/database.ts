import { records } from '../../src/adapters/store/session.ts'
import { type Address, parseAddress } from '../../src/adapters/store/timescale/address.ts'
import { PgSession } from '../../src/adapters/store/timescale/pg-session.ts'
import type { TimescaleSettings } from '../../src/adapters/store/timescale/settings.ts'
import { openTimescaleStore } from '../../src/adapters/store/timescale.ts'
import { type Config, loadConfig } from '../../src/config.ts'
import { ulid } from '../../src/domain/ulid.ts'
import { TapelineError } from '../../src/errors.ts'
import type { Store } from '../../src/ports/store.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { timescaleSettings } from '../../src/topology/engines/servers.ts'
import { postgresMissing, startPostgres } from '../../test/servers/postgres.ts'

/** A server to measure on. Everything happens in databases of its own, so that nothing that is there is touched. */
export interface DatabaseServer {
  /** What it is, in one line, and how its tables are made. */
  readonly name: string
  /** The configuration that leads there. */
  readonly config: Config
  /** Makes a database with a name of its own, migrated as the platform does it. */
  create(): Promise<TemporaryDatabase>
  close(): Promise<void>
}

type Rows = readonly Readonly<Record<string, string | null | undefined>>[]

export interface TemporaryDatabase {
  readonly url: string
  readonly address: Address
  readonly store: Store
  /** Asks by a connection of its own: what the store's queries may use is limited. Values are PostgreSQL's text. */
  rows(sql: string): Promise<Rows>
  /** Closes the store and drops the database. */
  drop(): Promise<void>
}

/** As a server that keeps what it acknowledges; and the commit times are what the latency is measured with. */
const TEST_SERVER = { fsync: 'on', track_commit_timestamp: 'on' }
const PREFIX = 'tapeline_bench_'
const log = createLog({ level: 'warn', pretty: false })
const signal = AbortSignal.timeout(3_600_000)

/**
 * The server of `--database`, whose user must be allowed to make databases; without it one of the test servers. Login and TLS are
 * configured as for `tapeline up`. Raises CONFIG_INVALID and the STORE_ codes.
 */
export async function openDatabaseServer(url: string | undefined): Promise<DatabaseServer> {
  const server = url === undefined ? await startTestServer() : undefined
  const config = configOf(server?.url ?? url ?? '')
  const settings = timescaleSettings(config, log)
  const admin = await openSession(settings)
  const first = await createDatabase(admin, settings)
  const name = await describe(first, server === undefined)
  await first.drop()
  return {
    name,
    config,
    create: () => createDatabase(admin, settings),
    async close() {
      await admin.close()
      await server?.close()
    },
  }
}

function startTestServer(): ReturnType<typeof startPostgres> {
  const missing = postgresMissing()
  if (missing !== undefined)
    throw new TapelineError('STORE_UNAVAILABLE', missing, { remedy: 'Or name a server with --database.' })
  return startPostgres({ settings: TEST_SERVER })
}

function configOf(url: string): Config {
  return loadConfig({ environment: process.env, flags: { store: { kind: 'timescale', url } } })
}

function openSession(settings: TimescaleSettings): Promise<PgSession> {
  return PgSession.open({ ...settings, address: parseAddress(settings.url), statementTimeoutMs: 0 }, signal)
}

async function ask(settings: TimescaleSettings, sql: string): Promise<Rows> {
  const session = await openSession(settings)
  try {
    return records(await session.rows(sql))
  } finally {
    await session.close()
  }
}

async function createDatabase(admin: PgSession, settings: TimescaleSettings): Promise<TemporaryDatabase> {
  const name = `${PREFIX}${ulid(Date.now(), Math.random)}`
  await admin.execute(`create database ${name}`)
  const drop = () => admin.execute(`drop database ${name} with (force)`)
  const url = new URL(settings.url)
  url.pathname = name
  try {
    const store = await openTimescaleStore({ ...settings, url: url.href }, signal)
    await store.migrate(signal)
    return {
      url: url.href,
      address: parseAddress(url.href),
      store,
      rows: (sql) => ask({ ...settings, url: url.href }, sql),
      async drop() {
        await store.close()
        await drop()
      },
    }
  } catch (error) {
    await drop()
    throw error
  }
}

async function describe(database: TemporaryDatabase, isOutside: boolean): Promise<string> {
  const [row] = await database.rows(
    `select current_setting('server_version') as version, current_setting('fsync') as fsync,
      (select extversion from pg_extension where extname = 'timescaledb') as timescale`,
  )
  const { version, fsync, timescale } = row ?? {}
  const where = isOutside ? '--database' : 'test server'
  const engine = `PostgreSQL ${version} (${where}, fsync ${fsync})`
  if (timescale == null) return `${engine}, without TimescaleDB: plain tables`
  return `TimescaleDB ${timescale} on ${engine}: hypertables`
}
