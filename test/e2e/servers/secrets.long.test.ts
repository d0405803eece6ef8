import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import WebSocket from 'ws'
import type { Simulator } from '../../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../../src/simulator/thread.ts'
import { needsChromium, openBrowser } from '../../dashboard/browser.ts'
import { buildPage } from '../../dashboard/built.ts'
import { requireServer } from '../../servers/availability.ts'
import { type KafkaServer, kafkaMissing, startKafka } from '../../servers/kafka.ts'
import { type PostgresServer, postgresMissing, startPostgres } from '../../servers/postgres.ts'
import { startCollector } from '../collector.ts'
import {
  assertFilesHide,
  assertHidden,
  listenToRefuse,
  type Refusing,
  SECRETS as USUAL_SECRETS,
} from '../hidden.ts'
import { answered, makeFolder, PlatformProcess, until } from '../platform-process.ts'

const SECRETS = { ...USUAL_SECRETS, broker: 'kafka-pa55-3k2j1h9g8' }
/** What somebody makes the database's password while the platform still has the former one. */
const OTHER_PASSWORD = 'another-one-of-theirs'
const MECHANISM = 'SCRAM-SHA-512'
const VIEWS = [
  '/',
  '/machines/producer',
  '/markets',
  '/markets/coinbase/BTC-USD',
  '/streams',
  '/data',
  '/health',
]

const skip = needsChromium.skip || requireServer(kafkaMissing() ?? postgresMissing()).skip

