import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { describe, test } from 'node:test'
import { isoMicros } from '../../src/domain/time.ts'
import { TapelineError } from '../../src/errors.ts'
import type { RowQuery } from '../../src/ports/store.ts'
import { usedHeap } from '../collected-heap.ts'
import { until } from '../e2e/platform-process.ts'
import { EFFORT } from '../effort.ts'
import { assertProblem, call } from './http.ts'
import { type MemoryStore, startPlatform } from './platform.ts'

const START = 1_767_225_600_000_000

function tradeAt(i: number) {
  const ts = isoMicros(START + i)
  const market = { exchange: 'kraken', symbol: 'BTC-USD' }
  return { ...market, id: String(i), side: 'buy', price: 0.1 + i / 7, size: 1e-9, ts, recvTs: ts }
}

/** A store with so many trades, one a microsecond. It fails when a row from `failsAt` on is asked for. */
function fill(store: MemoryStore, count: number, failsAt = Number.POSITIVE_INFINITY): void {
  store.trades = async (query: RowQuery) => {
    store.asked.push(query)
    const done = query.after === undefined ? 0 : Number(query.after.key[1]) + 1
    if (done >= failsAt) throw new TapelineError('STORE_UNAVAILABLE', 'the database went away')
    const most = Math.min(query.limit, count - done)
    const rows = Array.from({ length: most }, (_, i) => tradeAt(done + i))
    return query.order === 'asc' ? rows : rows.toReversed()
  }
}

/** Bytes in use, also outside of the heap. */
async function held(): Promise<number> {
  return (await usedHeap()) + process.memoryUsage().arrayBuffers
}

const TRADES = '/v1/trades?symbol=BTC-USD'

