import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { ApiError, createClient } from '../../src/client/index.ts'
import { until } from '../e2e/platform-process.ts'
import { type Platform, startPlatform } from '../gateway/platform.ts'
import { startTcpProxy } from '../servers/tcp-proxy.ts'

const REQUEST = { channel: 'trade', symbols: ['BTC-*'] } as const

async function open(t: TestContext, overrides: Parameters<typeof startPlatform>[1] = {}) {
  const platform = await startPlatform(t, overrides)
  const key = overrides?.keys?.[0]?.key
  return { platform, client: createClient({ url: platform.url, ...(key !== undefined && { key }) }) }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** Sends a batch to the last connection that was made. */
function send({ delivery }: Platform, cursor: string, ids: readonly number[], skipped?: number): void {
  const { endpoint, streams } = delivery.connections.at(-1) ?? assert.fail('nobody is connected')
  const [stream] = streams
  const events = ids.map((id) => ({ exchange: 'kraken', symbol: 'BTC-USD', ts: id, id: String(id) }))
  endpoint.sendEncoded(
    Buffer.from(JSON.stringify({ op: 'data', stream, cursor, skipped, events })),
    cursor,
    events.length,
  )
}

/** Waits until the client has connected and subscribed so often. */
function subscribed({ delivery }: Platform, times: number): Promise<void> {
  return until(`subscribed ${times} times`, () => delivery.cursors.length >= times)
}

describe('a stream of the client', () => {
  test('is made by the loop, gives events, resets and the end as values, and then is over', async (t) => {
    const { platform, client } = await open(t)
    const stream = client.stream({ ...REQUEST, where: 'size > 1' })
    assert.deepEqual([stream.id, stream.cursor], [undefined, undefined])
    const seen: unknown[] = []
    const loop = (async () => {
      for await (const item of stream) seen.push(item)
    })()
    await subscribed(platform, 1)
    const lease = [...platform.desk.leases.values()][0] ?? assert.fail()
    assert.deepEqual(lease.spec, { channel: 'trade', symbols: ['BTC-*'], exchanges: [], where: 'size > 1' })
    send(platform, 'c1', [1, 2])
    const { endpoint } = platform.delivery.connections[0] ?? assert.fail()
    endpoint.send({ op: 'reset', stream: lease.id, reason: 'retention', cursor: 'c5' })
    send(platform, 'c6', [6])
    endpoint.send({ op: 'end', stream: lease.id, reason: 'deleted' })
    await loop
    const market = { exchange: 'kraken', symbol: 'BTC-USD' }
    assert.deepEqual(seen, [
      { type: 'trade', ...market, ts: 1, id: '1' },
      { type: 'trade', ...market, ts: 2, id: '2' },
      { type: 'reset', reason: 'retention', cursor: 'c5' },
      { type: 'trade', ...market, ts: 6, id: '6' },
      { type: 'end', reason: 'deleted' },
    ])
    assert.deepEqual([stream.id, stream.cursor], [lease.id, 'c6'])
  })

  test('says what becomes of a slow loop, and how much was left out', async (t) => {
    const { platform, client } = await open(t)
    const seen: unknown[] = []
    const loop = (async () => {
      for await (const batch of client.stream(REQUEST, { slow: 'latest' }).batches())
        seen.push(batch.type === 'data' ? batch.skipped : batch.type)
    })()
    await subscribed(platform, 1)
    assert.deepEqual(platform.delivery.slow, ['latest'])
    send(platform, 'c1', [1])
    send(platform, 'c2', [9], 7)
    const { endpoint, streams } = platform.delivery.connections[0] ?? assert.fail()
    endpoint.send({ op: 'end', stream: [...streams][0] ?? '', reason: 'deleted' })
    await loop
    assert.deepEqual(seen, [undefined, 7, 'end'])
  })

  test('resumes after a broken connection from exactly after the last batch that arrived', async (t) => {
    const platform = await startPlatform(t)
    const proxy = await startTcpProxy({ target: { port: platform.gateway.port } })
    t.after(() => proxy.close())
    const client = createClient({ url: `http://127.0.0.1:${proxy.port}` })
    const ids: string[] = []
    const loop = (async () => {
      for await (const item of client.stream(REQUEST)) {
        if (item.type === 'trade') ids.push(item.id)
        if (item.type === 'end') break
      }
    })()
    await subscribed(platform, 1)
    send(platform, 'c1', [1])
    await until('the event came', () => ids.length === 1)
    for (let time = 2; time <= 4; time++) {
      proxy.cut()
      await subscribed(platform, time)
      assert.equal(platform.delivery.cursors.at(-1), `c${time - 1}`)
      send(platform, `c${time}`, [time])
      await until('the event came', () => ids.length === time)
    }
    const { endpoint, streams } = platform.delivery.connections.at(-1) ?? assert.fail()
    endpoint.send({ op: 'end', stream: [...streams][0] ?? '', reason: 'deleted' })
    await loop
    assert.deepEqual(ids, ['1', '2', '3', '4'])
    assert.equal(platform.desk.leases.size, 1, 'one stream for all connections')
  })

  test('a refusal is an ApiError, a stream that is no more its end', async (t) => {
    const { platform, client } = await open(t)
    await assert.rejects(all(client.stream({ ...REQUEST, where: 'size >' })), (error) => {
      assert.ok(error instanceof ApiError)
      assert.deepEqual([error.code, error.status, error.errors[0]?.field], ['INPUT_INVALID', 400, 'where'])
      return true
    })
    const [ended] = (await all(client.resume({ channel: 'trade', stream: 'refused' }))) as { type: string }[]
    assert.equal(ended?.type, 'end')
    platform.desk.add('s1', 'local')
    await assert.rejects(all(client.resume({ channel: 'trade', stream: 's1', cursor: 'refused' })), {
      code: 'CURSOR_INVALID',
    })
  })

  test('the key goes with requests and WebSocket; a wrong one ends the loop', async (t) => {
    const keys = [{ name: 'desk', key: 'secret' }]
    const { platform, client } = await open(t, { keys })
    const stop = new AbortController()
    const loop = (async () => {
      for await (const _item of client.stream(REQUEST, { signal: stop.signal }))
        stop.abort(new Error('enough'))
    })()
    await subscribed(platform, 1)
    assert.equal(platform.delivery.connections[0]?.app, 'desk')
    send(platform, 'c1', [1])
    await assert.rejects(loop, /enough/)
    const stranger = createClient({ url: platform.url, key: 'guessed' })
    await assert.rejects(
      async () => {
        for await (const _item of stranger.resume({ channel: 'trade', stream: 'x' })) assert.fail()
      },
      { code: 'UNAUTHORIZED' },
    )
  })

  test('a loop that does not take events holds a bounded number, and loses none', async (t) => {
    const { platform, client } = await open(t)
    const gate = Promise.withResolvers<void>()
    const ids: number[] = []
    const loop = (async () => {
      for await (const item of client.stream(REQUEST)) {
        await gate.promise
        if (item.type === 'trade') ids.push(Number(item.id))
        if (item.type === 'end') break
      }
    })()
    await subscribed(platform, 1)
    const batches = Array.from({ length: 30 }, (_, i) =>
      Array.from({ length: 1_000 }, (_, j) => i * 1_000 + j),
    )
    for (const [i, batch] of batches.entries()) send(platform, `c${i}`, batch)
    await until('the client disconnected', () => platform.delivery.connections[0]?.closed === true)
    gate.resolve()
    await subscribed(platform, 2)
    const at = Number(platform.delivery.cursors[1]?.slice(1))
    assert.ok(at >= 20 && at < 30, String(at))
    for (const [i, batch] of batches.entries()) if (i > at) send(platform, `c${i}`, batch)
    const { endpoint, streams } = platform.delivery.connections.at(-1) ?? assert.fail()
    endpoint.send({ op: 'end', stream: [...streams][0] ?? '', reason: 'deleted' })
    await loop
    assert.deepEqual(ids, batches.flat())
  })

  test('leaving the loop disconnects, the stream lives on; an abort ends a loop that waits', async (t) => {
    const { platform, client } = await open(t)
    const stream = client.stream(REQUEST)
    const loop = (async () => {
      for await (const _item of stream) break
    })()
    await subscribed(platform, 1)
    send(platform, 'c1', [1])
    await loop
    await until('it disconnected', () => platform.delivery.connections[0]?.closed === true)
    assert.ok(platform.desk.leases.has(stream.id ?? ''))
    const stop = new AbortController()
    const waiting = (async () => {
      for await (const _item of client.resume(
        { channel: 'trade', stream: stream.id ?? '' },
        { signal: stop.signal },
      ))
        assert.fail()
    })()
    await subscribed(platform, 2)
    stop.abort()
    await assert.rejects(waiting, { name: 'AbortError' })
    await until('it disconnected', () => platform.delivery.connections[1]?.closed === true)
  })

  test('batches have the cursor after them, and the stream that of what was taken whole', async (t) => {
    const { platform, client } = await open(t)
    const stream = client.stream(REQUEST)
    const cursors: unknown[] = []
    const loop = (async () => {
      for await (const batch of stream.batches()) {
        cursors.push([batch.type === 'data' ? batch.cursor : batch.type, stream.cursor])
        if (batch.type === 'end') break
      }
    })()
    await subscribed(platform, 1)
    send(platform, 'c1', [1, 2])
    send(platform, 'c2', [3])
    const { endpoint, streams } = platform.delivery.connections.at(-1) ?? assert.fail()
    endpoint.send({ op: 'end', stream: [...streams][0] ?? '', reason: 'deleted' })
    await loop
    assert.deepEqual(cursors, [
      ['c1', 'start'],
      ['c2', 'c1'],
      ['end', 'c2'],
    ])
  })
})

describe('the rest of the client', () => {
  test('streams are made, listed, looked at and deleted', async (t) => {
    const { client } = await open(t)
    const { id, spec } = await client.streams.create({ ...REQUEST, fields: ['price'] })
    assert.deepEqual(spec.fields, ['exchange', 'symbol', 'price', 'ts'])
    assert.deepEqual(
      (await client.streams.list()).map((each) => each.id),
      [id],
    )
    assert.equal((await client.streams.get(id)).id, id)
    await client.streams.delete(id)
    await assert.rejects(client.streams.get(id), { code: 'STREAM_UNKNOWN', status: 404 })
  })

  test('webhooks are made, listed, paused, resumed and deleted', async (t) => {
    const { platform, client } = await open(t)
    const { id: stream, topic } = await client.streams.create(REQUEST)
    platform.broker.add(topic, [])
    const { id, secret } = await client.webhooks.create({ url: 'https://example.com/in', stream })
    assert.match(secret, /^whsec_/)
    assert.deepEqual(
      (await client.webhooks.list()).map((each) => each.id),
      [id],
    )
    assert.equal((await client.webhooks.pause(id)).state, 'paused')
    assert.equal((await client.webhooks.resume(id)).state, 'active')
    await client.webhooks.delete(id)
    await assert.rejects(client.webhooks.get(id), { code: 'WEBHOOK_UNKNOWN' })
  })

  test('history comes page by page, and waits for a platform that is away', async (t) => {
    const { platform, client } = await open(t)
    const { store } = platform
    const [row] = await store.trades({ symbol: 'X', limit: 1 }, AbortSignal.timeout(1000))
    let failures = 2
    store.trades = async (query) => {
      if (failures-- > 0) throw new Error('away')
      const done = query.after === undefined ? 0 : Number(query.after.key[1]) + 1
      return Array.from({ length: Math.min(query.limit, 12_000 - done) }, (_, i) => ({
        ...(row ?? assert.fail()),
        id: String(done + i),
      }))
    }
    const ids: number[] = []
    for await (const trade of client.trades({ symbol: 'BTC-USD', from: '2026-01-01' }))
      ids.push(Number(trade.id))
    assert.deepEqual(
      ids,
      Array.from({ length: 12_000 }, (_, i) => i),
    )
    const sizes: number[] = []
    for await (const { rows } of client.trades({ symbol: 'BTC-USD' }).pages()) sizes.push(rows.length)
    assert.deepEqual(sizes, [5_000, 5_000, 2_000])
    const [candle] = await all(client.candles({ symbol: 'BTC-USD', interval: '1h' }))
    assert.equal(candle?.interval, '1h')
    assert.equal((await all(client.quotes({ symbol: 'BTC-USD' })))[0]?.bid, 1.5)
    assert.deepEqual(
      (await client.markets({ symbol: 'BTC-*' })).map(({ trades }) => trades),
      [12_000],
    )
    await assert.rejects(all(client.trades({ symbol: 'BTC-*' })), { code: 'INPUT_INVALID' })
  })
})