describe('a platform on servers that ask for passwords, at work and while each of them fails', {
  skip,
}, () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let kafka: KafkaServer
  let postgres: PostgresServer
  let simulator: Simulator
  let collector: Awaited<ReturnType<typeof startCollector>>
  let slack: Refusing
  let receiver: Refusing
  let platform: PlatformProcess
  let webhook: { readonly id: string; readonly secret: string }
  let issued = ''
  let data = ''

  const secrets = (): readonly string[] =>
    [...Object.values(SECRETS), issued, webhook?.secret.replace('whsec_', '')].filter(Boolean)
  const ask = async (path: string, key: string = SECRETS.admin, body?: object) =>
    fetch(`${await platform.api()}${path}`, {
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body && { method: 'POST', body: JSON.stringify(body) }),
    })
  const readLog = (): Promise<string> => readFile(join(folder.path, 'log'), 'utf8')
  const inDatabase = async (
    statement: string,
    password = SECRETS.database,
  ): Promise<readonly { readonly found: unknown }[]> => {
    const url = new URL(postgres.url)
    url.password = password
    const client = new pg.Client({ connectionString: url.href })
    client.on('error', () => undefined)
    await client.connect()
    try {
      return (await client.query<{ found: unknown }>(statement)).rows
    } finally {
      await client.end()
    }
  }
  const readiness = async (): Promise<string> => (await ask('/readyz')).text()
  const stored = async (): Promise<number> =>
    Number(/^tapeline_stored_rows_total.* (\d+)$/m.exec(await (await ask('/metrics')).text())?.[1] ?? 0)

  before(async () => {
    await buildPage()
    folder = await makeFolder()
    data = join(folder.path, 'data')
    ;[kafka, postgres, simulator, collector, slack, receiver] = await Promise.all([
      startKafka({ sasl: { mechanism: MECHANISM, users: { admin: SECRETS.broker } } }),
      startPostgres({ password: SECRETS.database }),
      startSimulatorThread({ seed: 3, rate: 50 }),
      startCollector(),
      listenToRefuse(),
      listenToRefuse(),
    ])
    platform = new PlatformProcess(
      data,
      [
        ...['--kafka', kafka.bootstrap, '--database', postgres.url, '--simulator', simulator.url],
        ...['--log', 'json', '--log-level', 'debug', '--trace', join(folder.path, 'trace')],
      ],
      {
        TAPELINE_API_KEYS: `admin:${SECRETS.admin},bot:${SECRETS.application}`,
        CRYPTOCOMPARE_API_KEY: SECRETS.source,
        TAPELINE_BROKER_SASL: MECHANISM.toLowerCase(),
        TAPELINE_BROKER_USERNAME: 'admin',
        TAPELINE_BROKER_PASSWORD: SECRETS.broker,
        TAPELINE_STORE_PASSWORD: SECRETS.database,
        TAPELINE_ALERTS_AFTER: '500ms',
        TAPELINE_ALERTS_WEBHOOK: `${slack.url}/services/${SECRETS.slack}`,
        TAPELINE_WEBHOOKS_ALLOW: '127.0.0.0/8',
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: `x-collector-key=${SECRETS.collector}`,
        TAPELINE_TELEMETRY_SAMPLE_EVERY: '1',
      },
      { logFile: join(folder.path, 'log') },
    )
    await platform.start()
  })
  after(async () => {
    await platform?.kill()
    for (const refusing of [slack, receiver]) refusing?.close()
    await Promise.all([kafka?.close(), postgres?.close(), simulator?.close(), collector?.close()])
    await folder?.remove()
  })

  test('works for applications by each of the ways in', async (t) => {
    const made = await answered('a key', () => ask('/v1/keys', SECRETS.admin, { app: 'bot-2' }))
    issued = ((await made.json()) as { key: string }).key
    const spec = { channel: 'trade', symbols: ['*'] }
    const wanted = { url: `${receiver.url}/hook`, spec }
    const hook = await answered('a webhook', () => ask('/v1/webhooks', SECRETS.application, wanted))
    webhook = (await hook.json()) as typeof webhook
    assert.deepEqual([made.status, hook.status], [201, 201])
    const address = (await platform.api()).replace('http', 'ws')
    for (const key of [SECRETS.application, issued, 'not-a-key-at-all']) {
      const socket = new WebSocket(`${address}/v1/ws?key=${key}`)
      t.after(() => socket.terminate())
      const frames: string[] = []
      socket.on('message', (frame) => frames.push(String(frame)))
      socket.on('error', (error) => frames.push(String(error)))
      socket.on('open', () => socket.send(JSON.stringify({ op: 'subscribe', spec })))
      await until('something came', () => frames.some((frame) => /"events"|401/.test(frame)))
      assertHidden(frames.join('\n'), secrets(), 'a WebSocket')
    }
    await until('the webhook was refused', () => receiver.asked() > 1)
    await until('trades are stored', async () => (await stored()) > 0)
    await until('whole traces were sent', () => collector.whole(['receive', 'publish', 'store']).length > 0)
    assert.equal(collector.headers[0]?.['x-collector-key'], SECRETS.collector, 'the collector got its key')
  })

  test('fails at each server, and comes back', async () => {
    await postgres.stop()
    await until('readiness tells it', async () => (await readiness()).includes('"database","ok":false'))
    await until('so does an alert, which the receiver refuses', () => slack.asked() > 0)
    assertHidden(await (await ask('/v1/alerts')).text(), secrets(), 'alerts')
    await postgres.restart()
    await until('the database is back', async () => (await readiness()).includes('"database","ok":true'))
    await inDatabase(`alter user postgres password '${OTHER_PASSWORD}'`)
    const others = 'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()'
    await inDatabase(others, OTHER_PASSWORD)
    await until('the password is refused', async () => (await readLog()).includes('STORE_UNAUTHORIZED'))
    assertHidden(await readiness(), secrets(), 'readiness')
    await inDatabase(`alter user postgres password '${SECRETS.database}'`, OTHER_PASSWORD)
    await kafka.stop()
    await until('readiness tells it', async () => (await readiness()).includes('"broker","ok":false'))
    await kafka.restart()
    await collector.close()
    const before = await stored()
    await until('trades are stored again', async () => (await stored()) > before, 120_000)
  })

  test('says no secret on any view of the page, to whoever signs in', async () => {
    const browser = await openBrowser(await platform.api())
    try {
      const { page } = browser
      await page.goto(await platform.api())
      await page.getByLabel('API key').fill(SECRETS.admin)
      await page.keyboard.press('Enter')
      await page.locator('#ready.good').waitFor()
      for (const path of VIEWS) {
        await page.goto(`${await platform.api()}${path}`)
        await page.locator('#ready.good').waitFor()
        await page.locator('main > *').first().waitFor()
        assertHidden(await page.content(), secrets(), path)
        assert.ok(!page.url().includes(SECRETS.admin))
      }
    } finally {
      await browser.close()
    }
  })

  test('nor in any answer, in what it keeps, in its log, its spans and its topics', async () => {
    for (const path of [
      '/metrics',
      '/v1/actors',
      '/v1/alerts',
      '/v1/webhooks',
      '/v1/keys',
      '/v1/gaps',
      '/v1/streams',
      '/readyz',
    ])
      for (const key of [SECRETS.admin, SECRETS.application, issued, 'not-a-key-at-all'])
        assertHidden(await (await ask(path, key)).text(), secrets(), path)
    await assertFilesHide(data, secrets())
    assert.equal(await platform.stop(), 0, platform.output)
    assertHidden(await readLog(), secrets(), 'the log')
    assertHidden(await readFile(join(folder.path, 'trace'), 'utf8'), secrets(), 'the trace')
    assertHidden(JSON.stringify(collector.spans), secrets(), 'the spans')
    // What signs a webhook must outlive the process: the control topic keeps it, and nothing else.
    const { secret } = webhook
    const others = secrets().filter((each) => !secret.includes(each))
    await assertFilesHide(kafka.data, others, /\.log$/)
    const signing = secret.replace('whsec_', '')
    await assert.rejects(assertFilesHide(kafka.data, [signing], /\.log$/), 'what is there would be found')
    const tables = await inDatabase(
      "select format('%I.%I', schemaname, tablename) as found from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    )
    assert.ok(tables.length > 5)
    for (const { found: table } of tables)
      for (const each of secrets())
        assert.deepEqual(
          await inDatabase(`select 1 as found from ${table} t where t::text like '%${each}%' limit 1`),
          [],
          `${table} has ${each}`,
        )
  })
})
