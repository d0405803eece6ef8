import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { get, request } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { type ConnectionOptions, type DetailedPeerCertificate, connect as secureConnect } from 'node:tls'
import type { ServerTls } from '../../src/gateway/options.ts'
import { makeCertificate } from '../servers/postgres-files.ts'
import { startPlatform } from './platform.ts'
import { openSocket } from './socket-client.ts'

describe('a gateway with a certificate', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tapeline-tls-'))
  const made: { tls: ServerTls; ca: string }[] = []

  before(async () => {
    for (let i = 0; i < 2; i++) {
      const ca = await makeCertificate(folder)
      const [cert, key] = ['server.crt', 'server.key'].map((name) => readFileSync(join(folder, name), 'utf8'))
      made.push({ ca, tls: { cert: cert ?? '', key: key ?? '', minVersion: 'TLSv1.2' } })
    }
  })
  after(() => rmSync(folder, { recursive: true }))

  async function start(t: Parameters<typeof startPlatform>[0], changes: Partial<ServerTls> = {}) {
    const [first, second] = made
    assert.ok(first && second)
    const platform = await startPlatform(t, { tls: { ...first.tls, ...changes } })
    return { first, second, gateway: platform.gateway, url: `https://127.0.0.1:${platform.gateway.port}` }
  }

  /** The certificate that is shown, once a handshake has come about. */
  async function shown(port: number, options: ConnectionOptions): Promise<DetailedPeerCertificate> {
    const socket = secureConnect({ host: '127.0.0.1', port, ...options })
    try {
      await once(socket, 'secureConnect')
      return socket.getPeerCertificate(true)
    } finally {
      socket.destroy()
    }
  }

  async function statusOf(url: string, ca: string): Promise<number | undefined> {
    const [response] = await once(get(url, { ca, agent: false }), 'response')
    response.resume()
    return response.statusCode
  }

  test('serves HTTP and WebSockets over TLS alone', async (t) => {
    const { first, second, gateway, url } = await start(t)
    assert.equal(gateway.scheme, 'https')
    assert.equal(await statusOf(`${url}/healthz`, first.ca), 200)
    await assert.rejects(statusOf(`${url}/healthz`, second.ca), /certificate|signature/)
    const asked = request(`${url}/v1/streams`, {
      ...{ method: 'POST', ca: first.ca, agent: false, headers: { 'content-type': 'application/json' } },
    })
    asked.end('{"channel":"trade","symbols":["*"]}')
    const [stream] = await once(asked, 'response')
    assert.match(await text(stream), /"websocket":"wss:/)
    const { socket, send, next } = await openSocket(t, `${url}/v1/ws`, { ca: first.ca })
    send({ op: 'ping' })
    assert.deepEqual(await next(), { op: 'pong' })
    socket.terminate()
    await assert.rejects(fetch(`http://127.0.0.1:${gateway.port}/healthz`), 'plain HTTP is no answer')
  })

  test('shows another certificate from the next connection on, and keeps those that are open', async (t) => {
    const { first, second, gateway, url } = await start(t)
    const { send, next } = await openSocket(t, `${url}/v1/ws`, { ca: first.ca })
    const old = await shown(gateway.port, { ca: first.ca })
    gateway.renew(second.tls)
    const renewed = await shown(gateway.port, { ca: second.ca })
    assert.notEqual(renewed.fingerprint256, old.fingerprint256)
    await assert.rejects(shown(gateway.port, { ca: first.ca }), /certificate|signature/)
    send({ op: 'ping' })
    assert.deepEqual(await next(), { op: 'pong' })
  })

  test('speaks no older version than it is told to, also after another certificate', async (t) => {
    const { first, second, gateway } = await start(t, { minVersion: 'TLSv1.3' })
    const older = { maxVersion: 'TLSv1.2' } as const
    await assert.rejects(shown(gateway.port, { ca: first.ca, ...older }), /protocol|version|alert/i)
    await shown(gateway.port, { ca: first.ca })
    gateway.renew({ ...second.tls, minVersion: 'TLSv1.3' })
    await assert.rejects(shown(gateway.port, { ca: second.ca, ...older }), /protocol|version|alert/i)
  })

  test('ends although somebody never finishes a handshake', async (t) => {
    const { gateway } = await start(t)
    const silent = connect(gateway.port, '127.0.0.1')
    t.after(() => silent.destroy())
    silent.on('error', () => {})
    await once(silent, 'connect')
    const gone = once(silent, 'close')
    await gateway.close()
    await gone
  })
})
