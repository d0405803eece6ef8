import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { z } from 'zod'
import { connectTo, requirePlatform } from '../../src/cli/api-client.ts'

const schema = z.object({ answer: z.number() })
const forever = new AbortController().signal

/** A server in the place of a platform. */
async function serve(
  t: TestContext,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(handle)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function problem(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/problem+json' })
  response.end(JSON.stringify({ type: '/docs', title: 'x', status, ...body }))
}

describe('the client of the API', () => {
  test('gives what the platform answers, and sends the body and the key', async (t) => {
    process.env['TAPELINE_API_KEY'] = 'sesame-opens'
    t.after(() => delete process.env['TAPELINE_API_KEY'])
    let body = ''
    const api = await serve(t, (request, response) => {
      request.on('data', (part) => {
        body += part
      })
      request.on('end', () => {
        assert.equal(request.headers.authorization, 'Bearer sesame-opens')
        assert.equal(request.headers['content-type'], 'application/json')
        response.end('{"answer": 42, "more": true}')
      })
    })
    const options = { method: 'POST', body: { sql: 'select 1' } } as const
    assert.deepEqual(await connectTo({ api }).call('/v1/sql', schema, forever, options), { answer: 42 })
    assert.equal(body, '{"sql":"select 1"}')
  })

  test('a problem document becomes an error with its code, remedy and fields', async (t) => {
    const errors = [{ field: 'symbols', value: null, message: 'is missing', remedy: 'Give one.' }]
    const api = await serve(t, (_request, response) =>
      problem(response, 400, { code: 'INPUT_INVALID', detail: 'no symbols', remedy: 'Give some.', errors }),
    )
    await assert.rejects(connectTo({ api }).call('/', schema, forever), {
      code: 'INPUT_INVALID',
      message: 'no symbols',
      remedy: 'Give some.',
      fields: errors,
    })
  })

  test('a code of a newer platform is shown as it is', async (t) => {
    const api = await serve(t, (_request, response) =>
      problem(response, 418, { code: 'TEAPOT', detail: 'short and stout', remedy: 'Pour.' }),
    )
    await assert.rejects(connectTo({ api }).call('/', schema, forever), {
      code: 'INTERNAL',
      message: 'TEAPOT: short and stout',
    })
  })

  test('somebody else at the address, and nobody at all, are no platform', async (t) => {
    const api = await serve(t, (request, response) => {
      response.statusCode = request.url === '/bad' ? 500 : 200
      response.end('<html>')
    })
    for (const path of ['/', '/bad']) {
      await assert.rejects(connectTo({ api }).call(path, schema, forever), { code: 'NOT_RUNNING' })
    }
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    await assert.rejects(connectTo({ api: `http://127.0.0.1:${port}` }).call('/', schema, forever), {
      code: 'NOT_RUNNING',
      message: /ECONNREFUSED/,
    })
  })

  test('an answer that does not come ends with TIMEOUT, Ctrl-C with its reason', async (t) => {
    const api = await serve(t, () => {})
    await assert.rejects(connectTo({ api }).call('/', schema, forever, { timeoutMs: 50 }), {
      code: 'TIMEOUT',
    })
    const stop = new AbortController()
    const call = connectTo({ api }).call('/', schema, stop.signal)
    stop.abort()
    await assert.rejects(call, { name: 'AbortError' })
  })

  test('an answer of another form is told apart from an error', async (t) => {
    const api = await serve(t, (_request, response) => response.end('{"answer": "42"}'))
    await assert.rejects(connectTo({ api }).call('/v1/x', schema, forever), {
      code: 'INTERNAL',
      message: /v1\/x/,
    })
  })

  test('without a platform the error names the folder; an address that is none is wrong usage', () => {
    assert.throws(() => requirePlatform({ data: '/nowhere/at/all' }), {
      code: 'NOT_RUNNING',
      message: /\/nowhere\/at\/all/,
    })
    assert.throws(() => requirePlatform({ api: '127.0.0.1:8080' }), { code: 'USAGE' })
  })
})
