import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { TapelineError } from '../../src/errors.ts'
import { assertProblem } from './http.ts'
import { startPlatform } from './platform.ts'
import { openSocket, refusal } from './socket-client.ts'

const spec = { channel: 'trade', symbols: ['BTC-*'] }

/** Waits, a turn of the event loop at a time, until something holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate)
}

describe('WebSocket: subscribe and unsubscribe', () => {
  test('subscribe by id hands stream and cursor to delivery, whose messages arrive as they are', async (t) => {
    const { url, delivery } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    client.send({ op: 'subscribe', stream: 's1', cursor: 'c7' })
    assert.deepEqual(await client.next(), { op: 'subscribed', stream: 's1', topic: 'app.s1', cursor: 'c7' })
    const [connection] = delivery.connections
    assert.equal(connection?.app, 'local')
    connection.endpoint.sendEncoded(
      Buffer.from('{"op":"data","stream":"s1","cursor":"c8","events":[1]}'),
      'c8',
      1,
    )
    assert.deepEqual(await client.next(), { op: 'data', stream: 's1', cursor: 'c8', events: [1] })
    client.send({ op: 'unsubscribe', stream: 's1' })
    await until(() => connection.streams.size === 0)
    assert.deepEqual(delivery.cursors, ['c7'])
  })

  test('an application says what becomes of a socket that is too slow, and when to cut it off it is', async (t) => {
    const { url, delivery } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    client.send({ op: 'subscribe', stream: 's1', slow: 'disconnect' })
    await client.next()
    client.send({ op: 'subscribe', spec, slow: 'latest' })
    await client.next()
    assert.deepEqual(delivery.slow, ['disconnect', 'latest'])
    client.send({ op: 'subscribe', stream: 's1', slow: 'down' })
    assert.equal((await client.next())['code'], 'INPUT_INVALID')
    const closed = once(client.socket, 'close')
    delivery.connections[0]?.endpoint.disconnect?.()
    await closed
  })

  test('a ping is answered', async (t) => {
    const { url } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    client.send({ op: 'ping' })
    assert.deepEqual(await client.next(), { op: 'pong' })
    client.send({ op: 'ping', stream: 's1' })
    assert.equal((await client.next())['code'], 'INPUT_INVALID')
  })

  test('subscribe by spec makes a lease, named by subscribed, that outlives the socket', async (t) => {
    const { url, delivery, desk } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    client.send({ op: 'subscribe', spec: { ...spec, exchanges: ['kraken'] }, ttl: '10m' })
    const { op, stream } = await client.next()
    assert.equal(op, 'subscribed')
    const lease = desk.leases.get(String(stream))
    assert.deepEqual(lease?.spec, { channel: 'trade', symbols: ['BTC-*'], exchanges: ['kraken'] })
    assert.equal(lease?.ttlMs, 600_000)
    client.socket.close(1000)
    await until(() => delivery.connections[0]?.closed === true)
    assert.ok(desk.leases.has(String(stream)))
    assert.deepEqual(desk.ended, [])
  })

  test('a stream made by its spec that ends before it is read is named by subscribed in front of its end', async (t) => {
    const { url, delivery, desk } = await startPlatform(t)
    delivery.isSilent = true
    const client = await openSocket(t, `${url}/v1/ws`)
    client.send({ op: 'subscribe', spec })
    await until(() => delivery.connections[0]?.streams.size === 1)
    const [stream = ''] = delivery.connections[0]?.streams ?? []
    for (let time = 0; time < 2; time++)
      delivery.connections[0]?.endpoint.send({ op: 'end', stream, reason: 'removed' })
    const { topic } = desk.leases.get(stream) ?? {}
    const { cursor, ...named } = await client.next()
    assert.deepEqual(named, { op: 'subscribed', stream, topic })
    assert.equal(typeof cursor, 'string')
    assert.deepEqual(await client.next(), { op: 'end', stream, reason: 'removed' })
    assert.deepEqual(await client.next(), { op: 'end', stream, reason: 'removed' }, 'once')
  })

  test('what no source gives is in the warnings of subscribed, of a new stream and of one that is resumed', async (t) => {
    const { url, desk } = await startPlatform(t)
    const warning = {
      ...({ field: 'symbols', value: 'BCT-USD' } as const),
      ...{ message: 'no source has this market', near: ['BTC-USD'] },
    }
    desk.missing.push(warning)
    const client = await openSocket(t, `${url}/v1/ws`)
    client.send({ op: 'subscribe', spec: { channel: 'trade', symbols: ['BCT-USD'] } })
    const { stream, warnings, cursor } = await client.next()
    assert.deepEqual(warnings, [warning])
    const resuming = await openSocket(t, `${url}/v1/ws`)
    resuming.send({ op: 'subscribe', stream, cursor })
    assert.deepEqual((await resuming.next())['warnings'], [warning])
    desk.missing.length = 0
    resuming.send({ op: 'subscribe', stream, cursor })
    assert.equal('warnings' in (await resuming.next()), false)
  })

  test('each socket has a connection and an endpoint of its own; the gauge counts them', async (t) => {
    const { url, delivery, metrics } = await startPlatform(t)
    const clients = await Promise.all([1, 2, 3].map(() => openSocket(t, `${url}/v1/ws`)))
    await until(() => delivery.connections.length === 3)
    assert.equal(new Set(delivery.connections.map(({ endpoint }) => endpoint.id)).size, 3)
    assert.match(await metrics(), /^tapeline_sockets 3$/m)
    clients[0]?.socket.terminate()
    await until(() => delivery.connections.some(({ closed }) => closed))
    assert.match(await metrics(), /^tapeline_sockets 2$/m)
  })

  test('what the desk refuses, and defects, arrive as errors without inner details', async (t) => {
    const { url, desk } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    desk.onRequest = async () => {
      throw new TapelineError('STREAM_LIMIT', 'you have 100 streams')
    }
    client.send({ op: 'subscribe', spec })
    const { remedy, ...refused } = await client.next()
    assert.deepEqual(refused, { op: 'error', code: 'STREAM_LIMIT', message: 'you have 100 streams' })
    assert.ok(String(remedy).length > 5)
    desk.onRequest = async () => {
      throw new Error('geheim')
    }
    client.send({ op: 'subscribe', spec })
    const defect = await client.next()
    assert.equal(defect['code'], 'INTERNAL')
    assert.ok(!JSON.stringify(defect).includes('geheim'))
  })
})

describe('WebSocket: messages that are not acceptable', () => {
  test('each is answered with code, field and remedy, and the socket stays open', async (t) => {
    const { url, desk } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    const cases: readonly [message: unknown, code: string, field?: string][] = [
      ['', 'SOCKET_MESSAGE_INVALID'],
      ['hello', 'SOCKET_MESSAGE_INVALID'],
      ['{"op":', 'SOCKET_MESSAGE_INVALID'],
      [Buffer.from([1, 2, 3]), 'SOCKET_MESSAGE_INVALID'],
      [Buffer.from(JSON.stringify({ op: 'subscribe', spec })), 'SOCKET_MESSAGE_INVALID'],
      ['null', 'SOCKET_MESSAGE_INVALID'],
      [[], 'SOCKET_MESSAGE_INVALID'],
      [{}, 'SOCKET_MESSAGE_INVALID'],
      [{ op: 7 }, 'SOCKET_MESSAGE_INVALID'],
      [{ op: 'publish' }, 'SOCKET_MESSAGE_INVALID'],
      [{ op: 'constructor' }, 'SOCKET_MESSAGE_INVALID'],
      [{ op: 'x'.repeat(65_536) }, 'BODY_TOO_LARGE'],
      [{ op: 'subscribe' }, 'INPUT_INVALID', 'stream'],
      [{ op: 'subscribe', stream: '' }, 'INPUT_INVALID', 'stream'],
      [{ op: 'subscribe', stream: 5 }, 'INPUT_INVALID', 'stream'],
      [{ op: 'subscribe', stream: 'x'.repeat(129) }, 'INPUT_INVALID', 'stream'],
      [{ op: 'subscribe', stream: 's1', spec }, 'INPUT_INVALID', 'spec'],
      [{ op: 'subscribe', stream: 's1', ttl: 60 }, 'INPUT_INVALID', 'ttl'],
      [{ op: 'subscribe', stream: 's1', cursor: 5 }, 'INPUT_INVALID', 'cursor'],
      [{ op: 'subscribe', stream: 's1', from: 'earliest' }, 'INPUT_INVALID', 'from'],
      [{ op: 'subscribe', spec, cursor: 'c' }, 'INPUT_INVALID', 'cursor'],
      [{ op: 'subscribe', spec: null }, 'INPUT_INVALID', 'spec'],
      [{ op: 'subscribe', spec: [spec], ttl: 60 }, 'INPUT_INVALID', 'spec'],
      [{ op: 'subscribe', spec: { channel: 'trade' } }, 'INPUT_INVALID', 'spec.symbols'],
      [{ op: 'subscribe', spec: { ...spec, symbols: [5] } }, 'INPUT_INVALID', 'spec.symbols.0'],
      [{ op: 'subscribe', spec: { ...spec, ttl: 1 } }, 'INPUT_INVALID', 'spec.ttl'],
      [{ op: 'subscribe', spec, ttl: 1 }, 'INPUT_INVALID', 'ttl'],
      ['{"op":"subscribe","stream":"a","stream":"b"}', 'INPUT_INVALID', 'stream'],
      ['{"op":"subscribe","spec":{"__proto__":{}}}', 'INPUT_INVALID', 'spec.__proto__'],
      [{ op: 'unsubscribe' }, 'INPUT_INVALID', 'stream'],
      [{ op: 'unsubscribe', stream: 's1', all: true }, 'INPUT_INVALID', 'all'],
      [{ op: 'unsubscribe', stream: 's1' }, 'STREAM_UNKNOWN'],
    ]
    for (const [message, code, field] of cases) {
      const shown = Buffer.isBuffer(message) ? 'bytes' : JSON.stringify(message).slice(0, 100)
      client.send(message)
      const answer = await client.next()
      assert.deepEqual([answer['op'], answer['code']], ['error', code], `${shown}: ${JSON.stringify(answer)}`)
      assert.ok(String(answer['message']).length > 5 && String(answer['remedy']).length > 5, shown)
      assert.ok(JSON.stringify(answer).length < 8000, shown)
      if (field === undefined) continue
      const errors = answer['errors'] as { field: string; remedy: string }[]
      const entry = errors.find((each) => each.field === field)
      assert.ok(entry !== undefined && entry.remedy.length > 5, `${shown}: ${JSON.stringify(errors)}`)
    }
    assert.equal(desk.leases.size, 0)
    client.send({ op: 'subscribe', stream: 's1' })
    assert.equal((await client.next())['op'], 'subscribed')
  })

  test('100 bad ones in a row end the socket with 1008; a good one between starts the count anew', async (t) => {
    const { url } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    for (let i = 0; i < 99; i++) client.send('bad')
    client.send({ op: 'subscribe', stream: 's1' })
    for (let i = 0; i < 99; i++) client.send('bad')
    const ops: unknown[] = []
    for (let i = 0; i < 199; i++) ops.push((await client.next())['op'])
    assert.equal(ops.indexOf('subscribed'), 99)
    assert.equal(client.socket.readyState, client.socket.OPEN)
    client.send('bad')
    assert.equal((await client.closed).code, 1008)
  })

  test('more than 1 MiB ends the socket with 1009', async (t) => {
    const { url } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    client.send('x'.repeat((1 << 20) + 1))
    assert.equal((await client.closed).code, 1009)
  })
})

describe('WebSocket: limits', () => {
  test('one socket reads at most 1,000 streams; ended and refused ones make room', async (t) => {
    const { url, delivery } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    for (let i = 0; i < 1001; i++) client.send({ op: 'subscribe', stream: `s${i}` })
    for (let i = 0; i < 1000; i++) assert.equal((await client.next())['op'], 'subscribed')
    assert.equal((await client.next())['code'], 'SOCKET_LIMIT')
    client.send({ op: 'subscribe', spec })
    assert.equal((await client.next())['code'], 'SOCKET_LIMIT')
    client.send({ op: 'subscribe', stream: 's7', cursor: 'again' })
    assert.equal((await client.next())['op'], 'subscribed', 'a stream that it reads already')

    const endpoint = delivery.connections[0]?.endpoint
    endpoint?.send({ op: 'end', stream: 's0', reason: 'deleted' })
    client.send({ op: 'unsubscribe', stream: 's2' })
    // The one that delivery refuses takes no room: two are left for the others.
    for (const stream of ['refused', 'n1', 'n2', 'n3']) client.send({ op: 'subscribe', stream })
    const answers: unknown[] = []
    for (let i = 0; i < 5; i++) {
      const { op, code } = await client.next()
      answers.push(code ?? op)
    }
    assert.deepEqual(answers, ['end', 'STREAM_UNKNOWN', 'subscribed', 'subscribed', 'SOCKET_LIMIT'])
  })

  test('a cursor that is refused leaves a stream that is read already as it is', async (t) => {
    const { url, delivery } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    client.send({ op: 'subscribe', stream: 's1' })
    client.send({ op: 'subscribe', stream: 's1', cursor: 'refused' })
    assert.equal((await client.next())['op'], 'subscribed')
    assert.equal((await client.next())['code'], 'CURSOR_INVALID')
    client.send({ op: 'unsubscribe', stream: 's1' })
    await until(() => delivery.connections[0]?.streams.size === 0)
  })

  test('at most 16 requests of a socket are under way at once, and all are served in the end', async (t) => {
    const { url, desk } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    const held: (() => void)[] = []
    let underWay = 0
    let most = 0
    desk.onRequest = async () => {
      most = Math.max(most, ++underWay)
      await new Promise<void>((resolve) => held.push(resolve))
      underWay--
    }
    for (let i = 0; i < 100; i++) client.send({ op: 'subscribe', spec })
    await until(() => held.length === 16)
    const answers: unknown[] = []
    for (let i = 0; i < 100; i++) {
      await until(() => held.length > 0)
      held.shift()?.()
      answers.push((await client.next())['op'])
    }
    assert.equal(most, 16)
    assert.ok(answers.every((op) => op === 'subscribed'))
    assert.equal(desk.leases.size, 100)
  })

  test('a socket that goes away aborts its requests and subscribes to nothing more', async (t) => {
    const { url, desk, delivery } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    const aborted = Promise.withResolvers<void>()
    desk.onRequest = async (_ask, signal) => {
      client.socket.terminate()
      await once(signal, 'abort')
      aborted.resolve()
    }
    client.send({ op: 'subscribe', spec })
    await aborted.promise
    await until(() => desk.leases.size === 1)
    assert.equal(delivery.connections[0]?.streams.size, 0)
    assert.equal(delivery.connections[0]?.closed, true)
  })

  test('a client that does not read its answers is cut off', async (t) => {
    const { url, delivery } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`)
    await until(() => delivery.connections.length === 1)
    const connection = delivery.connections[0]
    client.socket.pause()
    const megabyte = Buffer.alloc(1 << 20, 'x')
    while ((connection?.endpoint.pendingBytes ?? 0) <= 16 << 20)
      connection?.endpoint.sendEncoded(megabyte, 'c', 1)
    client.send({ op: 'subscribe', stream: 's1' })
    await until(() => connection?.closed === true)
    assert.equal(connection?.streams.size, 0)
  })
})

describe('WebSocket: the peer is watched', () => {
  test('pings every 20 s, and cuts off who leaves two unanswered', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const { url, delivery } = await startPlatform(t)
    const alive = await openSocket(t, `${url}/v1/ws`)
    const dead = await openSocket(t, `${url}/v1/ws`, { autoPong: false })
    await until(() => delivery.connections.length === 2)
    for (let round = 0; round < 2; round++) {
      const pinged = Promise.all([once(alive.socket, 'ping'), once(dead.socket, 'ping')])
      t.mock.timers.tick(20_000)
      await pinged
      // The answer to a message sent after the pong shows that the pong has arrived.
      alive.send({ op: 'subscribe', stream: `s${round}` })
      await alive.next()
    }
    assert.equal(dead.socket.readyState, dead.socket.OPEN)
    t.mock.timers.tick(20_000)
    assert.equal((await dead.closed).code, 1006)
    assert.equal(alive.socket.readyState, alive.socket.OPEN)
  })

  test('compression is not offered', async (t) => {
    const { url } = await startPlatform(t)
    const client = await openSocket(t, `${url}/v1/ws`, { perMessageDeflate: true })
    assert.equal(client.socket.extensions, '')
  })
})

describe('WebSocket: keys', () => {
  const keys = [{ name: 'alice', key: 'alice-key' }]

  test('by header or by query; never logged', async (t) => {
    const { url, delivery, logged } = await startPlatform(t, { keys })
    await openSocket(t, `${url}/v1/ws?key=alice-key`)
    await openSocket(t, `${url}/v1/ws`, { headers: { authorization: 'Bearer alice-key' } })
    await openSocket(t, `${url}/v1/ws`, {
      headers: { 'x-api-key': 'alice-key' },
    })
    await until(() => delivery.connections.length === 3)
    assert.deepEqual(
      delivery.connections.map(({ app }) => app),
      ['alice', 'alice', 'alice'],
    )
    assert.ok(!logged.join('').includes('alice-key'))
  })

  test('without a valid one the upgrade is refused with a problem document', async (t) => {
    const { url, delivery } = await startPlatform(t, { keys })
    for (const query of ['', '?key=', '?key=wrong', '?key=alice-key&key=alice-key']) {
      assertProblem(await refusal(`${url}/v1/ws${query}`), 'UNAUTHORIZED', query)
    }
    assert.equal(delivery.connections.length, 0)
  })
})
