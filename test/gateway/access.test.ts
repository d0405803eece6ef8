import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { TapelineError } from '../../src/errors.ts'
import { openEvents } from './event-client.ts'
import { assertProblem, call, post } from './http.ts'
import { startPlatform } from './platform.ts'
import { openSocket, refusal } from './socket-client.ts'

const keys = [
  { name: 'alice', key: 'alice-key' },
  { name: 'admin', key: 'admin-key' },
]
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const good = { channel: 'trade', symbols: ['*'] }

/** What the server says to bytes as they are, until it ends the connection. */
async function rawAnswer(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  // A server that refuses early may reset what it has not read.
  socket.on('error', () => {})
  socket.write(text)
  await once(socket, 'close')
  return Buffer.concat(chunks).toString()
}

describe('API keys', () => {
  test('by bearer or x-api-key; the application is the name of the key', async (t) => {
    const { url } = await startPlatform(t, { keys })
    for (const headers of [
      bearer('alice-key'),
      { 'x-api-key': 'alice-key' },
      { authorization: 'bearer alice-key' },
    ]) {
      const answer = await post(`${url}/v1/streams`, good, headers)
      assert.deepEqual([answer.status, answer.json()['app']], [201, 'alice'])
    }
  })

  test('without a valid key every route of the API is UNAUTHORIZED, unknown ones too', async (t) => {
    const { url, logged } = await startPlatform(t, { keys })
    const attempts = [
      {},
      bearer('geheim-wrong'),
      bearer('alice-ke'),
      { authorization: 'Bearer ' },
      { authorization: 'Basic YWxpY2U6' },
      { authorization: 'alice-key' },
      { 'x-api-key': '' },
    ]
    for (const headers of attempts) {
      const answer = await call(`${url}/v1/streams`, { headers })
      assertProblem(answer, 'UNAUTHORIZED', JSON.stringify(headers))
      assert.equal(answer.headers['www-authenticate'], 'Bearer')
    }
    for (const path of [
      '/v1/actors',
      '/v1/alerts',
      '/v1/topics',
      '/v1/trades?symbol=X',
      '/v1/quotes?symbol=X',
      '/metrics',
      '/nothing',
    ]) {
      assertProblem(await call(url + path), 'UNAUTHORIZED', path)
    }
    assertProblem(
      await call(`${url}/v1/streams?key=alice-key`),
      'UNAUTHORIZED',
      'a key in the query of plain HTTP',
    )
    assert.ok(!/geheim|alice-key/.test(logged.join('')))
  })

  test('the page, the documentation and the probes are open; the details of readiness are not', async (t) => {
    const { url } = await startPlatform(t, { keys })
    for (const path of ['/', '/docs/', '/docs/json', '/docs/errors', '/healthz', '/readyz']) {
      assert.equal((await call(url + path)).status, 200, path)
    }
    assert.deepEqual((await call(`${url}/readyz`)).json()['checks'], [{ name: 'producer', ok: true }])
    const detailed = await call(`${url}/readyz`, { headers: bearer('alice-key') })
    assert.deepEqual(detailed.json()['checks'], [
      { name: 'producer', ok: true, detail: 'producer at 10.0.0.1' },
    ])
  })

  test('SQL, raw records and reset: from this machine or by admin, never through a proxy with another key', async (t) => {
    const { url, broker } = await startPlatform(t, { keys })
    broker.add('app.01', [])
    const routes = [
      ['POST', '/v1/sql', JSON.stringify({ sql: 'select 1' })],
      ['GET', '/v1/topics/app.01/records', ''],
      ['POST', '/v1/actors/producer-0/reset', ''],
    ] as const
    for (const [method, path, body] of routes) {
      const asks = (headers: Record<string, string>) => {
        return call(url + path, { method, body, headers: { 'content-type': 'application/json', ...headers } })
      }
      assert.ok((await asks(bearer('alice-key'))).status < 300, `${path} from this machine`)
      const forwarded = { 'x-forwarded-for': '203.0.113.5' }
      assertProblem(await asks({ ...bearer('alice-key'), ...forwarded }), 'FORBIDDEN', path)
      assert.ok((await asks({ ...bearer('admin-key'), ...forwarded })).status < 300, `${path} by admin`)
      assertProblem(await asks(forwarded), 'UNAUTHORIZED', path)
    }
  })

  test('a public address without keys, and keys that cannot be used, are refused at the start', async (t) => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.org', '127.0.0.1.example.org']) {
      await assert.rejects(startPlatform(t, { host }), { code: 'PUBLIC_WITHOUT_KEYS' }, host)
    }
    for (const key of ['', ' ', 'a b']) {
      await assert.rejects(startPlatform(t, { keys: [{ name: 'x', key }] }), { code: 'CONFIG_INVALID' }, key)
    }
    const { gateway } = await startPlatform(t, { host: '0.0.0.0', keys })
    assert.equal(gateway.address, '0.0.0.0')
  })

  test('a port that is taken is PORT_IN_USE', async (t) => {
    const { gateway } = await startPlatform(t)
    const second = startPlatform(t, { port: gateway.port })
    await assert.rejects(second, (error) => error instanceof TapelineError && error.code === 'PORT_IN_USE')
  })
})

