import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { onAbort } from '../../src/async/abort.ts'
import { TapelineError } from '../../src/errors.ts'
import { openEvents } from './event-client.ts'
import { assertProblem, call, post } from './http.ts'
import { type Platform, startPlatform } from './platform.ts'
import { openSocket, refusal } from './socket-client.ts'

const keys = [
  { name: 'alice', key: 'alice-key' },
  { name: 'admin', key: 'admin-key' },
]
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const trades = { channel: 'trade', symbols: ['*'] }

/** Makes a key as the admin. */
async function issue({ url }: Platform, body: object): Promise<{ id: string; key: string }> {
  const answer = await post(`${url}/v1/keys`, body, bearer('admin-key'))
  assert.equal(answer.status, 201, answer.text)
  const { id, key } = answer.json() as { id: string; key: string }
  return { id, key }
}

describe('keys that are made while the platform runs', () => {
  test('are shown once, and kept as their SHA-256', async (t) => {
    const platform = await startPlatform(t, { keys })
    const { id, key } = await issue(platform, { app: 'bot-1' })
    assert.match(key, /^tpl_[\w-]{43}$/)
    const listed = await call(`${platform.url}/v1/keys`, { headers: bearer('admin-key') })
    assert.deepEqual(listed.json(), {
      keys: [
        {
          ...{ id, app: 'bot-1', scopes: ['read', 'streams'], quotas: {} },
          ...{ createdAt: '2026-02-03T04:05:06.000Z', revokedAt: null },
        },
      ],
    })
    assert.ok(!platform.logged.join().includes(key))
    assert.ok(!JSON.stringify(platform.issuedKeys.list()).includes(key))
  })

  test('make their application the owner of what it asks for', async (t) => {
    const platform = await startPlatform(t, { keys })
    const { key } = await issue(platform, { app: 'bot-1' })
    const made = await post(`${platform.url}/v1/streams`, trades, bearer(key))
    assert.deepEqual([made.status, made.json()['app']], [201, 'bot-1'])
    const path = `${platform.url}/v1/streams/${made.json()['id']}`
    assertProblem(await call(path, { headers: bearer('alice-key') }), 'STREAM_UNKNOWN')
    assert.equal((await call(path, { headers: bearer(key) })).status, 200)
  })

  test('are for their scopes alone', async (t) => {
    const platform = await startPlatform(t, { keys })
    const { url } = platform
    const reader = await issue(platform, { app: 'bot-1', scopes: ['read'] })
    assertProblem(await post(`${url}/v1/streams`, trades, bearer(reader.key)), 'FORBIDDEN')
    assert.equal((await call(`${url}/v1/streams`, { headers: bearer(reader.key) })).status, 200)
    assertProblem(await post(`${url}/v1/keys`, { app: 'x' }, bearer(reader.key)), 'FORBIDDEN')
    assertProblem(
      await call(`${url}/v1/topics/market.trades/records`, { headers: bearer(reader.key) }),
      'FORBIDDEN',
    )
    const asked = await post(`${url}/v1/sql`, { sql: 'select 1' }, bearer(reader.key))
    assertProblem(asked, 'FORBIDDEN')
    assert.doesNotMatch(asked.text, /scope streams/, 'a scope would not help')
    const socket = await openSocket(t, `${url}/v1/ws`, { headers: bearer(reader.key) })
    socket.send({ op: 'subscribe', spec: trades })
    assert.equal((await socket.next())['code'], 'FORBIDDEN')

    const maker = await issue(platform, { app: 'bot-2', scopes: ['streams'] })
    assertProblem(await call(`${url}/v1/streams`, { headers: bearer(maker.key) }), 'FORBIDDEN')
    for (const path of ['/', '/healthz', '/readyz', '/docs/json'])
      assert.equal((await call(url + path, { headers: bearer(maker.key) })).status, 200, `${path} is open`)
    const boss = await issue(platform, { app: 'ops', scopes: ['admin'] })
    assert.equal((await post(`${url}/v1/keys`, { app: 'bot-3' }, bearer(boss.key))).status, 201)
  })

  test('bound what their application has', async (t) => {
    const platform = await startPlatform(t, { keys })
    const { url } = platform
    const { key } = await issue(platform, { app: 'bot-1', quotas: { streams: 1, sockets: 1 } })
    assert.equal((await post(`${url}/v1/streams`, trades, bearer(key))).status, 201)
    const second = await post(`${url}/v1/streams`, trades, bearer(key))
    assertProblem(second, 'QUOTA_EXCEEDED')
    assert.deepEqual([second.status, second.headers['retry-after']], [429, '10'])
    const socket = await openSocket(t, `${url}/v1/ws`, { headers: bearer(key) })
    socket.send({ op: 'subscribe', spec: trades })
    assert.equal((await socket.next())['code'], 'QUOTA_EXCEEDED')
    assert.equal((await refusal(`${url}/v1/ws`, { headers: bearer(key) })).status, 429)
    socket.socket.close()
    await socket.closed
    await openSocket(t, `${url}/v1/ws`, { headers: bearer(key) })
  })

  test('bound what their application asks for at once, and what fails makes room', async (t) => {
    const platform = await startPlatform(t, { keys })
    const { url, desk, broker } = platform
    const { key } = await issue(platform, { app: 'bot-1', quotas: { streams: 1, webhooks: 1 } })
    const held = Promise.withResolvers<void>()
    desk.onRequest = () => held.promise
    const first = post(`${url}/v1/streams`, trades, bearer(key))
    const second = post(`${url}/v1/streams`, trades, bearer(key))
    const socket = await openSocket(t, `${url}/v1/ws`, { headers: bearer(key) })
    socket.send({ op: 'subscribe', spec: trades })
    assertProblem(await Promise.race([first, second]), 'QUOTA_EXCEEDED')
    assert.equal((await socket.next())['code'], 'QUOTA_EXCEEDED')
    held.reject(new TapelineError('CONTROL_UNAVAILABLE', 'no coordinator answers'))
    const failed = (await Promise.all([first, second])).map(({ status }) => status)
    assert.deepEqual(failed.toSorted(), [429, 503])

    desk.onRequest = async () => {}
    socket.send({ op: 'subscribe', spec: trades })
    assert.equal((await socket.next())['op'], 'subscribed')
    const [{ id = '' } = {}] = desk.list('bot-1')
    broker.add(`app.${id}`, [])
    const hook = { url: 'https://example.com/hook', stream: id }
    const hooks = await Promise.all([hook, hook].map((each) => post(`${url}/v1/webhooks`, each, bearer(key))))
    assert.deepEqual(hooks.map(({ status }) => status).toSorted(), [201, 429])
  })

  test('keep no room for what a socket that is gone asked for', async (t) => {
    const platform = await startPlatform(t, { keys })
    const { url, desk, delivery } = platform
    const { key } = await issue(platform, { app: 'bot-1', quotas: { streams: 20 } })
    desk.onRequest = (_ask, signal) =>
      new Promise((_, reject) => onAbort(signal, () => reject(signal.reason)))
    const socket = await openSocket(t, `${url}/v1/ws`, { headers: bearer(key) })
    for (let n = 0; n < 21; n++) socket.send({ op: 'subscribe', spec: trades })
    assert.equal((await socket.next())['code'], 'QUOTA_EXCEEDED')
    socket.socket.terminate()
    while (delivery.connections[0]?.closed !== true) await new Promise(setImmediate)
    desk.onRequest = async () => {}
    const made = Array.from({ length: 20 }, () => post(`${url}/v1/streams`, trades, bearer(key)))
    for (const answer of await Promise.all(made)) assert.equal(answer.status, 201, answer.text)
  })

  test('are turned away once they are revoked, and their sockets are closed', async (t) => {
    const platform = await startPlatform(t, { keys })
    const { url } = platform
    const { id, key } = await issue(platform, { app: 'bot-1' })
    const socket = await openSocket(t, `${url}/v1/ws?key=${key}`)
    const other = await openSocket(t, `${url}/v1/ws?key=alice-key`)
    const revoked = await call(`${url}/v1/keys/${id}`, { method: 'DELETE', headers: bearer('admin-key') })
    assert.equal(revoked.status, 204)
    assert.deepEqual(await socket.closed, { code: 1008, reason: 'the key was revoked' })
    assertProblem(await call(`${url}/v1/streams`, { headers: bearer(key) }), 'UNAUTHORIZED')
    other.send({ op: 'ping' })
    assert.equal((await other.next())['op'], 'pong')
    const unknown = await call(`${url}/v1/keys/nobody`, { method: 'DELETE', headers: bearer('admin-key') })
    assertProblem(unknown, 'KEY_UNKNOWN')
  })

  test('end what they have opened also where its client does not do its part', async (t) => {
    // The timers of the sockets themselves never fire.
    t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
    const platform = await startPlatform(t, { keys })
    const { url, delivery } = platform
    const { id, key } = await issue(platform, { app: 'bot-1' })
    const socket = await openSocket(t, `${url}/v1/ws`, { headers: bearer(key) })
    const events = await openEvents(t, `${url}/v1/streams/s1/events`, bearer(key))
    socket.socket.pause()
    events.response.pause()
    for (const { endpoint } of delivery.connections)
      while (endpoint.pendingBytes === 0) endpoint.sendEncoded(Buffer.alloc(1 << 20, 'x'), 'c', 1)
    await call(`${url}/v1/keys/${id}`, { method: 'DELETE', headers: bearer('admin-key') })
    for (let second = 0; second < 3; second++) t.mock.timers.tick(1_000)
    while (platform.gateway.connections() > 0) await new Promise(setImmediate)
    t.mock.timers.reset()
  })

  test('end the answers that run by them: with a last line that says why, or without their client', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
    const platform = await startPlatform(t, { keys })
    const { url, store, issuedKeys } = platform
    const { id, key } = await issue(platform, { app: 'bot-1' })
    const pages: { resolve(): void; signal: AbortSignal }[] = []
    store.trades = async ({ limit, after }, signal) => {
      if (after !== undefined)
        await new Promise<void>((resolve, reject) => {
          pages.push({ resolve, signal })
          onAbort(signal, () => reject(signal.reason))
        })
      return Array.from({ length: limit }, (_, i) => {
        const time = { ts: '2026-01-01T00:00:00.000001Z', recvTs: '2026-01-01T00:00:00.000002Z' }
        return { exchange: 'kraken', symbol: 'BTC-USD', id: `${i}`, side: 'buy', price: 1, size: 1, ...time }
      })
    }
    const path = `${url}/v1/trades?symbol=BTC-USD&format=ndjson`
    const mine = call(path, { headers: bearer(key) })
    const waits = call(path, { headers: bearer(key) }).catch(() => 'cut')
    const others = call(path, { headers: bearer('alice-key') })
    while (pages.length < 3) await new Promise(setImmediate)
    const [first, second, third] = pages
    await issuedKeys.revoke(id)
    first?.resolve()
    const lines = (await mine).text.trim().split('\n')
    assert.equal(lines.length, 10_001)
    assert.equal(JSON.parse(lines.at(-1) ?? '').error.code, 'UNAUTHORIZED')
    for (let round = 0; round < 3; round++) t.mock.timers.tick(1_000)
    assert.equal(await waits, 'cut')
    while (second?.signal.aborted === false) await new Promise(setImmediate)
    assert.equal(third?.signal.aborted, false)
    platform.gateway.close()
    third?.resolve()
    assert.equal(JSON.parse((await others).text.trim().split('\n').at(-1) ?? '').error.code, 'SHUTTING_DOWN')
    t.mock.timers.reset()
  })

  test('of names that mean more, or that are none, are refused', async (t) => {
    const { url } = await startPlatform(t, { keys })
    for (const app of ['admin', 'local', 'Bot', '', 'a b'])
      assertProblem(await post(`${url}/v1/keys`, { app }, bearer('admin-key')), 'INPUT_INVALID')
    const bad = { app: 'bot-1', scopes: ['write'], quotas: { streams: -1 } }
    assertProblem(await post(`${url}/v1/keys`, bad, bearer('admin-key')), 'INPUT_INVALID')
  })

  test('work where the environment has none, beside this machine that needs none', async (t) => {
    const { url } = await startPlatform(t)
    assert.equal((await call(`${url}/v1/streams`, { headers: bearer('stray') })).status, 200)
    const made = await post(`${url}/v1/keys`, { app: 'bot-1' })
    const { key } = made.json() as { key: string }
    assert.equal((await post(`${url}/v1/streams`, trades, bearer(key))).json()['app'], 'bot-1')
    assert.equal((await post(`${url}/v1/streams`, trades)).json()['app'], 'local')
    assertProblem(await call(`${url}/v1/streams`, { headers: bearer('stray') }), 'UNAUTHORIZED')
  })
})
