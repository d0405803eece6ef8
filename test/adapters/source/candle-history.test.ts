import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { openSource } from '../../../src/adapters/source/feed/open-source.ts'
import { SOURCES } from '../../../src/adapters/source/index.ts'
import type { Candle } from '../../../src/domain/events.ts'
import type { PastEvent, Source } from '../../../src/ports/source.ts'
import { type RestAnswer, Service } from './service.ts'
import { recordingLog } from './waiting.ts'

const MINUTE = 60_000
const NOW = 1_790_000_040_000 - (1_790_000_040_000 % MINUTE) + 10_000
const BEGIN = NOW - 10_000 - 700 * MINUTE
/** One row cannot be: its highest price is below its lowest. */
const BROKEN = 20

interface Wire {
  /** The exchange of the market, where it has another name than the source. */
  readonly exchange?: string
  readonly path: string
  /** The range that a question asks for, in milliseconds, ends included. */
  readonly asked: (query: URLSearchParams) => readonly [from: number, to: number]
  readonly most: number
  readonly row: (ts: number, high: string) => object
  readonly answer: (rows: readonly unknown[]) => unknown
}

/** An answer of CryptoCompare. */
function histominute(rows: readonly unknown[]) {
  const envelope = { Response: 'Success', Message: '', HasWarning: false, Type: 100, RateLimit: {} }
  return { ...envelope, Data: { Aggregated: false, TimeFrom: 0, TimeTo: 0, Data: rows } }
}

const okxRow = (ts: number, high: string) => [String(ts), '10', high, '9', '11', '2.5', '25', '25', '1']
/** All that there is: it heeds no times. */
const everything = (): readonly [number, number] => [0, NOW]
const untilOf = (query: URLSearchParams, end: string, minutes: number): readonly [number, number] => {
  const last = Number(query.get(end)) * 1_000
  return [last - (last % MINUTE) - (minutes - 1) * MINUTE, last]
}
const WIRES = {
  binance: {
    path: '/api/v3/klines',
    asked: (query) => [Number(query.get('startTime')), Number(query.get('endTime'))],
    most: 1_000,
    row: (ts, high) => [ts, '10', high, '9', '11', '2.5', ts + MINUTE - 1, '25', 7, '1', '10', '0'],
    answer: (rows) => rows,
  },
  bitfinex: {
    path: '/candles/trade:1m:tBTCUSD/hist',
    asked: (query) => {
      assert.equal(query.get('sort'), '1')
      return [Number(query.get('start')), Number(query.get('end'))]
    },
    most: 10_000,
    row: (ts, high) => [ts, 10, 11, Number(high), 9, 2.5],
    answer: (rows) => rows,
  },
  bitstamp: {
    path: '/ohlc/btcusd/',
    asked: (query) => {
      assert.deepEqual([query.get('step'), query.get('start')], ['60', null])
      return untilOf(query, 'end', Number(query.get('limit')))
    },
    most: 1_000,
    row: (ts, high) => ({
      ...{ timestamp: String(ts / 1_000), open: '10', high, low: '9', close: '11', volume: '2.5' },
    }),
    answer: (rows) => ({ data: { pair: 'BTC/USD', ohlc: rows } }),
  },
  bybit: {
    path: '/v5/market/kline',
    asked: (query) => [Number(query.get('start')), Number(query.get('end'))],
    most: 1_000,
    row: (ts, high) => okxRow(ts, high).slice(0, 7),
    answer: (rows) => ({ retCode: 0, retMsg: 'OK', result: { category: 'spot', list: rows.toReversed() } }),
  },
  coinbase: {
    path: '/products/BTC-USD/candles',
    asked: (query) => [Date.parse(query.get('start') ?? ''), Date.parse(query.get('end') ?? '')],
    most: 300,
    row: (ts, high) => [ts / 1_000, 9, Number(high), 10, 11, 2.5],
    answer: (rows) => rows.toReversed(),
  },
  cryptocompare: {
    exchange: 'coinbase',
    path: '/data/v2/histominute',
    asked: (query) => {
      const names = ['fsym', 'tsym', 'e'].map((name) => query.get(name))
      assert.deepEqual(names, ['BTC', 'USD', 'Coinbase'])
      return untilOf(query, 'toTs', Number(query.get('limit')) + 1)
    },
    most: 2_001,
    row: (ts, high) => ({
      ...{ time: ts / 1_000, high: Number(high), low: 9, open: 10, volumefrom: 2.5, volumeto: 25, close: 11 },
      ...{ conversionType: 'direct', conversionSymbol: '' },
    }),
    answer: histominute,
  },
  gemini: {
    path: '/v2/candles/btcusd/1m',
    asked: everything,
    most: 1_440,
    row: (ts, high) => [ts, 10, Number(high), 9, 11, 2.5],
    answer: (rows) => rows.toReversed(),
  },
  kraken: {
    path: '/OHLC',
    asked: () => [NOW - 10_000 - 719 * MINUTE, NOW],
    most: 720,
    row: (ts, high) => [ts / 1_000, '10', high, '9', '11', '10.5', '2.5', 7],
    answer: (rows) => ({ error: [], result: { XXBTZUSD: rows, last: NOW } }),
  },
  okx: {
    path: '/api/v5/market/history-candles',
    asked: (query) => [Number(query.get('before')) + 1, Number(query.get('after')) - 1],
    most: 100,
    row: okxRow,
    answer: (rows) => ({ code: '0', msg: '', data: rows.toReversed() }),
  },
} as const satisfies Record<string, Wire>