describe('without keys only this machine is answered', () => {
  test('other host names are refused: a name that points here (DNS rebinding)', async (t) => {
    const { url, gateway } = await startPlatform(t)
    const foreign = [
      'evil.example',
      'evil.example:8080',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '10.0.0.7',
    ]
    for (const host of foreign) {
      for (const path of ['/v1/streams', '/', '/docs/json', '/healthz']) {
        assertProblem(await call(url + path, { headers: { host } }), 'ORIGIN_REFUSED', `${host}${path}`)
      }
    }
    assert.match(await rawAnswer(gateway.port, 'GET / HTTP/1.0\r\n\r\n'), /^HTTP\/1.1 403 .*ORIGIN_REFUSED/s)
    const { port } = gateway
    for (const host of [
      `127.0.0.1:${port}`,
      `localhost:${port}`,
      'LOCALHOST',
      `[::1]:${port}`,
      '127.8.9.1',
      'localhost:9999',
    ]) {
      assert.equal((await call(`${url}/v1/streams`, { headers: { host } })).status, 200, host)
    }
  })

  test('what a proxy on this machine forwards is not of this machine: by its headers, or as nginx sends it by default', async (t) => {
    const { url, gateway } = await startPlatform(t)
    for (const name of ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-proto', 'x-real-ip']) {
      const answer = await call(`${url}/v1/streams`, { headers: { [name]: '203.0.113.5' } })
      assertProblem(answer, 'UNAUTHORIZED', name)
      assert.match(String(answer.json()['detail']), /through a proxy/)
    }
    const nginx = `GET /v1/streams HTTP/1.0\r\nHost: 127.0.0.1:${gateway.port}\r\nConnection: close\r\n\r\n`
    assert.match(await rawAnswer(gateway.port, nginx), /^HTTP\/1.1 401 .*"code":"UNAUTHORIZED"/s)
    const probe = nginx.replace('/v1/streams', '/healthz')
    assert.match(await rawAnswer(gateway.port, probe), /^HTTP\/1.1 200 /)
    const upgrade = await refusal(`${url}/v1/ws`, { headers: { 'x-forwarded-for': '203.0.113.5' } })
    assert.equal(upgrade.status, 401)
  })

  test('pages of other sites are refused, for reading, posting and deleting', async (t) => {
    const { url, desk } = await startPlatform(t)
    desk.add('s1', 'local')
    const own = url.replace('http://', '')
    for (const origin of [
      'http://evil.example',
      'null',
      `http://127.0.0.1:1`,
      `https://evil.example`,
      'file://',
      `http://evil.${own}`,
    ]) {
      assertProblem(await call(`${url}/v1/streams`, { headers: { origin } }), 'ORIGIN_REFUSED', origin)
      assertProblem(await post(`${url}/v1/streams`, good, { origin }), 'ORIGIN_REFUSED', origin)
      const method = 'DELETE'
      assertProblem(
        await call(`${url}/v1/streams/s1`, { method, headers: { origin } }),
        'ORIGIN_REFUSED',
        origin,
      )
      assert.equal((await refusal(`${url}/v1/ws`, { origin })).status, 403, origin)
    }
    assert.equal(desk.leases.size, 1)
    assert.equal((await post(`${url}/v1/streams`, good, { origin: url })).status, 201)
  })

  test('no answer allows other sites to read it', async (t) => {
    const { url } = await startPlatform(t)
    const { headers } = await call(`${url}/v1/streams`, { headers: { origin: url } })
    assert.equal(headers['access-control-allow-origin'], undefined)
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['cache-control'], 'no-store')
  })

  test('with keys every host name will do', async (t) => {
    const { url } = await startPlatform(t, { keys })
    for (const origin of [{}, { origin: 'https://feed.example' }]) {
      const headers = { ...bearer('alice-key'), host: 'feed.example', ...origin }
      assert.equal((await call(`${url}/v1/streams`, { headers })).status, 200)
    }
  })
})

