import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TapelineError } from '../../src/errors.ts'
import type { StoredRecord } from '../../src/ports/broker.ts'
import { assertProblem, call, post } from './http.ts'
import { startPlatform } from './platform.ts'

const position = { topic: 'market.trades', partition: 2, offset: 40 }

function record(offset: number, more: Partial<StoredRecord> = {}): StoredRecord {
  const timestamp = Date.parse('2026-01-01T00:00:00Z') + offset
  const headers = { v: 1, kind: 'event', shard: 2, epoch: 5, position } as const
  return { offset, timestamp, key: 'kraken:BTC-USD', headers, value: Buffer.from(`{"n":${offset}}`), ...more }
}

const offsetsOf = (answer: { json(): Record<string, unknown> }) =>
  (answer.json()['records'] as { offset: number }[]).map(({ offset }) => offset)

describe('GET /v1/topics', () => {
  test('lists the dynamic topics, and with all=true every topic, summed over the partitions', async (t) => {
    const { url, broker } = await startPlatform(t)
    broker.add('app.01', [record(5), record(6)], { earliest: 5 })
    broker.add('market.trades', [record(0)], { partitions: 4 })
    const app01 = {
      name: 'app.01',
      id: 'T-app.01',
      partitions: 1,
      compacted: false,
      retentionMs: 60_000,
      earliest: 5,
      end: 7,
      offsets: [{ earliest: 5, end: 7 }],
    }
    assert.deepEqual((await call(`${url}/v1/topics`)).json(), { topics: [app01] })
    const all = (await call(`${url}/v1/topics?all=true`)).json() as {
      topics: { name: string; end: number }[]
    }
    assert.deepEqual(
      all.topics.map(({ name, end }) => [name, end]),
      [
        ['app.01', 7],
        ['market.trades', 1],
      ],
    )
    const errors = assertProblem(await call(`${url}/v1/topics?all=yes`), 'INPUT_INVALID')
    assert.equal(errors[0]?.['field'], 'all')
  })
})

