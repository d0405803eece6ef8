import type { TestContext } from 'node:test'
import { openTimescaleStore, type TimescaleSettings } from '../../../src/adapters/store/timescale.ts'
import type { Store } from '../../../src/ports/store.ts'
import type { OpenStore } from '../../contract/store.ts'
import { deadline, unique } from '../../contract/store-fixtures.ts'
import { quietLog } from '../../quiet.ts'
import { type PostgresOptions, type PostgresServer, startPostgres } from '../../servers/postgres.ts'
import { sharePostgres } from '../../servers/shared.ts'
import { query } from './psql.ts'

/** Settings for a test server, without TLS. */
export function settingsFor(url: string, changes: Partial<TimescaleSettings> = {}): TimescaleSettings {
  return {
    url,
    tls: 'off',
    lanes: 2,
    statementTimeoutMs: 30_000,
    chunkIntervalMs: 3_600_000,
    columnstoreAfterMs: 0,
    retentionMs: 0,
    log: quietLog,
    ...changes,
  }
}

/** A server that ends with the test. */
export async function temporaryServer(
  t: TestContext,
  options: PostgresOptions = {},
): Promise<PostgresServer> {
  const server = await startPostgres(options)
  t.after(() => server.close())
  return server
}

/** A database on a server that others use at the same time. */
export interface Database {
  readonly url: string
  readonly port: number
  readonly database: string
}

/** A new, empty one of a server that files share, and its removal. */
export async function makeDatabase(): Promise<Database & { readonly remove: () => Promise<void> }> {
  const server = await sharePostgres()
  const database = unique('db')
  await query(server, `create database "${database}"`)
  return {
    url: server.url.replace(/postgres$/, database),
    port: server.port,
    database,
    async remove() {
      await query(server, `drop database "${database}" with (force)`)
      await server.close()
    },
  }
}

/** One that is removed after the test. */
export async function temporaryDatabase(t: TestContext): Promise<Database> {
  const made = await makeDatabase()
  t.after(() => made.remove())
  return made
}

/** A store for a whole suite, on a database that `end` ends. */
export async function openDatabase({
  url,
  end,
}: {
  readonly url: string
  readonly end: () => Promise<void>
}): ReturnType<OpenStore> {
  const store = await openTimescaleStore(settingsFor(url), deadline())
  return { store, close: () => store.close().then(end) }
}

/** A store that is closed after the test. */
export async function openStore(
  t: TestContext,
  url: string,
  changes: Partial<TimescaleSettings> = {},
): Promise<Store> {
  const store = await openTimescaleStore(settingsFor(url, changes), deadline())
  t.after(() => store.close())
  return store
}