describe('pages of other sites', () => {
  const origins = ['https://app.example', 'https://*.example.com', 'http://*.localhost:3000']
  const allowed = [
    'https://app.example',
    'https://a.example.com',
    'https://b.a.example.com',
    'http://x.localhost:3000',
  ]
  const refused = [
    'http://app.example',
    'https://app.example:444',
    'https://app.example.evil.test',
    'https://example.com',
    'https://evilexample.com',
    'https://evil.test/.example.com',
    'https://evil.test#.example.com',
    'https://.example.com',
    'http://x.localhost',
    'null',
  ]

  test('call nothing unless they are configured, with a key or without, by HTTP or WebSocket', async (t) => {
    for (const known of [[], keys]) {
      const { url } = await startPlatform(t, { keys: known })
      const headers = { ...bearer('alice-key'), origin: 'https://app.example' }
      const answer = await call(`${url}/v1/streams`, { headers })
      assertProblem(answer, 'ORIGIN_REFUSED')
      assert.equal(answer.headers['access-control-allow-origin'], undefined)
      assertProblem(
        await refusal(`${url}/v1/ws?key=alice-key`, { origin: 'https://app.example' }),
        'ORIGIN_REFUSED',
      )
      assert.equal(
        (await call(`${url}/v1/streams`, { headers: bearer('alice-key') })).headers['vary'],
        undefined,
      )
    }
  })

  test('may call and read where they are, exactly or below a name', async (t) => {
    for (const known of [[], keys]) {
      const { url } = await startPlatform(t, { keys: known, origins })
      for (const origin of allowed) {
        const headers = { ...bearer('alice-key'), origin }
        for (const path of ['/v1/streams', '/v1/streams/none', '/healthz', '/nothing']) {
          const answer = await call(url + path, { headers })
          assert.equal(answer.headers['access-control-allow-origin'], origin, path)
          assert.equal(answer.headers['vary'], 'origin')
        }
        assert.equal((await post(`${url}/v1/streams`, good, headers)).status, 201)
        const { socket } = await openSocket(t, `${url}/v1/ws?key=alice-key`, { origin })
        socket.terminate()
      }
      for (const origin of refused) {
        const headers = { ...bearer('alice-key'), origin }
        assertProblem(await call(`${url}/v1/streams`, { headers }), 'ORIGIN_REFUSED', origin)
        assert.equal((await refusal(`${url}/v1/ws?key=alice-key`, { origin })).status, 403, origin)
      }
    }
  })

  test('read streams of events', async (t) => {
    const { url, desk } = await startPlatform(t, { origins })
    desk.add('s1', 'local')
    const { response, close } = await openEvents(t, `${url}/v1/streams/s1/events`, {
      origin: 'https://app.example',
    })
    assert.equal(response.headers['access-control-allow-origin'], 'https://app.example')
    close()
  })

  test('are told beforehand what they may send, without a key', async (t) => {
    const { url } = await startPlatform(t, { keys, origins })
    const ask = (origin: string) =>
      call(`${url}/v1/streams/s1`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'DELETE',
          'access-control-request-headers': 'authorization',
        },
      })
    const { status, headers } = await ask('https://a.example.com')
    assert.equal(status, 204)
    assert.equal(headers['access-control-allow-origin'], 'https://a.example.com')
    assert.match(String(headers['access-control-allow-methods']), /PATCH, DELETE/)
    assert.match(String(headers['access-control-allow-headers']), /authorization.*content-type/)
    assert.equal(headers['access-control-allow-credentials'], undefined)
    assertProblem(await ask('https://evil.test'), 'ORIGIN_REFUSED')
  })
})

describe('what is not HTTP', () => {
  test('malformed requests get a problem document and the connection ends', async (t) => {
    const { gateway } = await startPlatform(t)
    const cases = [
      ['nonsense\r\n\r\n', 400],
      ['GET / HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n', 400],
      [`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ] as const
    for (const [text, status] of cases) {
      const answer = await rawAnswer(gateway.port, text)
      assert.match(
        answer,
        new RegExp(`^HTTP/1.1 ${status} .*application/problem\\+json.*"code":"INPUT_INVALID"`, 's'),
      )
    }
  })

  test("an offer of another protocol (curl's HTTP/2) is passed over", async (t) => {
    const { url } = await startPlatform(t)
    const headers = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABk' }
    assert.equal((await call(`${url}/v1/streams`, { headers })).status, 200)
  })

  test('WebSockets elsewhere, and plain HTTP at the WebSocket, are UPGRADE_REQUIRED', async (t) => {
    const { url } = await startPlatform(t)
    const plain = await call(`${url}/v1/ws`)
    assertProblem(plain, 'UPGRADE_REQUIRED')
    assert.equal(plain.headers['upgrade'], 'websocket')
    assertProblem(await refusal(`${url}/v1/streams`), 'UPGRADE_REQUIRED')
    assertProblem(await refusal(`${url}/nothing`), 'UPGRADE_REQUIRED')
  })
})