describe('GET /v1/topics/{name}/records', () => {
  test('gives raw records from the earliest, and where to go on', async (t) => {
    const { url, broker } = await startPlatform(t)
    broker.add(
      'app.01',
      [record(5), record(6, { headers: { v: 1, kind: 'marker', shard: 2, epoch: 6 }, value: null })],
      {
        earliest: 5,
      },
    )
    const answer = await call(`${url}/v1/topics/app.01/records`)
    assert.deepEqual(answer.json(), {
      topic: 'app.01',
      topicId: 'T-app.01',
      partition: 0,
      earliest: 5,
      end: 7,
      next: 7,
      records: [
        {
          offset: 5,
          timestamp: '2026-01-01T00:00:00.005Z',
          key: 'kraken:BTC-USD',
          headers: { v: 1, kind: 'event', shard: 2, epoch: 5, position: 'market.trades:2:40' },
          value: '{"n":5}',
        },
        {
          offset: 6,
          timestamp: '2026-01-01T00:00:00.006Z',
          key: 'kraken:BTC-USD',
          headers: { v: 1, kind: 'marker', shard: 2, epoch: 6 },
          value: null,
        },
      ],
    })
    assert.equal(broker.openReaders, 0)
  })

  test('pages by limit and next through everything, once', async (t) => {
    const { url, broker } = await startPlatform(t)
    broker.add(
      'app.01',
      Array.from({ length: 25 }, (_, offset) => record(offset)),
    )
    const seen: number[] = []
    let next = 0
    while (next < 25) {
      const answer = await call(`${url}/v1/topics/app.01/records?from=${next}&limit=10`)
      seen.push(...offsetsOf(answer))
      next = Number(answer.json()['next'])
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 25 }, (_, offset) => offset),
    )
  })

  test('offsets that nobody can read are named, and next goes on after them', async (t) => {
    const { url, broker } = await startPlatform(t)
    broker.add(
      'app.01',
      [0, 1, 2, 3].map((offset) => record(offset)),
    )
    for (const offset of [0, 2]) broker.spoilt.add(offset)
    const answers: unknown[] = []
    for (let next = 0; next < 4; ) {
      const answer = await call(`${url}/v1/topics/app.01/records?from=${next}`)
      answers.push([offsetsOf(answer), answer.json()['undecodable']])
      next = Number(answer.json()['next'])
    }
    assert.deepEqual(answers, [
      [[], [{ from: 0, to: 0, reason: 'spoilt' }]],
      [[1], [{ from: 2, to: 2, reason: 'spoilt' }]],
      [[3], undefined],
    ])
  })

  test('an answer ends near 4 MiB, and next goes on from there', async (t) => {
    const { url, broker } = await startPlatform(t)
    const value = Buffer.alloc(1 << 20, 'x')
    broker.add(
      'app.01',
      Array.from({ length: 8 }, (_, offset) => record(offset, { value })),
    )
    const answer = await call(`${url}/v1/topics/app.01/records`)
    assert.deepEqual(offsetsOf(answer), [0, 1, 2, 3, 4])
    assert.equal(answer.json()['next'], 5)
  })

  test('waits for the first record, and no longer than asked', async (t) => {
    const { url, broker } = await startPlatform(t)
    broker.add('app.01', [record(0)])
    const none = await call(`${url}/v1/topics/app.01/records?from=latest&wait=10ms`)
    assert.deepEqual([offsetsOf(none), none.json()['next']], [[], 1])
    const waiting = call(`${url}/v1/topics/app.01/records?from=latest&wait=30s`)
    while (broker.openReaders === 0) await new Promise(setImmediate)
    broker.append('app.01', record(1))
    assert.deepEqual(offsetsOf(await waiting), [1])
  })

  test('a client that goes away ends its wait', async (t) => {
    const { url, broker } = await startPlatform(t)
    broker.add('app.01', [])
    const client = new AbortController()
    const waiting = call(`${url}/v1/topics/app.01/records?wait=30s`, { signal: client.signal })
    while (broker.openReaders === 0) await new Promise(setImmediate)
    client.abort()
    await assert.rejects(waiting)
    while (broker.openReaders > 0) await new Promise(setImmediate)
  })

  test('refuses what cannot be read', async (t) => {
    const { url, broker } = await startPlatform(t)
    broker.add('app.01', [record(5)], { earliest: 5 })
    const records = `${url}/v1/topics/app.01/records`
    assertProblem(await call(`${url}/v1/topics/app.0/records`), 'TOPIC_UNKNOWN')
    assertProblem(await call(`${records}?from=4`), 'OFFSET_OUT_OF_RANGE')
    assertProblem(await call(`${records}?from=7`), 'OFFSET_OUT_OF_RANGE')
    const bad = [
      ['from', 'yesterday'],
      ['from', '-1'],
      ['partition', '1'],
      ['partition', 'x'],
      ['limit', '0'],
      ['limit', '1001'],
      ['wait', '31s'],
      ['wait', 'long'],
      ['offset', '5'],
    ]
    for (const [field, value] of bad) {
      const errors = assertProblem(
        await call(`${records}?${field}=${value}`),
        'INPUT_INVALID',
        `${field}=${value}`,
      )
      assert.equal(errors[0]?.['field'], field, `${field}=${value}`)
    }
    const twice = assertProblem(await call(`${records}?limit=1&limit=2`), 'INPUT_INVALID')
    assert.equal(twice[0]?.['field'], 'limit')
  })
})

