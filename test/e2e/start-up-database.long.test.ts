import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { Client } from 'pg'
import { requireServer } from '../servers/availability.ts'
import { fakeTimescale } from '../servers/fake-extension.ts'
import { postgresMissing, startPostgres } from '../servers/postgres.ts'
import { interrupt, startCommand, until, untilReady } from './platform-process.ts'
import { assertRefused, END_WITHIN_MS, onServers, outputOf, SECRET } from './start-up.ts'

/** Embedded broker, PostgreSQL server: what the database refuses at the start is the same with any broker. */
describe('up and doctor on a database server', requireServer(postgresMissing()), () => {
  const { its, data } = onServers(
    () => startPostgres({ password: SECRET, tls: 'required' }),
    () => startPostgres(),
  )
  const withTls = { TAPELINE_STORE_TLS: 'encrypt', TAPELINE_STORE_PASSWORD: SECRET }

  async function asAdmin(url: string, sql: string, password = ''): Promise<void> {
    const { hostname: host, port, username: user, pathname } = new URL(url)
    const ssl = password === '' ? false : { rejectUnauthorized: false }
    const database = pathname.slice(1)
    const client = new Client({ host, port: Number(port), user, database, ssl, password })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }

  test('a wrong password', () =>
    assertRefused({
      args: ['--database', its().server.url, ...data()],
      environment: { ...withTls, TAPELINE_STORE_PASSWORD: `${SECRET}-wrong` },
      code: 'STORE_UNAUTHORIZED',
      says: /password authentication failed/,
      finding: ['store', /STORE_UNAUTHORIZED/],
    }))

  test('no password', () =>
    assertRefused({
      args: ['--database', its().server.url, ...data()],
      environment: { TAPELINE_STORE_TLS: 'encrypt' },
      code: 'STORE_UNAUTHORIZED',
      says: /password/,
      finding: ['store', /STORE_UNAUTHORIZED/],
    }))

  test('an unknown host', () =>
    assertRefused({
      args: ['--database', 'postgres://tapeline@no-such-host.invalid:5432/market', ...data()],
      environment: withTls,
      code: 'STORE_HOST_UNKNOWN',
      says: /no-such-host\.invalid/,
      finding: ['store', /STORE_HOST_UNKNOWN/],
    }))

  test('a server that demands TLS', () =>
    assertRefused({
      args: ['--database', its().server.url, ...data()],
      environment: { TAPELINE_STORE_PASSWORD: SECRET },
      code: 'STORE_TLS_FAILED',
      says: /encryption/,
      finding: ['store', /STORE_TLS_FAILED/],
    }))

  test('a server that speaks no TLS', () =>
    assertRefused({
      args: ['--database', its().plain.url, ...data()],
      environment: withTls,
      code: 'STORE_TLS_FAILED',
      says: /SSL|TLS/,
      finding: ['store', /STORE_TLS_FAILED/],
    }))

  test('a certificate of another authority', () =>
    assertRefused({
      args: ['--database', its().server.url, ...data()],
      environment: { ...withTls, TAPELINE_STORE_TLS: 'verify', TAPELINE_STORE_TLS_CA: its().otherCa },
      code: 'STORE_TLS_FAILED',
      says: /certificate/,
      finding: ['store', /STORE_TLS_FAILED/],
    }))

  test('a file of an authority that is none', () =>
    assertRefused({
      args: ['--database', its().server.url, ...data()],
      environment: { ...withTls, TAPELINE_STORE_TLS: 'verify', TAPELINE_STORE_TLS_CA: '/nowhere/ca.pem' },
      code: 'CONFIG_INVALID',
      says: /store\.tlsCa/,
      finding: ['store', /CONFIG_INVALID/],
    }))

  test('a user without rights', async () => {
    await asAdmin(its().server.url, `create role reader login password '${SECRET}'`, SECRET)
    await assertRefused({
      args: ['--database', its().server.url.replace('postgres@', 'reader@'), ...data()],
      environment: { ...withTls, TAPELINE_STORE_TLS: 'verify', TAPELINE_STORE_TLS_CA: its().ca },
      code: 'STORE_FORBIDDEN',
      says: /permission denied/,
      finding: ['store rights', /may not create/],
    })
  })

  test('a database that does not exist', () =>
    assertRefused({
      args: ['--database', its().server.url.replace(/\/postgres$/, '/nothing'), ...data()],
      environment: withTls,
      code: 'STORE_DATABASE_UNKNOWN',
      says: /"nothing" does not exist/,
      remedy: /Create the database/,
      finding: ['store', /STORE_DATABASE_UNKNOWN/],
    }))

  test('a version of TimescaleDB that is too old', async (t) => {
    const old = await startPostgres({ extensions: await fakeTimescale(t, '2.10.0') })
    t.after(() => old.close())
    await asAdmin(old.url, 'create extension timescaledb')
    await assertRefused({
      args: ['--database', old.url, ...data()],
      code: 'STORE_UNSUPPORTED',
      says: /2\.10\.0/,
      finding: ['store', /2\.10\.0/],
    })
  })

  test('a password in --database, which everybody on the machine could read', () =>
    assertRefused({
      args: ['--database', its().server.url.replace('postgres@', `postgres:${SECRET}@`), ...data()],
      code: 'CONFIG_INVALID',
      says: /store\.url/,
      finding: ['configuration', /store\.url has a password/],
    }))

  test('a password that is right is told nowhere', async () => {
    const path = join(its().folder, 'right')
    const child = startCommand(
      [
        ...['up', '--port', '0', '--simulator', 'http://127.0.0.1:1', '--log-level', 'debug'],
        ...['--database', its().server.url, '--data', path],
      ],
      { ...withTls, TAPELINE_STORE_TLS: 'verify', TAPELINE_STORE_TLS_CA: its().ca },
    )
    const output = outputOf(child)
    await untilReady(child, path, () => output.stderr)
    const run = await readFile(join(path, 'run.json'), 'utf8')
    const { api } = JSON.parse(run) as { api: string }
    const pages = ['/', '/readyz', '/metrics', '/v1/actors', '/v1/alerts', '/v1/topics?all=true']
    const answers = await Promise.all(pages.map((page) => fetch(`${api}${page}`).then((got) => got.text())))
    assert.equal(await interrupt(child), 0, output.stderr)
    assert.match(output.stderr, /"level":"debug"/)
    const told = [run, output.stdout, output.stderr, ...answers]
    assert.ok(!told.some((text) => text.includes(SECRET)), 'no secret')
  })

  test('a server that comes later is waited for, said in one line, and a wait ends with Ctrl-C', async () => {
    const url = its().plain.url
    await its().plain.stop()
    const args = ['up', '--port', '0', '--simulator', 'http://127.0.0.1:1', '--database', url]
    const [path, other] = [join(its().folder, 'late'), join(its().folder, 'given-up')]
    const child = startCommand([...args, '--data', path])
    const impatient = startCommand([...args, '--data', other])
    const [output, saying] = [outputOf(child), outputOf(impatient)]
    const isWaiting = ({ stderr }: { stderr: string }): boolean => stderr.includes('waiting for')
    await until('both wait', () => isWaiting(output) && isWaiting(saying))
    assert.equal(await interrupt(impatient), 0, saying.stderr)

    await its().plain.restart()
    await untilReady(child, path, () => output.stderr)
    const { port } = new URL(url)
    const lines = output.stderr.split('\n').filter((line) => line.includes('waiting for'))
    assert.equal(lines.length, 1, output.stderr)
    const { server: named, code, reason } = JSON.parse(lines[0] ?? '')
    assert.equal(named, `the database at 127.0.0.1:${port}/postgres`)
    assert.equal(code, 'STORE_UNAVAILABLE')
    assert.match(reason, /ECONNREFUSED/)
    await until('it says that it runs', () => output.stdout.includes('Tapeline runs'))
    assert.match(
      output.stdout,
      /on the data folder .*late and the database at 127\.0\.0\.1:\d+\/postgres, API at/,
    )

    const [, api = ''] = /API at (\S+)/.exec(output.stdout) ?? []
    const ask = async () => {
      const body = JSON.stringify({ sql: 'select 1 as n' })
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(`${api}/v1/sql`, { method: 'POST', headers, body })
      return { status: answer.status, ...((await answer.json()) as { code?: string }) }
    }
    await its().plain.stop()
    await until('the loss of the database shows', async () => (await ask()).code === 'STORE_UNAVAILABLE')
    await its().plain.restart()
    await until('the database answers again', async () => (await ask()).status === 200)
    assert.equal(child.exitCode, null, 'once it runs, no server that is away ends it')
    assert.equal(await interrupt(child), 0, output.stderr)
  })

  test('doctor ends in time with a database that does not answer', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    const port = typeof address === 'object' ? address?.port : undefined
    const child = startCommand([
      ...['doctor', '--json', '--port', '0', '--simulator', 'http://127.0.0.1:1'],
      ...['--database', `postgres://tapeline@127.0.0.1:${port}/market`, ...data()],
    ])
    const output = outputOf(child)
    const late = setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS)
    const [code] = (await once(child, 'close')) as [number | null]
    clearTimeout(late)
    silent.close()
    assert.equal(code, 1, output.stderr)
    assert.match(output.stdout, /STORE_UNAVAILABLE|TIMEOUT/)
  })

  test('sql and migrate go to the server while nothing runs', async () => {
    const environment = { TAPELINE_STORE_KIND: 'timescale', TAPELINE_STORE_URL: its().plain.url }
    const run = async (...args: readonly string[]) => {
      const child = startCommand([...args, ...data()], environment)
      const output = outputOf(child)
      const [code] = (await once(child, 'close')) as [number | null]
      assert.equal(code, 0, output.stderr)
      return JSON.parse(output.stdout)
    }
    const report = await run('migrate', '--json')
    assert.match(report.current, /^\d{4}-/)
    assert.deepEqual(await run('sql', '--json', 'select count(*) as n from trades'), [{ n: 0 }])
  })
})
