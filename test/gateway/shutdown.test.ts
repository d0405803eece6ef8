import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { call, post } from './http.ts'
import { startPlatform } from './platform.ts'
import { openSocket } from './socket-client.ts'

describe('close', () => {
  test('tells sockets with 1001, ends their connections and takes no new ones', async (t) => {
    const { url, gateway, delivery } = await startPlatform(t)
    const clients = await Promise.all([openSocket(t, `${url}/v1/ws`), openSocket(t, `${url}/v1/ws`)])
    await gateway.close()
    for (const { closed } of clients) {
      assert.deepEqual(await closed, { code: 1001, reason: 'the platform is stopping' })
    }
    assert.ok(delivery.connections.every(({ closed }) => closed))
    await assert.rejects(call(`${url}/healthz`), { code: 'ECONNREFUSED' })
    await gateway.close()
  })

  test('cuts off sockets and requests that do not end, well within 2 s', async (t) => {
    const { url, gateway, desk, broker } = await startPlatform(t)
    const stuck = await openSocket(t, `${url}/v1/ws`)
    stuck.socket.pause()
    desk.onRequest = () => new Promise(() => {})
    const hanging = assert.rejects(post(`${url}/v1/streams`, { channel: 'trade', symbols: ['*'] }))
    broker.add('app.01', [])
    const waiting = call(`${url}/v1/topics/app.01/records?wait=30s`)
    while (broker.openReaders === 0) await new Promise(setImmediate)
    await gateway.close()
    await hanging
    assert.deepEqual((await waiting).json()['records'], [], 'a wait for records ends by itself')
    assert.equal(broker.openReaders, 0)
  })

  test('a request under way is finished, and its connection ends', async (t) => {
    const { url, gateway, store } = await startPlatform(t)
    const begun = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    store.onQuery = () => {
      begun.resolve()
      return release.promise
    }
    const answer = post(`${url}/v1/sql`, { sql: 'select 1' }, { connection: 'keep-alive' })
    await begun.promise
    const closed = gateway.close()
    release.resolve()
    const { status, headers } = await answer
    assert.deepEqual([status, headers['connection']], [200, 'close'])
    await closed
  })

  test('a request whose head arrives while it closes is SHUTTING_DOWN', async (t) => {
    const { url, gateway } = await startPlatform(t)
    const socket = connect(gateway.port, '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    await new Promise((written) => socket.write('GET /v1/streams HTTP/1.1\r\nhost: localhost\r\n', written))
    // The answer to a later request shows that the half of the earlier one has arrived.
    await call(`${url}/healthz`)
    const closed = gateway.close()
    socket.write('\r\n')
    await once(socket, 'close')
    assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1.1 503 .*"code":"SHUTTING_DOWN"/s)
    await closed
  })
})