describe('GET /v1/trades and /v1/candles', () => {
  test('read times as ISO 8601 or microseconds, and names in any case', async (t) => {
    const { url, store } = await startPlatform(t)
    const answer = await call(
      `${url}/v1/trades?symbol=btc-usd&exchange=Kraken&from=2026-01-01T00:00:00.000001Z&to=1767225600000002&limit=5`,
    )
    assert.equal(answer.status, 200)
    assert.deepEqual(store.asked, [
      {
        symbol: 'BTC-USD',
        exchange: 'kraken',
        from: 1_767_225_600_000_001,
        to: 1_767_225_600_000_002,
        limit: 6,
      },
    ])
    assert.deepEqual(answer.json(), {
      trades: [
        {
          exchange: 'kraken',
          symbol: 'BTC-USD',
          id: '7',
          side: 'buy',
          price: 1.5,
          size: 2,
          ts: '2026-01-01T00:00:00.000001Z',
          recvTs: '2026-01-01T00:00:00.000002Z',
        },
      ],
      next: null,
    })
  })

  test('a time in seconds, milliseconds or nanoseconds, and a plain date, mean what they say', async (t) => {
    const { url, store } = await startPlatform(t)
    const [midnight, day] = [1_767_225_600_000_000, 86_400_000_000]
    const ranges: readonly (readonly [from: string, to: string, expected: readonly [number, number]])[] = [
      ['1767225600', '1767225600.25', [midnight, midnight + 250_000]],
      ['1767225600001', '1767225600001002000', [midnight + 1000, midnight + 1002]],
      ['2026-01-01', '2026-01-01', [midnight, midnight + day - 1]],
      ['2026-01-01T01:00:00+01:00', '2026-01-01T00:00:00-00:30', [midnight, midnight + 1_800_000_000]],
    ]
    for (const [from, to, expected] of ranges) {
      const query = new URLSearchParams({ symbol: 'X', from, to })
      const answer = await call(`${url}/v1/trades?${String(query).replaceAll('%2B', '+')}`)
      assert.equal(answer.status, 200, answer.text)
      const asked = store.asked.at(-1) as { from: number; to: number }
      assert.deepEqual([asked.from, asked.to], expected, `${from} to ${to}`)
    }
  })

  test('candles have an interval and an origin', async (t) => {
    const { url, store } = await startPlatform(t)
    const answer = await call(`${url}/v1/candles?symbol=BTC-USD`)
    await call(`${url}/v1/candles?symbol=BTC-USD&interval=1h&origin=source`)
    assert.deepEqual(store.asked, [
      { symbol: 'BTC-USD', interval: '1m', origin: 'trades', limit: 1001 },
      { symbol: 'BTC-USD', interval: '1h', origin: 'source', limit: 1001 },
    ])
    const { candles } = answer.json() as { candles: Record<string, unknown>[] }
    assert.deepEqual([candles[0]?.['interval'], candles[0]?.['close']], ['1m', 2])
  })

  test('quotes are read as trades are, with null for what is absent', async (t) => {
    const { url, store } = await startPlatform(t)
    const answer = await call(`${url}/v1/quotes?symbol=btc-usd&order=desc&limit=2`)
    assert.equal(answer.status, 200, answer.text)
    assert.deepEqual(store.asked, [{ symbol: 'BTC-USD', order: 'desc', limit: 3 }])
    const [quote] = answer.json()['quotes'] as Record<string, unknown>[]
    assert.deepEqual([quote?.['bid'], quote?.['askSize'], quote?.['volume24h']], [1.5, null, null])
  })

  test('a page says where the next one is, in both directions, and a cursor is of one question', async (t) => {
    const { url, store } = await startPlatform(t)
    for (const order of ['asc', 'desc', undefined] as const) {
      const way = order === undefined ? '' : `&order=${order}`
      store.trades = async (query) => {
        store.asked.push(query)
        const ids = order === undefined ? ['7', '8'] : ['8', '7']
        const [ts, recvTs] = ['2026-01-01T00:00:00.000001Z', '2026-01-01T00:00:00.000002Z']
        const rest = { exchange: 'kraken', symbol: query.symbol, side: 'buy', price: 1.5, size: 2 }
        return ids.map((id) => ({ ...rest, id, ts, recvTs }))
      }
      const first = (await call(`${url}/v1/trades?symbol=X&limit=1${way}`)).json()
      assert.deepEqual(
        (first['trades'] as { id: string }[]).map(({ id }) => id),
        ['8'],
      )
      const next = String(first['next'])
      await call(`${url}/v1/trades?symbol=X&limit=1${way}&cursor=${next}`)
      const key = ['2026-01-01T00:00:00.000001Z', '8', '2026-01-01T00:00:00.000002Z', 'kraken', 1.5, 2, 'buy']
      const after = { key, given: 1 }
      assert.deepEqual(store.asked.at(-1), { symbol: 'X', limit: 2, after, ...(order && { order }) })
      for (const path of [
        `trades?symbol=Y&cursor=${next}`,
        `quotes?symbol=X&cursor=${next}`,
        `trades?symbol=X&cursor=${next}A`,
        'trades?symbol=X&cursor=',
      ])
        assertProblem(await call(`${url}/v1/${path}`), 'CURSOR_INVALID', path)
    }
  })

  test('refuse bad parameters by name', async (t) => {
    const { url, store } = await startPlatform(t)
    const bad = [
      ['trades', 'symbol', ''],
      ['trades', 'symbol', 'symbol='],
      ['trades', 'symbol', 'symbol=BTC-*'],
      ['trades', 'exchange', 'symbol=X&exchange=%27'],
      ['trades', 'from', 'symbol=X&from=yesterday'],
      ['trades', 'from', 'symbol=X&from=0'],
      ['trades', 'from', 'symbol=X&from=20260101'],
      ['trades', 'from', 'symbol=X&from=2026-02-30'],
      ['gaps', 'from', 'from=0000-12-31'],
      ['gaps', 'to', 'to=0001-01-01T00:00:00%2B01:00'],
      ['gaps', 'to', 'to=9999-12-31T23:59:59-01:00'],
      ['trades', 'to', 'symbol=X&to=99999999999999999'],
      ['trades', 'from', 'symbol=X&from=1767225602&to=1767225601'],
      ['trades', 'limit', 'symbol=X&limit=10001'],
      ['trades', 'limit', 'symbol=X&limit=1.5'],
      ['trades', 'symbols', 'symbol=X&symbols=Y'],
      ['trades', 'symbol', 'symbol=X&symbol=Y'],
      ['trades', '__proto__', 'symbol=X&__proto__=1'],
      ['trades', 'order', 'symbol=X&order=up'],
      ['quotes', 'interval', 'symbol=X&interval=1m'],
      ['candles', 'interval', 'symbol=X&interval=2m'],
      ['candles', 'origin', 'symbol=X&origin=me'],
    ] as const
    for (const [route, field, query] of bad) {
      const errors = assertProblem(await call(`${url}/v1/${route}?${query}`), 'INPUT_INVALID', query)
      assert.equal(errors[0]?.['field'], field, query)
      assert.ok(String(errors[0]?.['remedy']).length > 5, query)
    }
    assert.deepEqual(store.asked, [])
  })
})

