import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import {
  inspectTimescale,
  openTimescaleStore,
  type TimescaleSettings,
} from '../../../src/adapters/store/timescale.ts'
import { type ErrorCode, TapelineError } from '../../../src/errors.ts'
import { deadline, sql } from '../../contract/store-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { fakeTimescale } from '../../servers/fake-extension.ts'
import { postgresMissing } from '../../servers/postgres.ts'
import { query } from './psql.ts'
import { openStore, settingsFor, temporaryDatabase, temporaryServer } from './timescale-server.ts'

const SECRET = 'correct horse battery staple'

/** What opening, and looking, fail with: the same code, and no secret in any word of it. */
async function refused(
  settings: TimescaleSettings,
  code: ErrorCode,
  message: RegExp,
): Promise<TapelineError> {
  await assert.rejects(inspectTimescale(settings, deadline()), { code })
  const error: unknown = await openTimescaleStore(settings, deadline()).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof TapelineError, `opening fails with a code: ${String(error)}`)
  assert.equal(error.code, code)
  assert.match(error.message, message)
  assert.notEqual(error.remedy, '')
  for (const text of [error.message, error.remedy]) assert.doesNotMatch(text, /horse|another password/)
  return error
}

test('an address that cannot be used, and one that would hide that TLS is off', async () => {
  for (const url of [
    'postgres://',
    'postgres://127.0.0.1/db',
    'nonsense',
    'postgres://u@h/db?sslmode=require',
  ]) {
    await refused(settingsFor(url), 'CONFIG_INVALID', /store\.url/)
  }
})

test('a host that has no name, and one that refuses', async () => {
  await refused(settingsFor('postgres://u@nowhere.invalid/db'), 'STORE_HOST_UNKNOWN', /nowhere\.invalid/)
  const listener = createServer().listen(0, '127.0.0.1')
  await new Promise((done) => listener.once('listening', done))
  const address = listener.address()
  assert.ok(address !== null && typeof address === 'object')
  await new Promise((done) => listener.close(done))
  await refused(settingsFor(`postgres://u@127.0.0.1:${address.port}/db`), 'STORE_UNAVAILABLE', /ECONNREFUSED/)
})

test('a server that says nothing is given up, and an abort ends the wait at once', async (t) => {
  const listener = createServer((socket) => t.after(() => socket.destroy())).listen(0, '127.0.0.1')
  t.after(() => listener.close())
  await new Promise((done) => listener.once('listening', done))
  const address = listener.address()
  assert.ok(address !== null && typeof address === 'object')
  const settings = settingsFor(`postgres://u@127.0.0.1:${address.port}/db`)
  const abort = new AbortController()
  const opening = openTimescaleStore(settings, abort.signal)
  setImmediate(() => abort.abort())
  await assert.rejects(opening, { name: 'AbortError' })
  await assert.rejects(openTimescaleStore(settings, deadline()), { code: 'STORE_UNAVAILABLE' })
})

describe('logging in', requireServer(postgresMissing()), () => {
  test('the password, its lack, and a user or a database that is not there', async (t) => {
    const server = await temporaryServer(t, { password: SECRET })
    const settings = settingsFor(server.url)
    const store = await openStore(t, server.url, { password: SECRET })
    assert.deepEqual((await sql(store, 'select 1 as one')).rows, [{ one: 1 }])
    await refused(
      { ...settings, password: 'another password' },
      'STORE_UNAUTHORIZED',
      /password authentication/,
    )
    await refused(settings, 'STORE_UNAUTHORIZED', /password/)
    const nobody = server.url.replace('postgres@', 'nobody@')
    await refused({ ...settings, url: nobody, password: SECRET }, 'STORE_UNAUTHORIZED', /nobody/)
    const elsewhere = `${server.url.slice(0, server.url.lastIndexOf('/'))}/elsewhere`
    const error = await refused(
      { ...settings, url: elsewhere, password: SECRET },
      'STORE_DATABASE_UNKNOWN',
      /elsewhere/,
    )
    assert.match(error.remedy, /database/)
  })

  test('TLS: demanded, not spoken, not trusted, trusted', async (t) => {
    const [plain, server] = await Promise.all([temporaryDatabase(t), temporaryServer(t, { tls: 'required' })])
    await refused(settingsFor(plain.url, { tls: 'encrypt' }), 'STORE_TLS_FAILED', /does not support SSL/)
    await refused(settingsFor(server.url), 'STORE_TLS_FAILED', /no encryption/)
    await refused(settingsFor(server.url, { tls: 'verify' }), 'STORE_TLS_FAILED', /certificate/)
    await refused(
      settingsFor(server.url, { tls: 'verify', ca: server.ca.replaceAll(/[A-Z]/g, 'A') }),
      'STORE_TLS_FAILED',
      /./,
    )
    for (const changes of [{ tls: 'encrypt' }, { tls: 'verify', ca: server.ca }] as const) {
      const store = await openStore(t, server.url, changes)
      const { rows } = await sql(store, 'select ssl from pg_stat_ssl where pid = pg_backend_pid()')
      assert.deepEqual(rows, [{ ssl: true }], changes.tls)
    }
  })

  test('rights: none in the schema, none for temporary tables, tables of another', async (t) => {
    const server = await temporaryServer(t)
    await query(server, 'create role reader login; create role writer login; create database market')
    const urlOf = (user: string) => server.url.replace('postgres@', `${user}@`).replace(/postgres$/, 'market')
    const reader = await openStore(t, urlOf('reader'))
    await assert.rejects(reader.migrate(deadline()), { code: 'STORE_FORBIDDEN', message: /schema public/ })
    const [, ...lacks] = (await findings(settingsFor(urlOf('reader')))).filter(
      ({ status }) => status !== 'ok',
    )
    assert.match(lacks.map(({ detail }) => detail).join(), /may not create tables/)
    await query(server, 'grant create on schema public to writer', 'market')
    const writer = await openStore(t, urlOf('writer'))
    assert.equal((await writer.migrate(deadline())).applied.length > 0, true)
    await assert.rejects(reader.trades({ symbol: 'S', limit: 1 }, deadline()), { code: 'STORE_FORBIDDEN' })
    await assert.rejects(sql(reader, 'select * from trades'), { code: 'STORE_FORBIDDEN' })
    await query(server, 'grant create on schema public to reader', 'market')
    const foreign = await findings(settingsFor(urlOf('reader')))
    assert.match(
      foreign.find(({ check }) => check === 'store rights')?.detail ?? '',
      /another owner: .*trades/,
    )
    await query(server, 'revoke temporary on database market from public', 'market')
    await assert.rejects(openTimescaleStore(settingsFor(urlOf('reader')), deadline()), {
      code: 'STORE_FORBIDDEN',
      message: /temporary/,
    })
  })
})

