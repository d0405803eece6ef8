import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openSource } from '../../../src/adapters/source/feed/open-source.ts'
import { SOURCES } from '../../../src/adapters/source/index.ts'
import type { Candle } from '../../../src/domain/events.ts'
import { Service } from './service.ts'
import { recordingLog } from './waiting.ts'

const MINUTE = 60_000
const NOW = 1_790_000_040_000 - (1_790_000_040_000 % MINUTE) + 10_000
const BEGIN = NOW - 10_000 - 700 * MINUTE
/** One row cannot be: its highest price is below its lowest. */
const BROKEN = 20

interface Wire {
  readonly path: string
  /** The range that a question asks for, in milliseconds, ends included. */
  readonly asked: (query: URLSearchParams) => readonly [from: number, to: number]
  readonly most: number
  readonly row: (ts: number, high: string) => readonly unknown[]
  readonly answer: (rows: readonly unknown[]) => unknown
}

const okxRow = (ts: number, high: string) => [String(ts), '10', high, '9', '11', '2.5', '25', '25', '1']
const WIRES = {
  binance: {
    path: '/api/v3/klines',
    asked: (query) => [Number(query.get('startTime')), Number(query.get('endTime'))],
    most: 1_000,
    row: (ts, high) => [ts, '10', high, '9', '11', '2.5', ts + MINUTE - 1, '25', 7, '1', '10', '0'],
    answer: (rows) => rows,
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
      const market = { exchange: name, symbol: 'BTC-USD' }
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

  test('kraken says how far it does not reach back', async (t) => {
    const service = await Service.start(t, {
      rest: () => ({ body: { error: [], result: { XXBTZUSD: [], last: 0 } } }),
    })
    const settings = { url: service.url, restUrl: service.restUrl, channels: ['trade'] as const }
    const source = await openSource(SOURCES.kraken, {
      settings,
      log: recordingLog(),
      now: () => NOW * 1_000,
    })
    t.after(() => source.close())
    const market = { exchange: 'kraken', symbol: 'BTC-USD' }
    const range = { from: (NOW - 10_000 - 2_000 * MINUTE) * 1_000, to: NOW * 1_000 }
    const reached: number[] = []
    for await (const { since } of source.history?.(market, range, t.signal, 'candle') ?? [])
      reached.push(since)
    assert.deepEqual(reached, [(NOW - 10_000 - 718 * MINUTE) * 1_000])
  })

  test('a source that has past trades alone gives no candles', async (t) => {
    const service = await Service.start(t)
    const settings = { url: service.url, restUrl: service.restUrl, channels: ['trade'] as const }
    const source = await openSource(SOURCES.bitstamp, {
      settings,
      log: recordingLog(),
      now: () => NOW * 1_000,
    })
    t.after(() => source.close())
    const asked = [{ exchange: 'bitstamp', symbol: 'BTC-USD' }, { from: 0, to: 1 }, t.signal] as const
    assert.equal(source.history?.(...asked, 'candle'), undefined)
    assert.notEqual(source.history?.(...asked), undefined)
    assert.equal(service.calls.length, 0)
  })
})