describe('GET /v1/books/{exchange}/{symbol}', () => {
  test('gives the best levels of a book with its position, and never one in doubt', async (t) => {
    const { url, books } = await startPlatform(t)
    const levels = {
      bids: [
        [9, 1],
        [8, 2],
      ],
      asks: [
        [10, 3],
        [11, 4],
      ],
    } as const
    const book = {
      exchange: 'kraken',
      symbol: 'BTC-USD',
      snapshot: true,
      ...levels,
      seq: 7,
      ts: 1,
      recvTs: 2,
    }
    const position = { topic: 'market.books', partition: 2, offset: 1234 }
    books.known.set('kraken:BTC-USD', { book, position })
    books.known.set('kraken:ETH-USD', new TapelineError('BOOK_IN_DOUBT', 'checksum'))
    const answer = await call(`${url}/v1/books/Kraken/btc-usd?depth=1`)
    assert.deepEqual(answer.json(), {
      ...{ exchange: 'kraken', symbol: 'BTC-USD', bids: [[9, 1]], asks: [[10, 3]] },
      ...{ seq: 7, ts: 1, recvTs: 2, position: 'market.books:2:1234' },
    })
    assertProblem(await call(`${url}/v1/books/kraken/ETH-USD`), 'BOOK_IN_DOUBT')
    assertProblem(await call(`${url}/v1/books/kraken/XRP-USD`), 'BOOK_UNKNOWN')
    assertProblem(await call(`${url}/v1/books/kraken/BTC-USD?depth=0`), 'INPUT_INVALID')
  })
})