describe('rows as NDJSON and CSV', () => {
  test('all rows that match come, however many, in the format of the parameter or of the header accept', async (t) => {
    const { url, store } = await startPlatform(t)
    fill(store, 12_345)
    const ways = [
      ['application/x-ndjson', `${TRADES}&format=ndjson`, {}],
      ['application/x-ndjson', TRADES, { accept: 'text/csv;q=0.5, application/x-ndjson' }],
      ['text/csv', `${TRADES}&format=csv`, { accept: 'application/json' }],
      ['text/csv', TRADES, { accept: 'text/csv' }],
    ] as const
    for (const [mediaType, path, headers] of ways) {
      const answer = await call(url + path, { headers })
      assert.equal(answer.status, 200, answer.text)
      assert.equal(answer.headers['content-type'], `${mediaType}; charset=utf-8`)
      assert.equal(answer.headers['vary'], 'accept')
      const lines = answer.text.split('\n')
      assert.equal(lines.pop(), '')
      if (mediaType === 'text/csv')
        assert.equal(lines.shift(), 'exchange,symbol,id,side,price,size,ts,recvTs')
      assert.equal(lines.length, 12_345)
      const last = tradeAt(12_344)
      assert.equal(lines.at(-1), mediaType === 'text/csv' ? Object.values(last).join() : JSON.stringify(last))
    }
    for (const accept of ['*/*', 'text/html', 'application/json, text/csv;q=0'])
      assert.match(
        String((await call(url + TRADES, { headers: { accept } })).headers['content-type']),
        /json/,
      )
  })

  test('limit bounds the whole answer, and cursor begins in the middle', async (t) => {
    const { url, store } = await startPlatform(t)
    fill(store, 20_000)
    const page = (await call(`${url}${TRADES}&order=asc&limit=100`)).json()
    const answer = await call(`${url}${TRADES}&format=ndjson&limit=7001&cursor=${page['next']}`)
    const ids = answer.text
      .trim()
      .split('\n')
      .map((line) => Number(JSON.parse(line).id))
    assert.deepEqual([ids.length, ids[0], ids.at(-1)], [7_001, 100, 7_100])
    assertProblem(await call(`${url}${TRADES}&format=json&limit=10001`), 'INPUT_INVALID')
  })

  test('what cannot be read at all is a problem document; no rows are a head alone', async (t) => {
    const { url, store } = await startPlatform(t)
    fill(store, 0)
    assert.equal((await call(`${url}${TRADES}&format=ndjson`)).text, '')
    assert.equal((await call(`${url}${TRADES}&format=csv`)).text.split('\n').length, 2)
    for (const query of ['cursor=x', 'from=2026-01-02&to=2026-01-01', 'limit=0', 'order=up'])
      assert.equal((await call(`${url}${TRADES}&format=csv&${query}`)).status, 400, query)
    fill(store, 10, 0)
    assertProblem(await call(`${url}${TRADES}&format=ndjson`), 'STORE_UNAVAILABLE')
  })

  test('a failure in the middle is the last line of NDJSON, from whose cursor it goes on, and breaks CSV off', async (t) => {
    const { url, store } = await startPlatform(t)
    fill(store, 12_000, 5_000)
    const lines = (await call(`${url}${TRADES}&format=ndjson`)).text.trim().split('\n')
    assert.equal(lines.length, 5_001)
    const { error, next } = JSON.parse(lines.at(-1) ?? '') as { error: { code: string }; next: string }
    assert.equal(error.code, 'STORE_UNAVAILABLE')
    await assert.rejects(call(`${url}${TRADES}&format=csv`), /aborted|hang up|ECONNRESET/)
    fill(store, 12_000)
    const rest = await call(`${url}${TRADES}&format=ndjson&cursor=${next}`)
    assert.equal(JSON.parse(rest.text.split('\n')[0] ?? '').id, '5000')
    assert.equal(rest.text.trim().split('\n').length, 7_000)
  })

  test('so many run at once, and whoever leaves half-way makes room at once', async (t) => {
    const { url, store } = await startPlatform(t)
    fill(store, 10_000_000)
    const clients: IncomingMessage[] = []
    for (const format of ['csv', 'ndjson', 'csv']) {
      const [response] = (await once(get(`${url}${TRADES}&format=${format}`), 'response')) as [
        IncomingMessage,
      ]
      assert.equal(response.statusCode, 200)
      clients.push(response)
    }
    const refused = await call(`${url}${TRADES}&format=csv`)
    assertProblem(refused, 'ROW_STREAMS_BUSY')
    assert.match(String(refused.headers['retry-after']), /^\d+$/)
    assert.equal((await call(`${url}${TRADES}`)).status, 200, 'a page of JSON is none')
    clients[0]?.destroy()
    fill(store, 10)
    await until('there is room', async () => (await call(`${url}${TRADES}&format=csv`)).status === 200)
    for (let i = 0; i < 10; i++) assert.equal((await call(`${url}${TRADES}&format=csv`)).status, 200)
    for (const each of clients) each.destroy()
  })

  test('a client that does not read is not read ahead for, and one that goes away ends the reading', async (t) => {
    const { url, store } = await startPlatform(t)
    fill(store, 10_000_000)
    const [response] = (await once(get(`${url}${TRADES}&format=csv`), 'response')) as [IncomingMessage]
    let before = -1
    await until('nothing more is asked of the store', async () => {
      const isStill = store.asked.length === before
      before = store.asked.length
      await call(`${url}/healthz`)
      return isStill
    })
    assert.ok(before < 60, `${before} pages were read for nobody`)
    response.destroy()

    fill(store, 20_000)
    const { trades } = store
    const [asked, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    store.trades = async (query, signal) => {
      if (query.after === undefined) return trades.call(store, query, signal)
      signal.addEventListener('abort', () => gone.resolve())
      asked.resolve()
      await gone.promise
      throw signal.reason
    }
    const request = get(`${url}${TRADES}&format=csv`)
    const [other] = (await once(request, 'response')) as [IncomingMessage]
    other.resume()
    await asked.promise
    request.destroy()
    await gone.promise
  })

  test('many rows take no 50 MB more: a million in the long run', async (t) => {
    const count = Math.min(1_000_000, 100_000 * EFFORT)
    const { url, store } = await startPlatform(t)
    fill(store, count)
    await call(`${url}${TRADES}&format=csv&limit=20000`)
    const atFirst = await held()
    const [response] = (await once(get(`${url}${TRADES}&format=csv`), 'response')) as [IncomingMessage]
    let [lines, bytes, most] = [0, 0, 0]
    for await (const chunk of response as AsyncIterable<Buffer>) {
      for (const byte of chunk) if (byte === 10) lines++
      bytes += chunk.length
      if (bytes > 8_000_000) {
        bytes = 0
        most = Math.max(most, (await held()) - atFirst)
      }
    }
    assert.equal(lines, count + 1)
    t.diagnostic(`${(most / 1e6).toFixed(1)} MB more at the most`)
    assert.ok(most < 50_000_000, `${most} bytes more`)
  })
})
