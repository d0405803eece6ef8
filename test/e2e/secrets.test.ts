import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { startCollector } from './collector.ts'
import { assertFilesHide, assertHidden, listenToRefuse, type Refusing, SECRETS } from './hidden.ts'
import { answered, makeFolder, PlatformProcess, runProgram, until } from './platform-process.ts'

/** Set when the platform makes it. */
let webhookSecret = ''

function assertNone(text: string, where: string): void {
  const webhook = webhookSecret.replace('whsec_', '')
  assertHidden(text, [...Object.values(SECRETS), webhook].filter(Boolean), where)
}

/** The scripts and styles that a page names. */
function scriptsOf(html: string): readonly string[] {
  return [...html.matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)].map(([, path = '']) => path)
}

describe('a platform whose neighbours all fail, and repeat what they are sent', () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let source: Refusing
  let slack: Refusing
  let receiver: Refusing
  let platform: PlatformProcess
  let log: string
  let trace: string

  const ask = async (path: string, key: string | undefined = SECRETS.admin, init: RequestInit = {}) =>
    fetch(`${await platform.api()}${path}`, {
      ...init,
      headers: {
        ...(key !== undefined && { authorization: `Bearer ${key}` }),
        'content-type': 'application/json',
      },
    })

  before(async () => {
    folder = await makeFolder()
    const data = join(folder.path, 'data')
    await copyStoreTemplate(join(data, 'store'))
    ;[source, slack, receiver] = await Promise.all([listenToRefuse(), listenToRefuse(), listenToRefuse()])
    log = join(folder.path, 'log')
    trace = join(folder.path, 'trace')
    platform = new PlatformProcess(
      data,
      ['--trace', trace, '--log', 'json'],
      {
        TAPELINE_API_KEYS: `admin:${SECRETS.admin},bot:${SECRETS.application}`,
        CRYPTOCOMPARE_API_KEY: SECRETS.source,
        TAPELINE_SOURCE_URL: source.url.replace('http', 'ws'),
        TAPELINE_SOURCE_REST_URL: source.url,
        TAPELINE_SOURCE_FALLBACK_AFTER: '100ms',
        TAPELINE_ALERTS_AFTER: '100ms',
        TAPELINE_ALERTS_WEBHOOK: `${slack.url}/services/${SECRETS.slack}`,
        TAPELINE_STORE_PASSWORD: SECRETS.database,
        TAPELINE_WEBHOOKS_ALLOW: '127.0.0.0/8',
      },
      { logFile: log },
    )
    await platform.start()
  })
  after(async () => {
    await platform.kill()
    for (const refusing of [source, slack, receiver]) refusing.close()
    await folder.remove()
  })

  test('says no secret in any answer', async () => {
    const body = JSON.stringify({ url: `${receiver.url}/hook`, spec: { channel: 'trade', symbols: ['*'] } })
    const made = await answered('a webhook', () =>
      ask('/v1/webhooks', SECRETS.application, { method: 'POST', body }),
    )
    const webhook = (await made.json()) as { id: string; secret: string }
    assert.equal(made.status, 201, JSON.stringify(webhook))
    webhookSecret = webhook.secret
    assert.match(webhookSecret, /^whsec_/)
    await until('the source has failed, and alerts could not be sent', async () => {
      const { alerts } = (await (await ask('/v1/alerts')).json()) as { alerts: { id: string }[] }
      return alerts.some(({ id }) => id === 'producer') && slack.asked() > 0 && source.asked() > 2
    })
    const listed = await answered('the list of topics', () => ask('/v1/topics'))
    const { topics } = (await listed.json()) as { topics: { name: string }[] }
    assert.ok(topics.length > 0)
    const paths = [
      ...['/docs', '/docs/errors', '/healthz', '/readyz', '/metrics', '/openapi.json', '/v1/asyncapi.json'],
      ...['/v1/actors', '/v1/alerts', '/v1/streams', '/v1/topics', '/v1/webhooks', '/v1/keys', '/v1/markets'],
      ...[
        '/v1/dead-letters',
        '/v1/nothing',
        `/v1/webhooks/${webhook.id}`,
        '/v1/gaps',
        '/v1/books/kraken/A-B',
        '/v1/books/kraken/A-B/stored',
      ],
      ...['/v1/trades?symbol=BTC-USD', '/v1/quotes?symbol=BTC-USD', '/v1/candles?symbol=BTC-USD'],
      ...['/udf/config', '/udf/search?query=btc', '/udf/symbols?symbol=KRAKEN:BTC-USD', '/udf/time'],
      ...['/', '/machines', '/machines/producer', '/markets', '/markets/kraken/BTC-USD', '/streams', '/data'],
      ...['/health', '/streams/01kb0c5e9mt8f6v3sn2dj4hq7w', '/diagrams/producer.svg'],
      ...scriptsOf(await (await ask('/')).text()),
      ...topics.map(({ name }) => `/v1/topics/${name}`),
      ...topics.flatMap(({ name }) =>
        [0, 1, 2, 3].map((partition) => `/v1/topics/${name}/records?partition=${partition}&from=earliest`),
      ),
    ]
    for (const path of paths)
      for (const key of [SECRETS.admin, SECRETS.application, undefined, 'not-a-key-at-all'])
        assertNone(await (await ask(path, key)).text(), path)
    const sql = { method: 'POST', body: JSON.stringify({ sql: "select current_setting('nothing')" }) }
    assertNone(await (await ask('/v1/sql', SECRETS.admin, sql)).text(), '/v1/sql')
    const streams = await answered('the list of streams', () => ask('/v1/streams', SECRETS.application))
    assert.equal(streams.status, 200, 'the keys work')
  })

  test('nor in its log, whose lines say at the default level what an operator needs', async () => {
    assert.equal(await platform.stop(), 0, platform.output)
    const text = await readFile(log, 'utf8')
    assertNone(text, 'the log')
    assertNone(await readFile(trace, 'utf8'), 'the trace')
    // What signs a webhook must outlive the process: the control topic keeps it, and nothing else.
    await assertFilesHide(join(folder.path, 'data'), Object.values(SECRETS))
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, string>)
    const said = (pattern: RegExp) => lines.filter(({ msg }) => pattern.test(msg ?? ''))
    assert.equal(said(/^the platform runs$/).length, 1)
    assert.equal(said(/^the platform stops$/).length, 1)
    assert.ok(said(/^leading the coordinators$/).length === 1 && said(/^shards taken over$/).length >= 1)
    assert.ok(said(/^the machine is in error$/).some(({ actor, code }) => actor === 'producer' && code))
    assert.ok(said(/^alert: /).some(({ alert }) => alert === 'producer'))
    assert.ok(lines.every(({ level }) => level !== 'debug'))
    // What fails is tried again for as long as the test runs: that is not many lines of different kinds.
    const kinds = new Set(lines.map(({ level, actor, msg = '' }) => `${level} ${actor} ${msg.split(':')[0]}`))
    assert.ok(kinds.size < 25, [...kinds].join('\n'))
  })
})