describe('GET /v1/markets', () => {
  test('gives the markets of a glob and an exchange', async (t) => {
    const { url, store } = await startPlatform(t)
    const answer = await call(`${url}/v1/markets?symbol=btc-*&exchange=Kraken`)
    assert.deepEqual(store.marketsAsked, [{ symbols: 'BTC-*', exchange: 'kraken', limit: 10_001 }])
    const [first, last] = ['2026-01-01T00:00:00.000001Z', '2026-02-01T00:00:00.000001Z']
    assert.deepEqual(answer.json(), {
      markets: [
        { exchange: 'kraken', symbol: 'BTC-USD', first, last, trades: 12_000, listing: null, read: null },
      ],
      counts: 'trades',
      next: null,
    })
    assertProblem(await call(`${url}/v1/markets?symbol=%27`), 'INPUT_INVALID')
  })

  test('says which of them a source is asked for, and passes on what is searched', async (t) => {
    const { url, store, desk } = await startPlatform(t)
    const since = '2026-03-01T00:00:00.000000Z'
    const names = { name: 'XBTUSD', base: 'BTC', quote: 'USD', tick: '0.1', lot: null }
    const listing = { ...names, status: 'trading' as const, since }
    const none = { first: null, last: null, trades: 0 }
    store.markets = async (query) => {
      store.marketsAsked.push(query)
      return ['BTC-USD', 'ETH-USD'].map((symbol) => ({ exchange: 'kraken', symbol, ...none, listing }))
    }
    desk.asked = new Set(['kraken:BTC-USD'])
    const answer = await call(`${url}/v1/markets?search=xbt&stored=false`)
    assert.deepEqual(store.marketsAsked, [{ search: 'xbt', stored: false, limit: 10_001 }])
    const { markets } = answer.json() as { markets: { read: boolean; listing: object }[] }
    assert.deepEqual(
      markets.map(({ read }) => read),
      [true, false],
    )
    assert.deepEqual(markets[0]?.listing, listing)
    assertProblem(await call(`${url}/v1/markets?stored=perhaps`), 'INPUT_INVALID')
  })

  test('gives all of them page by page', async (t) => {
    const { url, store } = await startPlatform(t)
    const [first, last] = ['2026-01-01T00:00:00.000001Z', '2026-02-01T00:00:00.000001Z']
    const all = Array.from({ length: 7 }, (_, i) => {
      return { exchange: 'kraken', symbol: `C${i}-USD`, first, last, trades: 1, listing: null }
    })
    store.markets = async ({ after, limit }) => {
      const begin = all.findIndex(({ symbol }) => symbol === after?.symbol) + 1
      return all.slice(begin, begin + limit)
    }
    const found: unknown[] = []
    let cursor: string | null = ''
    for (let page = 0; cursor !== null; page++) {
      assert.ok(page < 3)
      const answer = await call(`${url}/v1/markets?limit=3${cursor && `&cursor=${cursor}`}`)
      const { markets, next } = answer.json() as { markets: unknown[]; next: string | null }
      found.push(...markets)
      cursor = next
    }
    assert.deepEqual(
      found,
      all.map((market) => ({ ...market, read: null })),
    )
    for (const bad of ['x', Buffer.from('[1,"a"]').toString('base64url'), `${'A'.repeat(2_000)}`])
      assertProblem(await call(`${url}/v1/markets?cursor=${bad}`), 'CURSOR_INVALID', bad)
  })
})

describe('POST /v1/sql', () => {
  test('gives columns and rows', async (t) => {
    const { url, store } = await startPlatform(t)
    const answer = await post(`${url}/v1/sql`, { sql: 'select n' })
    assert.deepEqual(answer.json(), { columns: ['n'], rows: [{ n: '9007199254740993' }] })
    assert.deepEqual(store.asked, ['select n'])
  })

  test('passes on what the database says, and refuses bad bodies', async (t) => {
    const { url, store } = await startPlatform(t)
    for (const code of [
      'SQL_INVALID',
      'SQL_READ_ONLY',
      'SQL_TOO_LARGE',
      'TIMEOUT',
      'STORE_UNAVAILABLE',
    ] as const) {
      store.onQuery = async () => {
        throw new TapelineError(code, 'at position 7')
      }
      const answer = await post(`${url}/v1/sql`, { sql: 'select' })
      assertProblem(answer, code)
      assert.equal(answer.json()['detail'], 'at position 7')
    }
    for (const body of [
      '',
      {},
      { sql: 7 },
      { sql: '' },
      { sql: 'x'.repeat(20_001) },
      [],
      { sql: 'x', args: [] },
    ]) {
      assert.ok(assertProblem(await post(`${url}/v1/sql`, body), 'INPUT_INVALID').length > 0)
    }
  })
})

