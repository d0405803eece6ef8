import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { createWebhookSender } from '../../../../src/adapters/transport/webhook/sender.ts'
import type { TapelineError } from '../../../../src/errors.ts'
import type { WebhookSender } from '../../../../src/ports/webhooks.ts'
import { type Receiver, startReceiver } from './receiver.ts'

const never = new AbortController().signal
const always = (): boolean => true
const PUBLIC = '93.184.216.34'
const message = { id: 'msg_1', body: Buffer.from('{"op":"data","text":"€"}') }

let receiver: Receiver
let secret: string
const senders: WebhookSender[] = []

beforeEach(async () => {
  receiver = await startReceiver()
})

afterEach(async () => {
  for (const each of senders.splice(0)) each.close()
  await receiver.close()
})

function sender(options: {
  allowed?: string[]
  timeoutMs?: number
  resolve?: (name: string) => Promise<readonly string[]>
}): WebhookSender {
  const made = createWebhookSender({
    ...{ timeoutMs: 5_000, allowed: ['127.0.0.1'], userAgent: 'tapeline/test', now: Date.now },
    ...options,
  })
  senders.push(made)
  secret = made.newSecret()
  return made
}

function failureOf(answer: Awaited<ReturnType<WebhookSender['send']>>): TapelineError {
  assert.ok('error' in answer, `it is ${answer.kind}`)
  return answer.error
}

describe('createWebhookSender', () => {
  test('sends nothing where the message may not go any more once it is connected', async () => {
    const sending = sender({})
    const asked: number[] = []
    const mayGo = (): boolean => asked.push(receiver.received.length) > 1
    const send = () => sending.send({ url: receiver.url, secret }, message, mayGo, never)
    assert.deepEqual(await send(), { kind: 'held' })
    assert.deepEqual(await send(), { kind: 'accepted' })
    assert.deepEqual(asked, [0, 0], 'asked before each')
    assert.equal(receiver.received.length, 1)
  })

  test('sends what the package standardwebhooks verifies', async () => {
    const answer = await sender({}).send({ url: receiver.url, secret }, message, always, never)
    assert.deepEqual(answer, { kind: 'accepted' })
    const [got] = receiver.received
    assert.ok(got)
    assert.equal(got.headers['content-type'], 'application/json')
    assert.equal(got.headers['webhook-id'], 'msg_1')
    assert.deepEqual(new Webhook(secret).verify(got.body, got.headers as Record<string, string>), {
      op: 'data',
      text: '€',
    })
    const other = new Webhook(sender({}).newSecret())
    assert.throws(() => other.verify(got.body, got.headers as Record<string, string>))
  })

  test('tells 410, other statuses, redirects and Retry-After apart, and follows no redirect', async () => {
    const sending = sender({})
    const ask = (status: number, headers: Record<string, string> = {}) => {
      receiver.answer((response) => response.writeHead(status, headers).end('x'.repeat(100_000)))
      return sending.send({ url: receiver.url, secret }, message, always, never)
    }
    assert.deepEqual(await ask(204), { kind: 'accepted' })
    assert.equal((await ask(410)).kind, 'gone')
    assert.match(failureOf(await ask(500)).message, /answered 500/)
    for (const status of [301, 302, 307, 308]) {
      const error = failureOf(await ask(status, { location: receiver.url }))
      assert.equal(error.code, 'WEBHOOK_FAILED')
      assert.match(error.message, /redirects are not followed/)
    }
    const busy = await ask(429, { 'retry-after': '7' })
    assert.equal(busy.kind === 'failed' && busy.restMs, 7_000)
    const forEver = await ask(503, { 'retry-after': '999999' })
    assert.equal(forEver.kind === 'failed' && forEver.restMs, 300_000)
    assert.equal(receiver.received.length, 9)
  })

  test('gives up on a receiver that hangs, and on one that is not there', async () => {
    receiver.answer(() => undefined)
    const hanging = await sender({ timeoutMs: 50 }).send(
      { url: receiver.url, secret },
      message,
      always,
      never,
    )
    assert.match(failureOf(hanging).message, /no answer within 0.05 s/)
    const vacant = createServer().listen(0, '127.0.0.1')
    await once(vacant, 'listening')
    const { port } = vacant.address() as { port: number }
    vacant.close()
    await once(vacant, 'close')
    const absent = await sender({}).send({ url: `http://127.0.0.1:${port}/`, secret }, message, always, never)
    assert.equal(failureOf(absent).code, 'WEBHOOK_FAILED')
  })

  test('takes a change of protocol for a failure like any other', async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      const lines = ['HTTP/1.1 101 Switching Protocols', 'connection: upgrade', 'upgrade: websocket', '', '']
      socket.once('data', () => socket.write(lines.join('\r\n')))
    }).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const stop = new AbortController()
    const attempt = sender({}).send(
      { url: `http://127.0.0.1:${port}/`, secret },
      message,
      always,
      stop.signal,
    )
    t.after(() => stop.abort())
    assert.match(failureOf(await attempt).message, /answered 101/)
  })

  test('never tells what the receiver wrote', async () => {
    receiver.answer((response) => response.writeHead(500).end('credentials'))
    const error = failureOf(await sender({}).send({ url: receiver.url, secret }, message, always, never))
    assert.doesNotMatch(`${error.message} ${error.remedy}`, /credentials/)
  })

  test('ends with the signal, in the middle of an attempt', async () => {
    receiver.answer(() => undefined)
    const stop = new AbortController()
    const attempt = sender({}).send({ url: receiver.url, secret }, message, always, stop.signal)
    await receiver.until(({ length }) => length > 0)
    stop.abort(new Error('enough'))
    await assert.rejects(attempt, /enough/)
  })
})

