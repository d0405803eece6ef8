import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { createEventStreamEndpoint } from '../../../src/adapters/transport/server-sent-events.ts'
import type { AppEndpoint } from '../../../src/ports/transport.ts'

const MEGABYTE = Buffer.alloc(1 << 20, 'x')
const never = new AbortController().signal

let server: Server
let client: IncomingMessage
let response: ServerResponse
let endpoint: AppEndpoint

beforeEach(async () => {
  server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const request = get({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, agent: false })
  const [, accepted] = (await once(server, 'request')) as [IncomingMessage, ServerResponse]
  response = accepted
  response.writeHead(200).flushHeaders()
  ;[client] = (await once(request, 'response')) as [IncomingMessage]
  client.on('error', () => {})
  endpoint = createEventStreamEndpoint(response, 'events-1')
})

afterEach(async () => {
  client.destroy()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

/** Fills the network's buffers until bytes stay behind here, with a peer that does not read. */
function fillUp(): void {
  client.pause()
  for (let i = 0; i < 64 && endpoint.pendingBytes < 8 << 20; i++) endpoint.sendEncoded(MEGABYTE, 'c', 1)
  assert.ok(endpoint.pendingBytes >= 8 << 20, `only ${endpoint.pendingBytes} bytes are pending`)
}

describe('createEventStreamEndpoint', () => {
  test('sends each message as an event, in order, with its cursor as the id', async () => {
    const message = { op: 'end', stream: 's1', reason: 'deleted' } as const
    const reset = { op: 'reset', stream: 's1', reason: 'Zürich', cursor: 'c2' } as const
    endpoint.sendEncoded(new TextEncoder().encode('{"op":"data","text":"€"}'), 'c1', 1)
    endpoint.send(reset)
    endpoint.send(message)
    response.end()
    let text = ''
    for await (const chunk of client.setEncoding('utf8')) text += chunk
    assert.equal(
      text,
      `id: c1\ndata: {"op":"data","text":"€"}\n\nid: c2\ndata: ${JSON.stringify(reset)}\n\ndata: ${JSON.stringify(message)}\n\n`,
    )
  })

  test('drained waits until the peer has read, and is below its mark then', async () => {
    fillUp()
    const half = endpoint.drained(4 << 20, never).then(() => endpoint.pendingBytes)
    client.resume()
    assert.ok((await half) < 4 << 20)
  })

  test('drained rejects with the reason of its signal', async () => {
    fillUp()
    const controller = new AbortController()
    const waiting = endpoint.drained(1000, controller.signal)
    controller.abort(new Error('enough'))
    await assert.rejects(waiting, /enough/)
  })

  test('drained resolves when the connection breaks', async () => {
    fillUp()
    const waiting = endpoint.drained(1000, never)
    client.destroy()
    await waiting
    assert.equal(endpoint.closed, true)
  })

  test('drops what is sent after the end', async () => {
    response.end()
    assert.equal(endpoint.closed, true)
    endpoint.sendEncoded(MEGABYTE, 'c', 1)
    let text = ''
    for await (const chunk of client.setEncoding('utf8')) text += chunk
    assert.equal(text, '')
  })
})