describe('operations', () => {
  test('GET /v1/actors lists every actor; POST reset sends RESET', async (t) => {
    const { url, actors } = await startPlatform(t)
    assert.deepEqual((await call(`${url}/v1/actors`)).json(), { actors: actors.reports })
    const answer = await call(`${url}/v1/actors/producer-0/reset`, { method: 'POST' })
    assert.deepEqual([answer.status, answer.json()], [202, { id: 'producer-0', event: 'RESET' }])
    assert.deepEqual(actors.resets, ['producer-0'])
    assertProblem(await call(`${url}/v1/actors/nobody/reset`, { method: 'POST' }), 'ACTOR_UNKNOWN')
    const withHeader = await post(`${url}/v1/actors/producer-0/reset`, '')
    assert.equal(withHeader.status, 202)
  })

  test('GET /v1/alerts lists what lasts', async (t) => {
    const { url, alerts } = await startPlatform(t)
    alerts.push({
      id: 'producer-0',
      instance: 'here',
      code: 'SOURCE_STALE',
      message: 'silent',
      since: '2026-01-01T00:00:00.000Z',
    })
    assert.deepEqual((await call(`${url}/v1/alerts`)).json(), { alerts })
  })

  test('GET /healthz says alive; GET /readyz 200 only when everything runs', async (t) => {
    const { url, checks } = await startPlatform(t)
    assert.deepEqual((await call(`${url}/healthz`)).json(), { status: 'alive', version: '1.2.3<b>' })
    const ready = await call(`${url}/readyz`)
    assert.deepEqual([ready.status, ready.json()], [200, { ready: true, checks }])
    checks.push({ name: 'store', ok: false, detail: 'migrating' })
    const unready = await call(`${url}/readyz`)
    assert.deepEqual([unready.status, unready.json()], [503, { ready: false, checks }])
    assert.equal((await call(`${url}/healthz`)).status, 200)
  })

  test('GET /metrics is Prometheus text and measures requests by route, never by address', async (t) => {
    const { url, logged } = await startPlatform(t)
    await call(`${url}/v1/streams/one?key=geheim`)
    const answer = await call(`${url}/metrics`)
    assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
    assert.match(
      answer.text,
      /^tapeline_http_request_seconds_count\{method="GET",route="\/v1\/streams\/:id",status="404"\} 1$/m,
    )
    assert.match(answer.text, /^tapeline_sockets /m)
    assert.ok(!`${answer.text}${logged.join('')}`.includes('geheim'))
  })
})

describe('what is nowhere', () => {
  test('unknown addresses are NOT_FOUND, without the query', async (t) => {
    const { url } = await startPlatform(t)
    for (const path of ['/nothing?key=geheim', '/v1', '/v1/stream', '/v1/streams/a/b', '/docs/x']) {
      const answer = await call(url + path)
      assertProblem(answer, 'NOT_FOUND', path)
      assert.ok(!answer.text.includes('geheim'))
    }
    assertProblem(
      await post(`${url}/nothing`, 'x'.repeat(100), { 'content-type': 'text/plain' }),
      'NOT_FOUND',
    )
  })

  test('other methods are METHOD_NOT_ALLOWED with the header allow', async (t) => {
    const { url } = await startPlatform(t)
    const cases = [
      ['PUT', '/v1/streams', 'POST, GET, HEAD'],
      ['POST', '/v1/streams/s1', 'GET, HEAD, PATCH, DELETE'],
      ['DELETE', '/v1/trades', 'GET, HEAD'],
      ['GET', '/v1/sql', 'POST'],
      ['OPTIONS', '/v1/streams', 'POST, GET, HEAD'],
      ['PATCH', '/', 'GET, HEAD'],
    ] as const
    for (const [method, path, allow] of cases) {
      const answer = await call(url + path, { method })
      assertProblem(answer, 'METHOD_NOT_ALLOWED', `${method} ${path}`)
      assert.deepEqual(
        String(answer.headers['allow']).split(', ').sort(),
        allow.split(', ').sort(),
        `${method} ${path}`,
      )
    }
    assert.equal((await call(`${url}/v1/streams`, { method: 'HEAD' })).status, 200)
  })

  test('addresses that cannot be decoded, and too long parameters', async (t) => {
    const { url } = await startPlatform(t)
    assertProblem(await call(`${url}/v1/streams/%zz`), 'INPUT_INVALID')
    assertProblem(await call(`${url}/v1/streams/${'x'.repeat(5000)}`), 'INPUT_INVALID')
  })
})
