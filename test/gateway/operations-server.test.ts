import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { describe, type TestContext, test } from 'node:test'
import { createGuard } from '../../src/gateway/guard.ts'
import { type OperationsOptions, startOperations } from '../../src/gateway/operations-server.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { quietLog } from '../quiet.ts'
import { assertProblem, call } from './http.ts'
import { MemoryActors } from './platform.ts'

const KEYS = [
  { name: 'alice', key: 'alice-key' },
  { name: 'admin', key: 'admin-key' },
]
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

async function start(t: TestContext, overrides: Partial<OperationsOptions> = {}) {
  const actors = new MemoryActors()
  const meter = createMeter()
  let isReady = true
  const server = await startOperations({
    ...{
      host: '127.0.0.1',
      port: 0,
      tls: undefined,
      keys: [],
      actors,
      meter,
      log: quietLog,
      info: { version: '1.2.3' },
      dynamicPrefix: 'app.',
    },
    alerts: () => [
      { id: 'producer', instance: 'here', code: 'SOURCE_STALE', message: 'silent', since: 'then' },
    ],
    metrics: () => meter.render(),
    ready: () => ({ ready: isReady, checks: [{ name: 'process', ok: isReady, detail: 'at 10.0.0.1' }] }),
    ...overrides,
  })
  t.after(() => server.close())
  const stop = (): void => {
    isReady = false
  }
  return { server, actors, stop, url: `http://127.0.0.1:${server.port}` }
}

describe('the operations of a process without the role gateway', () => {
  test('are those of the gateway: health, readiness, metrics, actors, alerts, and nothing else', async (t) => {
    const { url, actors, stop } = await start(t)
    assert.deepEqual((await call(`${url}/healthz`)).json(), { status: 'alive', version: '1.2.3' })
    assert.equal((await call(`${url}/readyz`)).status, 200)
    stop()
    const unready = await call(`${url}/readyz`)
    assert.deepEqual(
      [unready.status, unready.json()],
      [503, { ready: false, checks: [{ name: 'process', ok: false, detail: 'at 10.0.0.1' }] }],
    )
    assert.match((await call(`${url}/metrics`)).text, /^tapeline_alerts 0$/m)
    assert.deepEqual((await call(`${url}/v1/actors`)).json(), { actors: actors.reports })
    const reset = await call(`${url}/v1/actors/producer-0/reset`, { method: 'POST' })
    assert.deepEqual([reset.status, actors.resets], [202, ['producer-0']])
    assert.equal(((await call(`${url}/v1/alerts`)).json()['alerts'] as unknown[]).length, 1)
    for (const path of ['/', '/v1/streams', '/v1/topics', '/v1/dead-letters', '/v1/ws']) {
      assertProblem(await call(url + path), 'NOT_FOUND', path)
    }
    const { paths } = (await call(`${url}/docs/json`)).json() as { paths: object }
    assert.deepEqual(Object.keys(paths).sort(), [
      '/healthz',
      '/metrics',
      '/readyz',
      '/v1/actors',
      '/v1/actors/{id}/reset',
      '/v1/alerts',
    ])
  })

  test('with keys: probes and metrics stay open, without details; actors need a key, reset this machine or admin', async (t) => {
    const { url, actors } = await start(t, { keys: KEYS })
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      assert.equal((await call(url + path)).status, 200, path)
    }
    assert.deepEqual((await call(`${url}/readyz`)).json()['checks'], [{ name: 'process', ok: true }])
    for (const path of ['/v1/actors', '/v1/alerts']) {
      assertProblem(await call(url + path), 'UNAUTHORIZED', path)
      assert.equal((await call(url + path, { headers: bearer('alice-key') })).status, 200, path)
    }
    const reset = (headers: Record<string, string>) =>
      call(`${url}/v1/actors/producer-0/reset`, { method: 'POST', headers })
    assertProblem(await reset({}), 'UNAUTHORIZED')
    assertProblem(await reset({ ...bearer('alice-key'), 'x-forwarded-for': '10.0.0.9' }), 'FORBIDDEN')
    assert.equal((await reset({ ...bearer('admin-key'), 'x-forwarded-for': '10.0.0.9' })).status, 202)
    assert.equal((await reset(bearer('alice-key'))).status, 202)
    assert.equal(actors.resets.length, 2)
  })

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === 'IPv4' && !each.internal)
  test('without keys on a public address: probes answer whoever reaches them, actors only this machine', {
    skip: outside === undefined && 'this machine has no address but the loopback one',
  }, async (t) => {
    const { server, url, actors } = await start(t, { host: '0.0.0.0' })
    const public_ = `http://${outside?.address}:${server.port}`
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      assert.equal((await call(public_ + path)).status, 200, path)
    }
    assert.deepEqual((await call(`${public_}/readyz`)).json()['checks'], [{ name: 'process', ok: true }])
    for (const headers of [{}, { host: '127.0.0.1' }]) {
      assertProblem(await call(`${public_}/v1/actors`, { headers }), 'UNAUTHORIZED')
      const reset = await call(`${public_}/v1/actors/producer-0/reset`, { method: 'POST', headers })
      assertProblem(reset, 'UNAUTHORIZED')
    }
    assert.deepEqual(actors.resets, [])
    assert.equal((await call(`${url}/v1/actors`)).status, 200, 'this machine')
  })

  test('end when they are closed, and refuse a port that is taken', async (t) => {
    const { server, url } = await start(t)
    await assert.rejects(start(t, { port: server.port }), { code: 'PORT_IN_USE' })
    await server.close()
    await assert.rejects(call(`${url}/healthz`), { code: 'ECONNREFUSED' })
    await assert.rejects(start(t, { keys: [{ name: 'a', key: '' }] }), { code: 'CONFIG_INVALID' })
  })
})

describe('the guard without keys', () => {
  const from = (remoteAddress: string, headers: Record<string, string>): IncomingMessage => {
    const request = new IncomingMessage(
      Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress }),
    )
    return Object.assign(request, { headers })
  }

  test('knows another machine by its address, whatever host it claims', () => {
    const guard = createGuard([])
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '127.8.0.1'])
      assert.equal(guard(from(address, { host: 'localhost:80' })).operator, true, address)
    for (const address of ['10.0.0.7', '::ffff:10.0.0.7', 'fe80::1', ''])
      assert.throws(() => guard(from(address, { host: 'localhost:80' })), { code: 'UNAUTHORIZED' }, address)
    assert.throws(() => guard(from('127.0.0.1', { host: 'evil.example' })), { code: 'ORIGIN_REFUSED' })
  })
})