describe('the addresses of receivers', () => {
  test('no address of this machine or of a private network is connected to, however it is written', async () => {
    const closed = sender({ allowed: [] })
    const hosts = ['127.0.0.1', '2130706433', '0x7f.1', '0177.0.0.1', '127.1', '0', '[::1]', '[::]']
    const others = [
      '[::ffff:127.0.0.1]',
      '10.0.0.1',
      '192.168.0.1',
      '169.254.169.254',
      '[fe80::1]',
      '[fd00::1]',
    ]
    for (const host of [...hosts, ...others]) {
      const url = `http://${host}:${receiver.port}/`
      assert.equal(
        failureOf(await closed.send({ url, secret }, message, always, never)).code,
        'WEBHOOK_ADDRESS_REFUSED',
        host,
      )
      await assert.rejects(closed.check(url, never), { code: 'WEBHOOK_ADDRESS_REFUSED' }, host)
    }
    assert.equal(receiver.received.length, 0)
  })

  test('a name that changes its address does not help', async () => {
    for (const inside of ['127.0.0.1', '169.254.169.254', '::1', '::ffff:127.0.0.1']) {
      const answers = [[PUBLIC], [inside]]
      const turning = sender({ allowed: [], resolve: async () => answers.shift() ?? [inside] })
      const url = `http://hooks.example.com:${receiver.port}/`
      await turning.check(url, never)
      const error = failureOf(await turning.send({ url, secret }, message, always, never))
      assert.equal(error.code, 'WEBHOOK_ADDRESS_REFUSED', inside)
    }
    assert.equal(receiver.received.length, 0)
  })

  test('a connection goes to the address that was judged: a name is looked up once for it', async () => {
    const asked: string[] = []
    const answers = [['10.0.0.1', '127.0.0.1'], ['10.0.0.2']]
    const mixed = sender({
      resolve: async (name) => {
        asked.push(name)
        return answers.shift() ?? []
      },
    })
    const url = `http://hooks.example.com:${receiver.port}/`
    assert.deepEqual(await mixed.send({ url, secret }, message, always, never), { kind: 'accepted' })
    assert.deepEqual(asked, ['hooks.example.com'])
    assert.equal(receiver.received[0]?.headers.host, `hooks.example.com:${receiver.port}`)
  })

  test('no error tells what a name of the network of the platform means', async () => {
    const inner = sender({ allowed: [], resolve: async () => ['10.20.30.40'] })
    const url = 'http://database.internal/'
    const error = failureOf(await inner.send({ url, secret }, message, always, never))
    assert.match(error.message, /database\.internal/)
    assert.doesNotMatch(error.message, /10\.20/)
    await assert.rejects(inner.check(url, never), (refused: Error) => !/10\.20/.test(refused.message))
  })

  test('a name without an address may get one', async () => {
    const unknown = sender({ resolve: () => Promise.reject(new Error('ENOTFOUND')) })
    await unknown.check('http://hooks.example.com/', never)
    const error = failureOf(
      await unknown.send({ url: 'http://hooks.example.com/', secret }, message, always, never),
    )
    assert.equal(error.code, 'WEBHOOK_FAILED')
  })
})
