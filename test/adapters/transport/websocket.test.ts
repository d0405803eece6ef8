import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { createWebSocketEndpoint } from '../../../src/adapters/transport/websocket.ts'
import type { AppEndpoint } from '../../../src/ports/transport.ts'

const MEGABYTE = Buffer.alloc(1 << 20, 'x')
const never = new AbortController().signal

let server: WebSocketServer
let client: WebSocket
let accepted: WebSocket
let upgrade: IncomingMessage
let endpoint: AppEndpoint

beforeEach(async () => {
  server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const [connection] = await Promise.all([once(server, 'connection'), once(client, 'open')])
  ;[accepted, upgrade] = connection as [WebSocket, IncomingMessage]
  accepted.on('error', () => {})
  endpoint = createWebSocketEndpoint(accepted, 'socket-1', upgrade.socket)
})

afterEach(async () => {
  client.terminate()
  accepted.terminate()
  server.close()
  await once(server, 'close')
})

/** Fills the network's buffers until bytes stay behind here, with a peer that does not read. */
function fillUp(): void {
  client.pause()
  for (let i = 0; i < 64 && endpoint.pendingBytes < 8 << 20; i++) endpoint.sendEncoded(MEGABYTE, 'c', 1)
  assert.ok(endpoint.pendingBytes >= 8 << 20, `only ${endpoint.pendingBytes} bytes are pending`)
}

describe('createWebSocketEndpoint', () => {
  test('frames of every size arrive as they were, among messages that go another way', async () => {
    const got: string[] = []
    client.on('message', (data) => got.push(String(data)))
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 1_000_000]
    const texts = sizes.flatMap((size) => ['x'.repeat(size), JSON.stringify({ op: 'pong' })])
    for (const text of texts)
      if (text.startsWith('{')) endpoint.send({ op: 'pong' })
      else endpoint.sendEncoded(Buffer.from(text), 'c', 1)
    while (got.length < texts.length) await once(client, 'message')
    assert.ok(got.every((text, i) => text === texts[i]))
  })

  test('sends messages and encoded bytes as text frames, in order', async () => {
    const frames: [string, boolean][] = []
    client.on('message', (data, isBinary) => frames.push([String(data), isBinary]))
    const message = { op: 'end', stream: 's1', reason: 'deleted' } as const
    const data = '{"op":"data","stream":"s1","text":"Zürich €"}'
    endpoint.send(message)
    endpoint.sendEncoded(new TextEncoder().encode(data), 'c', 1)
    endpoint.send(message)
    while (frames.length < 3) await once(client, 'message')
    assert.deepEqual(frames, [
      [JSON.stringify(message), false],
      [data, false],
      [JSON.stringify(message), false],
    ])
    assert.equal(endpoint.id, 'socket-1')
  })

  test('many frames of one turn go in few writes, in order, and those of another turn at once', async () => {
    const got: string[] = []
    client.on('message', (data) => got.push(String(data)))
    const { socket } = upgrade
    const writes = { one: 0, gathered: 0 }
    const handle = socket as unknown as Record<'_write' | '_writev', (...call: unknown[]) => void>
    for (const [name, kind] of [
      ['_write', 'one'],
      ['_writev', 'gathered'],
    ] as const) {
      const written = handle[name].bind(socket)
      handle[name] = (...call) => {
        writes[kind]++
        written(...call)
      }
    }
    const texts = Array.from({ length: 500 }, (_, i) => `${i} ${'x'.repeat(200)}`)
    for (const [i, text] of texts.entries())
      if (i % 10 === 0) endpoint.send({ op: 'pong' })
      else endpoint.sendEncoded(Buffer.from(text), 'c', 1)
    while (got.length < texts.length) await once(client, 'message')
    const wanted = texts.map((text, i) => (i % 10 === 0 ? '{"op":"pong"}' : text))
    assert.deepEqual(got, wanted)
    assert.ok(writes.one + writes.gathered <= 4, JSON.stringify(writes))
    assert.equal(endpoint.pendingBytes, 0)
    endpoint.sendEncoded(Buffer.from('alone'), 'c', 1)
    assert.equal(endpoint.pendingBytes, 0, 'nothing waits for the end of the turn')
  })

  test('drained resolves at once while little is pending', async () => {
    endpoint.send({ op: 'end', stream: 's1', reason: 'deleted' })
    await endpoint.drained(1000, never)
    assert.ok(endpoint.pendingBytes < 1000)
  })

  test('drained waits until the peer has read, and is below its mark then', async () => {
    fillUp()
    const order: string[] = []
    const half = endpoint.drained(4 << 20, never).then(() => {
      order.push('half')
      assert.ok(endpoint.pendingBytes < 4 << 20, `${endpoint.pendingBytes} bytes are pending`)
    })
    const all = endpoint.drained(0, never).then(() => {
      order.push('all')
      assert.equal(endpoint.pendingBytes, 0)
    })
    client.resume()
    await Promise.all([half, all])
    assert.deepEqual(order, ['half', 'all'])
  })

  test('drained waits for a single frame that is larger than what the network takes at once', async () => {
    client.pause()
    endpoint.sendEncoded(Buffer.alloc(32 << 20, 'x'), 'c', 1)
    assert.ok(endpoint.pendingBytes > 1 << 20, `only ${endpoint.pendingBytes} bytes are pending`)
    const drained = endpoint.drained(1 << 20, never)
    client.resume()
    await drained
    assert.equal(endpoint.pendingBytes, 0)
  })

  test('drained rejects with the reason of its signal, and others go on waiting', async () => {
    fillUp()
    const controller = new AbortController()
    const aborted = endpoint.drained(1000, controller.signal)
    const patient = endpoint.drained(1000, never)
    controller.abort(new Error('enough'))
    await assert.rejects(aborted, /enough/)
    await assert.rejects(endpoint.drained(1000, controller.signal), /enough/)
    client.resume()
    await patient
  })

  test('drained resolves when the connection breaks', async () => {
    fillUp()
    const waiting = endpoint.drained(1000, never)
    upgrade.socket.resetAndDestroy()
    await waiting
    assert.equal(endpoint.closed, true)
    await endpoint.drained(1000, never)
  })

  test('drops what is sent after the close has begun', async () => {
    assert.equal(endpoint.closed, false)
    accepted.close(1000)
    assert.equal(endpoint.closed, true)
    const frames: unknown[] = []
    client.on('message', (data) => frames.push(data))
    endpoint.send({ op: 'end', stream: 's1', reason: 'deleted' })
    endpoint.sendEncoded(MEGABYTE, 'c', 1)
    await once(client, 'close')
    assert.deepEqual(frames, [])
  })
})
