import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TapelineError } from '../../src/errors.ts'
import { assertProblem, call, post } from './http.ts'
import { startPlatform } from './platform.ts'
import { openSocket } from './socket-client.ts'

describe('/v1/streams', () => {
  test('POST makes a lease and says where to read it', async (t) => {
    const { url, desk } = await startPlatform(t)
    const answer = await post(`${url}/v1/streams`, {
      channel: 'trade',
      symbols: ['eth-usd', 'BTC-*', 'ETH-USD'],
      exchanges: ['Kraken'],
      ttl: '90s',
    })
    assert.equal(answer.status, 201)
    const { id, ...rest } = answer.json()
    assert.match(String(id), /^[0-9a-z]{26}$/)
    assert.equal(answer.headers['location'], `/v1/streams/${id}`)
    assert.deepEqual(rest, {
      app: 'local',
      topic: `app.${id}`,
      spec: { channel: 'trade', symbols: ['BTC-*', 'ETH-USD'], exchanges: ['kraken'] },
      ttl: 90,
      createdAt: '2026-02-03T04:05:06.000Z',
      lastReadAt: null,
      standing: false,
      websocket: `${url.replace('http', 'ws')}/v1/ws`,
    })
    assert.ok(desk.leases.has(String(id)))

    const shown = await call(`${url}${answer.headers['location']}`)
    assert.deepEqual(shown.json(), answer.json())
    const listed = await call(`${url}/v1/streams`)
    assert.deepEqual(listed.json(), { streams: [answer.json()] })
  })

  test('a beginning that the topics do not keep any more is in the warnings of the answer', async (t) => {
    const { url, broker } = await startPlatform(t)
    const first = Date.now() - 3_600_000
    const position = { topic: 'market.trades', partition: 0, offset: 7 }
    const headers = { v: 1, kind: 'event', shard: 0, epoch: 1, position } as const
    const record = { offset: 7, timestamp: first, key: null, value: Buffer.from('{}'), headers }
    broker.add('market.trades', [record], { earliest: 7, partitions: 1 })
    broker.add('market.quotes', [{ ...record, offset: 0 }])
    const since = new Date(first).toISOString()
    const ask = async (request: object) =>
      (await post(`${url}/v1/streams`, { symbols: ['*'], ...request })).json()['warnings'] as
        | Record<string, unknown>[]
        | undefined
    const [warning] = (await ask({ channel: 'trade', from: '-2h' })) ?? []
    assert.deepEqual([warning?.['field'], warning?.['near']], ['from', [since]])
    assert.match(String(warning?.['message']), new RegExp(`since ${since}: .*GET /v1/trades.*client\\.since`))
    const [candles] = (await ask({ channel: 'candle', interval: '1m', from: '-2h' })) ?? []
    assert.match(String(candles?.['message']), /GET \/v1\/candles, page by page$/)
    for (const request of [
      { channel: 'trade', from: '-30m' },
      { channel: 'trade', from: 'earliest' },
      { channel: 'trade' },
      { channel: 'quote', from: '-2h' },
    ])
      assert.equal(await ask(request), undefined, JSON.stringify(request))
    const socket = await openSocket(t, `${url}/v1/ws`)
    socket.send({ op: 'subscribe', spec: { channel: 'trade', symbols: ['*'], from: '-2h' } })
    const { op, warnings } = await socket.next()
    assert.deepEqual(
      [op, warnings],
      ['subscribed', [{ ...warning, value: (warnings as (typeof warning)[])[0]?.['value'] }]],
    )
    assert.equal(broker.openReaders, 0)
  })

  test('what no source gives is in the warnings, in every answer', async (t) => {
    const { url, desk } = await startPlatform(t)
    const warning = {
      field: 'symbols',
      value: 'BCT-USD',
      message: 'no source has this market',
      near: ['BTC-USD'],
    } as const
    desk.missing.push(warning)
    const answer = await post(`${url}/v1/streams`, { channel: 'trade', symbols: ['BCT-USD'] })
    assert.equal(answer.status, 201)
    assert.deepEqual(answer.json()['warnings'], [warning])
    const shown = await call(`${url}${answer.headers['location']}`)
    assert.deepEqual(shown.json(), answer.json())
  })

  test('every POST gets an id of its own', async (t) => {
    const { url } = await startPlatform(t)
    const body = { channel: 'trade', symbols: ['*'] }
    const answers = await Promise.all(Array.from({ length: 50 }, () => post(`${url}/v1/streams`, body)))
    assert.ok(answers.every(({ status }) => status === 201))
    assert.equal(new Set(answers.map((answer) => answer.json()['id'])).size, 50)
  })

  test('the WebSocket address is the one the caller reaches, also through a proxy that ends TLS', async (t) => {
    const { url } = await startPlatform(t, { keys: [{ name: 'alice', key: 'k1' }] })
    const headers = { authorization: 'Bearer k1', host: 'feed.example:443', 'x-forwarded-proto': 'https' }
    const answer = await post(`${url}/v1/streams`, { channel: 'trade', symbols: ['*'] }, headers)
    assert.equal(answer.json()['websocket'], 'wss://feed.example:443/v1/ws')
  })

  test('a DELETE whose first answer was lost is answered as if it were the first', async (t) => {
    const { url, desk } = await startPlatform(t)
    // The coordinator has ended it by now, and remembers whose it was.
    desk.end = async (id, app) => {
      if (id !== 's1' || app !== 'local') throw new TapelineError('STREAM_UNKNOWN', `not one of ${app}`)
    }
    assert.equal((await call(`${url}/v1/streams/s1`, { method: 'DELETE' })).status, 204)
    assertProblem(await call(`${url}/v1/streams/s2`, { method: 'DELETE' }), 'STREAM_UNKNOWN')
  })

  test('PATCH replaces what it gives, removes what is null, and leaves the rest', async (t) => {
    const { url, desk } = await startPlatform(t)
    const made = { channel: 'trade', symbols: ['BTC-*'], where: 'size >= 1', fields: ['price'], ttl: '90s' }
    const id = String((await post(`${url}/v1/streams`, made)).json()['id'])
    const patch = async (change: object) => post(`${url}/v1/streams/${id}`, change, {}, 'PATCH')
    const specAfter = async (change: object) => {
      const answer = await patch(change)
      assert.equal(answer.status, 200, answer.text)
      assert.equal(answer.json()['ttl'], desk.leases.get(id)?.ttlMs === 0 ? 0 : 90)
      return answer.json()['spec']
    }
    const fields = ['exchange', 'symbol', 'price', 'ts']
    const spec = { channel: 'trade', symbols: ['BTC-*'], exchanges: [], where: 'size >= 1', fields }
    assert.deepEqual(await specAfter({}), spec)
    assert.deepEqual(await specAfter({ where: ' size>=2 ' }), { ...spec, where: 'size >= 2' })
    assert.deepEqual(await specAfter({ where: null, fields: null, exchanges: ['kraken'] }), {
      ...{ channel: 'trade', symbols: ['BTC-*'], exchanges: ['kraken'] },
    })
    assert.deepEqual(await specAfter({ interval: '1m', ttl: 0 }), {
      ...{ channel: 'trade', symbols: ['BTC-*'], exchanges: ['kraken'], interval: '1m', lateness: '2s' },
    })
    const quotes = { channel: 'quote', symbols: ['BTC-*'], exchanges: ['kraken'] }
    assert.deepEqual(await specAfter({ channel: 'quote' }), quotes, 'windows of candles are not for quotes')
    for (const [change, field] of [
      [{ from: 'earliest' }, 'from'],
      [{ symbols: null }, 'symbols'],
      [{ interval: '1m' }, 'interval'],
      [{ symbol: 'x' }, 'symbol'],
      [{ where: 'size' }, 'where'],
    ] as const) {
      const [fault] = assertProblem(await patch(change), 'INPUT_INVALID')
      assert.equal(fault?.['field'], field)
    }
    assert.deepEqual(desk.leases.get(id)?.spec, quotes, 'what is refused changes nothing')
  })

  test('PATCH of a standing stream, and of another application, is refused', async (t) => {
    const keys = ['alice', 'bob'].map((name) => ({ name, key: `key-of-${name}` }))
    const { url, desk } = await startPlatform(t, { keys })
    desk.leases.set('all', { ...desk.add('all', 'alice'), standing: true })
    const patch = (id: string, name: string) =>
      post(`${url}/v1/streams/${id}`, {}, { authorization: `Bearer key-of-${name}` }, 'PATCH')
    assertProblem(await patch('all', 'alice'), 'STREAM_STANDING')
    desk.add('a1', 'alice')
    assertProblem(await patch('a1', 'bob'), 'STREAM_UNKNOWN')
    assertProblem(await patch('none', 'bob'), 'STREAM_UNKNOWN')
  })

  test('DELETE ends a lease; a second DELETE, and an unknown id, are STREAM_UNKNOWN', async (t) => {
    const { url, desk } = await startPlatform(t)
    desk.add('s1', 'local')
    const answer = await call(`${url}/v1/streams/s1`, { method: 'DELETE' })
    assert.equal(answer.status, 204)
    assert.equal(answer.text, '')
    assert.deepEqual(desk.ended, [{ id: 's1', app: 'local' }])
    for (const method of ['DELETE', 'GET']) {
      assertProblem(await call(`${url}/v1/streams/s1`, { method }), 'STREAM_UNKNOWN')
    }
    assert.equal(desk.ended.length, 2, 'whether the second is known, the coordinator says')
  })

  test('an application sees and ends its own streams only; admin those of all', async (t) => {
    const keys = ['alice', 'bob', 'admin'].map((name) => ({ name, key: `key-of-${name}` }))
    const { url, desk } = await startPlatform(t, { keys })
    desk.add('a1', 'alice')
    desk.add('b1', 'bob')
    const as = (name: string) => ({ headers: { authorization: `Bearer key-of-${name}` } })
    const ids = async (name: string) => {
      const { streams } = (await call(`${url}/v1/streams`, as(name))).json() as { streams: { id: string }[] }
      return streams.map(({ id }) => id)
    }
    assert.deepEqual(await ids('alice'), ['a1'])
    assert.deepEqual(await ids('bob'), ['b1'])
    assert.deepEqual(await ids('admin'), ['a1', 'b1'])
    assertProblem(await call(`${url}/v1/streams/b1`, as('alice')), 'STREAM_UNKNOWN')
    assertProblem(await call(`${url}/v1/streams/b1`, { method: 'DELETE', ...as('alice') }), 'STREAM_UNKNOWN')
    assert.equal((await call(`${url}/v1/streams/b1`, { method: 'DELETE', ...as('admin') })).status, 204)
    assert.deepEqual(desk.ended, [{ id: 'b1', app: 'bob' }])
  })

  test('what the desk refuses becomes a problem of its code', async (t) => {
    const { url, desk } = await startPlatform(t)
    const body = { channel: 'trade', symbols: ['*'] }
    for (const code of ['STREAM_LIMIT', 'TOPIC_CREATION_FAILED', 'CONTROL_UNAVAILABLE'] as const) {
      desk.onRequest = async () => {
        throw new TapelineError(code, 'not this time')
      }
      const answer = await post(`${url}/v1/streams`, body)
      assertProblem(answer, code)
      assert.equal(answer.headers['retry-after'], answer.status === 503 ? '1' : undefined)
    }
  })

  test('a defect is INTERNAL: logged with its message, answered without it', async (t) => {
    const { url, desk, logged } = await startPlatform(t)
    desk.onRequest = async () => {
      throw new Error('secret-detail /var/lib/x')
    }
    const answer = await post(`${url}/v1/streams`, { channel: 'trade', symbols: ['*'] })
    assertProblem(answer, 'INTERNAL')
    assert.ok(!answer.text.includes('secret-detail'), answer.text)
    assert.ok(logged.some((line) => line.includes('"level":"error"') && line.includes('secret-detail')))
  })

  test('a client that goes away aborts its request to the desk', async (t) => {
    const { url, desk } = await startPlatform(t)
    const aborted = Promise.withResolvers<void>()
    const client = new AbortController()
    desk.onRequest = (_ask, signal) => {
      client.abort()
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted.resolve()
          reject(signal.reason)
        })
      })
    }
    const body = JSON.stringify({ channel: 'trade', symbols: ['*'] })
    const headers = { 'content-type': 'application/json' }
    await assert.rejects(call(`${url}/v1/streams`, { method: 'POST', headers, body, signal: client.signal }))
    await aborted.promise
  })
})