describe('versions', requireServer(postgresMissing()), () => {
  test('an extension that is too old, too new, or not loaded is refused, with what to do', async (t) => {
    const server = await temporaryServer(t, {
      extensions: await fakeTimescale(t, '2.23.1', '2.19.3', '3.0.0'),
    })
    for (const [version, message] of [
      ['2.19.3', /TimescaleDB 2\.19\.3/],
      ['3.0.0', /TimescaleDB 3\.0\.0/],
      ['2.23.1', /not loaded/],
    ] as const) {
      await query(
        server,
        `drop extension if exists timescaledb cascade; create extension timescaledb version '${version}'`,
      )
      const { remedy } = await refused(settingsFor(server.url), 'STORE_UNSUPPORTED', message)
      assert.match(remedy, /alter extension|shared_preload_libraries/)
    }
  })

  test('what is missing is said in one line: not installed, not loaded, not allowed, the Apache licence', async (t) => {
    const missing = async (url: string) => {
      const { missing: lines } = await (await openStore(t, url)).migrate(deadline())
      assert.equal(lines.length, 1)
      return lines[0] ?? ''
    }
    const plain = await temporaryDatabase(t)
    assert.match(
      await missing(plain.url),
      /^TimescaleDB is not installed on this server: all tables are plain/,
    )
    const extensions = await fakeTimescale(t, '2.23.1')
    const cold = await temporaryServer(t, { extensions })
    assert.match(await missing(cold.url), /not in its shared_preload_libraries: all tables are plain/)
    const settings = { 'timescaledb.max_background_workers': '16', 'timescaledb.license': 'apache' }
    const warm = await temporaryServer(t, { extensions, settings })
    await query(warm, 'create role writer login; grant create on schema public to writer')
    assert.match(await missing(warm.url.replace('postgres@', 'writer@')), /may not create the extension/)
    await query(warm, 'drop owned by writer; grant all on schema public to writer')
    assert.match(await missing(warm.url), /licence "apache": candles are computed by each query/)
    const store = await openStore(t, warm.url)
    assert.deepEqual(
      (await sql(store, "select extversion from pg_extension where extname = 'timescaledb'")).rows,
      [{ extversion: '2.23.1' }],
    )
    assert.deepEqual(
      await store.candles({ symbol: 'S', interval: '1m', origin: 'trades', limit: 1 }, deadline()),
      [],
    )
  })
})

describe('looking at a server', requireServer(postgresMissing()), () => {
  test('version, clock, connections, extension, rights and schema, each with a remedy where it is not well', async (t: TestContext) => {
    const server = await temporaryServer(t, { settings: { max_connections: '10' } })
    const settings = settingsFor(server.url)
    const before = await findings(settings)
    const statuses = (list: typeof before) =>
      Object.fromEntries(list.map((each) => [each.check, each.status]))
    assert.deepEqual(statuses(before), {
      store: 'ok',
      'store clock': 'ok',
      'store connections': 'warn',
      'store extension': 'warn',
      'store queries': 'warn',
      'store rights': 'ok',
      'store schema': 'ok',
      'store locks': 'ok',
    })
    assert.match(before[0]?.detail ?? '', /PostgreSQL \d+.* as postgres, not encrypted/)
    for (const { check, status, remedy } of before) assert.equal(remedy === undefined, status === 'ok', check)
    const store = await openStore(t, server.url)
    await store.migrate(deadline())
    const migrated = await findings(settings)
    assert.equal(migrated.find(({ check }) => check === 'store schema')?.detail, 'up to date')
    await query(server, "insert into tapeline_migrations (id, name, checksum) values (999, 'later', 'x')")
    const newer = await findings(settings)
    assert.equal(statuses(newer)['store schema'], 'fail')
  })
})

function findings(settings: TimescaleSettings) {
  return inspectTimescale(settings, deadline())
}