test('the spans that a collector is sent have no secret, and neither have the metrics and the log meanwhile', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  const [collector, simulator] = await Promise.all([
    startCollector(),
    startSimulatorThread({ seed: 1, rate: 200 }),
  ])
  t.after(() => Promise.all([collector.close(), simulator.close()]))
  const platform = new PlatformProcess(
    data,
    ['--simulator', simulator.url, '--log', 'json', '--log-level', 'debug'],
    {
      TAPELINE_API_KEYS: `admin:${SECRETS.admin},bot:${SECRETS.application}`,
      CRYPTOCOMPARE_API_KEY: SECRETS.source,
      TAPELINE_STORE_PASSWORD: SECRETS.database,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: `x-collector-key=${SECRETS.collector}`,
      TAPELINE_TELEMETRY_SAMPLE_EVERY: '1',
    },
    { logFile: join(folder.path, 'log') },
  )
  t.after(() => platform.kill())
  await platform.start()
  await until('spans were sent', () => collector.whole(['receive', 'publish', 'store']).length > 5)
  assertNone(JSON.stringify(collector.spans), 'the spans')
  assert.equal(collector.headers[0]?.['x-collector-key'], SECRETS.collector, 'the collector got its key')
  const headers = { authorization: `Bearer ${SECRETS.admin}` }
  assertNone(await (await fetch(`${await platform.api()}/metrics`, { headers })).text(), 'the metrics')
  assert.equal(await platform.stop(), 0, platform.output)
  assertNone(await readFile(join(folder.path, 'log'), 'utf8'), 'the log')
})

test('a database that repeats the password in its refusal is not repeated', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => {
      // AuthenticationCleartextPassword. Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
      socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]))
      socket.once('data', (message) => {
        const password = message.subarray(5, -1).toString()
        const body = `SFATAL\0C28P01\0Mpassword "${password}" is wrong: try password=${password}\0\0`
        const length = Buffer.alloc(4)
        length.writeInt32BE(body.length + 4)
        socket.end(Buffer.concat([Buffer.from('E'), length, Buffer.from(body)]))
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const { code, stdout, stderr } = await runProgram(
    [
      ...['up', '--port', '0', '--data', folder.path, '--log-level', 'debug', '--live'],
      ...['--database', `postgres://tape@127.0.0.1:${port}/market`],
    ],
    { TAPELINE_STORE_PASSWORD: SECRETS.database },
  )
  assert.equal(code, 1)
  assert.match(stderr, /STORE_UNAUTHORIZED/)
  assertNone(stdout + stderr, 'what it printed')
})