describe('past candles of an exchange', () => {
  for (const [name, wire] of Object.entries(WIRES) as [keyof typeof WIRES, Wire][])
    test(`${name} gives the closed minutes of a time, the oldest first and each once`, async (t) => {
      const service = await Service.start(t, {
        rest: ({ pathname, searchParams }) => {
          assert.ok(pathname.endsWith(wire.path), pathname)
          const [from, to] = wire.asked(searchParams)
          const rows = Array.from({ length: 701 }, (_, i) => [BEGIN + i * MINUTE, i] as const)
            .filter(([ts]) => ts >= from && ts <= to)
            .map(([ts, i]) => wire.row(ts, i === BROKEN ? '8' : '12'))
          assert.ok(rows.length <= wire.most, `${rows.length} rows`)
          return { body: wire.answer(rows) }
        },
      })
      const log = recordingLog()
      const settings = { url: service.url, restUrl: service.restUrl, channels: ['trade'] as const }
      const source = await openSource(SOURCES[name], { settings, log, now: () => NOW * 1_000 })
      t.after(() => source.close())
      const market = { exchange: wire.exchange ?? name, symbol: 'BTC-USD' }
      const range = { from: (BEGIN + 10 * MINUTE) * 1_000, to: NOW * 1_000 }
      const found: Candle[] = []
      for await (const { events } of source.history?.(market, range, t.signal, 'candle') ?? [])
        for (const { channel, event } of events) if (channel === 'candle') found.push(event)
      // The last whole minute is not settled yet.
      const wanted = Array.from({ length: 689 }, (_, i) => i + 10).filter((i) => i !== BROKEN)
      assert.deepEqual(
        found.map(({ ts }) => ts),
        wanted.map((i) => (BEGIN + i * MINUTE) * 1_000),
      )
      const prices = {
        open: 10,
        high: 12,
        low: 9,
        close: 11,
        volume: 2.5,
        ...(['binance', 'kraken'].includes(name) && { trades: 7 }),
      }
      const rest = { interval: '1m', ts: range.from, closed: true, origin: 'source' }
      assert.deepEqual(found[0], { ...market, ...prices, ...rest })
      assert.equal(source.health().counters.malformed, 1)
      assert.equal(log.lines.filter(({ fields }) => 'sample' in fields).length, 1)
    })

  /** A source whose service answers this to everything, and the ways in which it was asked. */
  async function openAnswering(t: TestContext, name: keyof typeof SOURCES, rest: (url: URL) => RestAnswer) {
    const service = await Service.start(t, { rest })
    const settings = { url: service.url, restUrl: service.restUrl, channels: ['trade'] as const }
    const source = await openSource(SOURCES[name], { settings, log: recordingLog(), now: () => NOW * 1_000 })
    t.after(() => source.close())
    return { service, source }
  }

  async function read(source: Source, exchange: string, fromMs: number, signal: AbortSignal) {
    const asked = [
      { exchange, symbol: 'BTC-USD' },
      { from: fromMs * 1_000, to: NOW * 1_000 },
    ] as const
    const found: PastEvent[] = []
    let reached = -1
    for await (const { events, since } of source.history?.(...asked, signal, 'candle') ?? []) {
      found.push(...events)
      reached = since
    }
    return { count: found.length, since: reached }
  }

  test('kraken says how far it does not reach back', async (t) => {
    const { source } = await openAnswering(t, 'kraken', () => ({
      body: { error: [], result: { XXBTZUSD: [], last: 0 } },
    }))
    const { since } = await read(source, 'kraken', NOW - 10_000 - 2_000 * MINUTE, t.signal)
    assert.equal(since, (NOW - 10_000 - 718 * MINUTE) * 1_000)
  })

  test('gemini says how far it does not reach back: its answer begins there', async (t) => {
    const first = NOW - 10_000 - 1_439 * MINUTE
    const rows = Array.from({ length: 1_440 }, (_, i) => WIRES.gemini.row(first + i * MINUTE, '12'))
    const { source, service } = await openAnswering(t, 'gemini', () => ({ body: rows.toReversed() }))
    const early = await read(source, 'gemini', first - 3_000 * MINUTE, t.signal)
    assert.deepEqual(early, { count: 1_438, since: first * 1_000 })
    assert.equal(service.calls.length, 1)
    const late = await read(source, 'gemini', first + 5 * MINUTE, t.signal)
    assert.deepEqual(late, { count: 1_433, since: (first + 5 * MINUTE) * 1_000 })
    const nothing = await openAnswering(t, 'gemini', () => ({ body: [] }))
    const { since } = await read(nothing.source, 'gemini', first, t.signal)
    assert.ok(since > (NOW - 3 * MINUTE) * 1_000, 'nothing is there')
  })

  test('cryptocompare begins where its rows have prices', async (t) => {
    const { cryptocompare: wire } = WIRES
    const first = NOW - 10_000 - 3_000 * MINUTE
    const { source, service } = await openAnswering(t, 'cryptocompare', ({ searchParams }) => {
      const [from, to] = wire.asked(searchParams)
      const rows = Array.from({ length: (to - from) / MINUTE + 1 }, (_, i) => from + i * MINUTE)
      const zero = { open: 0, high: 0, low: 0, close: 0, volumefrom: 0, volumeto: 0 }
      return {
        body: histominute(
          rows.map((ts) => ({ ...wire.row(ts, '12'), ...(ts < first && zero), time: ts / 1_000 })),
        ),
      }
    })
    const found = await read(source, 'coinbase', first - 4_500 * MINUTE, t.signal)
    assert.deepEqual(found, { count: 2_999, since: first * 1_000 })
    assert.equal(source.health().counters.malformed, 0)
    assert.equal(service.calls.length, 4)
    for (const { headers } of service.calls) assert.equal(headers.authorization, undefined)
  })

  const refusal = (Message: string, Type: number) => ({ Response: 'Error', Message, Type, Data: {} })
  for (const [name, exchange, body, code] of [
    ['bitfinex', 'bitfinex', ['error', 10020, 'symbol: invalid'], 'MARKET_UNKNOWN'],
    ['bitstamp', 'bitstamp', { code: '404.001', reason: 'nothing of it' }, 'SOURCE_UNAVAILABLE'],
    [
      'gemini',
      'gemini',
      { result: 'error', message: "Supplied value 'x' is no symbol" },
      'SOURCE_UNAVAILABLE',
    ],
    [
      'cryptocompare',
      'kraken',
      refusal('market does not exist for this coin pair (BTC-USD)', 1),
      'MARKET_UNKNOWN',
    ],
    ['cryptocompare', 'kraken', refusal('You are over your rate limit', 99), 'SOURCE_RATE_LIMITED'],
  ] as const)
    test(`${name} raises ${code} where it answers ${JSON.stringify(body)}`, async (t) => {
      const { source } = await openAnswering(t, name, () => ({ body }))
      await assert.rejects(read(source, exchange, BEGIN, t.signal), { code })
    })

  test('a source that has past candles alone gives no trades', async (t) => {
    const { source, service } = await openAnswering(t, 'cryptocompare', () => ({ status: 500, body: {} }))
    const asked = [{ exchange: 'coinbase', symbol: 'BTC-USD' }, { from: 0, to: 1 }, t.signal] as const
    assert.equal(source.history?.(...asked), undefined)
    assert.notEqual(source.history?.(...asked, 'candle'), undefined)
    assert.equal(service.calls.length, 0)
  })
})
