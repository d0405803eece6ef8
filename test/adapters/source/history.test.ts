import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { openSource } from '../../../src/adapters/source/feed/open-source.ts'
import { SOURCES, type SourceName } from '../../../src/adapters/source/index.ts'
import type { Trade } from '../../../src/domain/events.ts'
import { isSameTime } from '../../../src/domain/trade-identity.ts'
import type { Log } from '../../../src/ports/log.ts'
import { quietLog } from '../../quiet.ts'
import { answerPast, PASTS, type PastTrade, pastId } from './past.ts'
import { Service } from './service.ts'
import { recordingLog } from './waiting.ts'

const NEVER = new AbortController().signal
const MINUTE = 60_000_000
const names = PASTS

/** Trades until now, three at a time in one millisecond, one millisecond after another. */
function pastUntil(nowMicros: number, count: number, everyMicros: number): readonly PastTrade[] {
  const begin = nowMicros - (nowMicros % 1_000_000) - count * everyMicros
  return Array.from({ length: count }, (_, i) => ({
    ...{ id: 5_000 + i, side: i % 2 === 0 ? 'buy' : 'sell', price: 100 + (i % 7), size: 1 + (i % 3) },
    ts: begin + Math.floor(i / 3) * 3 * everyMicros + (i % 3),
  }))
}

async function open(t: TestContext, name: SourceName, trades: readonly PastTrade[], log: Log = quietLog) {
  const service = await Service.start(t, { rest: (url) => answerPast(name, url, trades) })
  const settings = { url: service.url, restUrl: service.restUrl, channels: ['trade'] as const }
  const now = (): number => Date.now() * 1_000
  const source = await openSource(SOURCES[name], { settings, log, now })
  t.after(() => source.close())
  return { source, service }
}

/** A source whose REST answers this text to everything. */
async function openRest(
  t: TestContext,
  name: SourceName,
  body: string | ((url: URL) => string),
  now = () => 1_790_000_100_000_000,
) {
  const service = await Service.start(t, {
    rest: (url) => ({ body: typeof body === 'string' ? body : body(url) }),
  })
  const settings = { url: service.url, restUrl: service.restUrl, channels: ['trade'] as const }
  const source = await openSource(SOURCES[name], { settings, log: quietLog, now })
  t.after(() => source.close())
  return { source, service }
}

async function read(source: Awaited<ReturnType<typeof open>>['source'], range: { from: number; to: number }) {
  const pages = source.history?.({ exchange: source.name, symbol: 'BTC-USD' }, range, NEVER)
  assert.ok(pages, 'it has a history')
  const trades: Trade[] = []
  let since = -1
  for await (const page of pages) {
    for (const { channel, event } of page.events) if (channel === 'trade') trades.push(event)
    since = page.since
  }
  return { trades, since }
}

const same = (name: string, found: readonly Trade[], wanted: readonly PastTrade[]) => {
  assert.deepEqual(
    found.map(({ id, side, price, size }) => ({ id, side, price, size })),
    wanted.map((trade) => ({
      id: pastId(name, trade),
      side: trade.side,
      price: trade.price,
      size: trade.size,
    })),
  )
  for (const [i, { ts }] of found.entries()) assert.ok(isSameTime(ts, wanted[i]?.ts ?? -1))
}

describe('past trades of an exchange', () => {
  for (const name of names) {
    test(`${name} gives those of a time, the oldest first and each once`, async (t) => {
      const trades = pastUntil(Date.now() * 1_000, 50, 200_000)
      const { source, service } = await open(t, name, trades)
      const [from, to] = [trades[12]?.ts ?? 0, trades[35]?.ts ?? 0]
      const found = await read(source, { from, to })
      const isWhole = name !== 'bitstamp'
      if (isWhole) same(name, found.trades, trades.slice(12, 36))
      // Its times are whole seconds, so that it gives those of the first second too.
      else
        for (const { id } of trades.slice(12, 36))
          assert.ok(found.trades.some((trade) => trade.id === String(id)))
      assert.equal(found.since, from)
      assert.ok(service.calls.length <= 20, `${service.calls.length} questions`)
    })

    test(`${name} has nothing of a time without trades`, async (t) => {
      const trades = pastUntil(Date.now() * 1_000 - 10 * MINUTE, 20, 200_000)
      const { source } = await open(t, name, trades)
      const to = Date.now() * 1_000
      assert.deepEqual((await read(source, { from: to - MINUTE, to })).trades, [])
    })
  }

  for (const name of names.filter((each) => !['bybit', 'bitstamp', 'bitfinex'].includes(each))) {
    test(`${name} gives more than one answer has`, async (t) => {
      const trades = pastUntil(Date.now() * 1_000, 2_600, 20_000)
      const { source } = await open(t, name, trades)
      const [from, to] = [trades[60]?.ts ?? 0, trades[name === 'okx' ? 299 : 2_459]?.ts ?? 0]
      const wanted = trades.filter(({ ts }) => ts >= from && ts <= to)
      const found = await read(source, { from, to })
      same(name, found.trades, wanted)
      assert.equal(found.since, from)
    })
  }

  for (const name of names)
    test(`${name}: a row that cannot be read is counted and shown, and costs the others nothing`, async (t) => {
      const log = recordingLog()
      const trades = pastUntil(Date.now() * 1_000, 50, 200_000).map((trade, i) =>
        i === 20 ? { ...trade, price: Number.NaN } : trade,
      )
      const { source } = await open(t, name, trades, log)
      const found = await read(source, { from: trades[12]?.ts ?? 0, to: trades[35]?.ts ?? 0 })
      const ids = new Set(found.trades.map(({ id }) => id))
      for (const [i, trade] of trades.slice(12, 36).entries())
        assert.equal(ids.has(pastId(name, trade)), i !== 8, `${i}`)
      assert.equal(source.health().counters.malformed, 1)
      const [line] = log.lines.filter(({ fields }) => 'sample' in fields)
      assert.match(line?.message ?? '', /a past trade that cannot be read/)
      assert.match(JSON.stringify(line?.fields), /SOURCE_MALFORMED.*(NaN|null)/)
    })

  test('gemini: a trade that was broken off, and one whose time cannot be read, end no answer early', async (t) => {
    const at = Date.now() - 60_000
    const rows = Array.from({ length: 1_100 }, (_, i) => ({
      ...{ tid: i + 1, timestampms: i === 499 ? 'late' : at + i, price: '100', amount: '1', type: 'buy' },
      broken: i === 40,
    }))
    const { source } = await openRest(
      t,
      'gemini',
      ({ searchParams: asked }) =>
        JSON.stringify(
          rows
            .filter(({ tid }) => tid > Number(asked.get('since_tid') ?? 0))
            .slice(0, Number(asked.get('limit_trades')))
            .toReversed(),
        ),
      () => Date.now() * 1_000,
    )
    const { trades, since } = await read(source, { from: at * 1_000, to: Date.now() * 1_000 })
    assert.equal(trades.length, 1_098)
    assert.equal(since, at * 1_000)
    assert.equal(source.health().counters.malformed, 1)
  })

  test('bitfinex goes on from the last time that it can read, and kraken says that it cannot go on', async (t) => {
    const at = 1_790_000_000_000
    const rows = Array.from({ length: 10_400 }, (_, i) => [i + 1, i === 9_999 ? null : at + i, 1, 100])
    const bitfinex = await openRest(t, 'bitfinex', ({ searchParams: asked }) =>
      JSON.stringify(
        rows
          .filter(([, ts]) => ts === null || Number(ts) >= Number(asked.get('start')))
          .slice(0, Number(asked.get('limit'))),
      ),
    )
    const range = { from: at * 1_000, to: at * 1_000 + 20_000_000 }
    assert.equal((await read(bitfinex.source, range)).trades.length, 10_399)
    assert.equal(bitfinex.source.health().counters.malformed, 1)
    const many = Array.from({ length: 1_000 }, (_, i) => ['100', '1', at / 1_000, 'b', 'l', '', i + 1])
    const body = { error: [], result: { XBTUSD: many, last: 'soon' } }
    const kraken = await openRest(t, 'kraken', JSON.stringify(body))
    await assert.rejects(read(kraken.source, range), { code: 'SOURCE_UNAVAILABLE' })
  })

  test('bybit: an oldest row that cannot be read is not the beginning of time', async (t) => {
    const row = (i: number) => ({
      ...{ execId: String(i), price: '100', size: '1', side: 'Buy' },
      time: i === 0 ? '' : String(1_790_000_000_000 + i),
    })
    const list = Array.from({ length: 60 }, (_, i) => row(59 - i))
    const { source } = await openRest(t, 'bybit', JSON.stringify({ retCode: 0, result: { list } }))
    const found = await read(source, { from: 1_789_000_000_000_000, to: 1_790_000_060_000_000 })
    assert.equal(found.since, 1_790_000_000_002_000)
  })

  for (const [name, body] of [
    ['binance', [{ f: 'first', id: 'none' }]],
    ['coinbase', [{ trade_id: 7, time: 'never' }]],
  ] as const)
    test(`${name}: an answer that cannot be read is no answer that there was nothing`, async (t) => {
      const { source } = await openRest(t, name, JSON.stringify(body))
      const range = { from: 1_790_000_000_000_000, to: 1_790_000_060_000_000 }
      await assert.rejects(read(source, range), { code: 'SOURCE_UNAVAILABLE' })
    })

  test('bybit and bitstamp say since when they leave nothing out', async (t) => {
    const trades = pastUntil(Date.now() * 1_000, 400, 200_000)
    const bybit = await open(t, 'bybit', trades)
    const range = { from: trades[0]?.ts ?? 0, to: Date.now() * 1_000 }
    const found = await read(bybit.source, range)
    assert.ok(found.since > (trades.at(-61)?.ts ?? 0) && found.since <= (trades.at(-57)?.ts ?? 0))
    const bitstamp = await open(t, 'bitstamp', trades)
    const days = { ...range, from: range.from - 2 * 86_400_000_000 }
    assert.ok((await read(bitstamp.source, days)).since > days.from + 86_000_000_000)
  })

  test('kraken cuts the nanoseconds of its times as its WebSocket does', async (t) => {
    // A double of so many seconds has fewer digits.
    const times = ['1790000000.123456789', '1790000000.654320999', '1790000001.5', '1790000002']
    const rows = times.map((time, i) => `["100.5","0.25",${time},"b","l","",${i + 1}]`)
    const { source } = await openRest(t, 'kraken', `{"error":[],"result":{"XBTUSD":[${rows}],"last":"0"}}`)
    const { trades } = await read(source, { from: 1_790_000_000_000_000, to: 1_790_000_010_000_000 })
    assert.deepEqual(
      trades.map(({ ts }) => ts),
      [1_790_000_000_123_456, 1_790_000_000_654_320, 1_790_000_001_500_000, 1_790_000_002_000_000],
    )
  })

  test('okx sums what it folds with all digits', async (t) => {
    const fill = (tradeId: number, sz: string) => ({
      instId: 'BTC-USDT',
      tradeId: String(tradeId),
      px: '0.00002',
      sz,
      side: 'buy',
      ts: '1790000000123',
    })
    const data = [fill(12, '0.0625'), fill(11, '1234567890.125'), fill(10, '0.00005')]
    const { source } = await openRest(t, 'okx', (url) => {
      const isById = url.searchParams.get('type') === '1'
      const before = { ...fill(9, '1'), ts: '1700000000000' }
      const isFirst = Number(url.searchParams.get('after')) < 1_790_000_000_124
      return JSON.stringify({ code: '0', data: isById ? data : [isFirst ? before : data[0]] })
    })
    const { trades } = await read(source, { from: 1_790_000_000_000_000, to: 1_790_000_001_000_000 })
    assert.deepEqual(
      trades.map(({ id, size }) => [id, size]),
      [['12', 1234567890.18755]],
    )
  })

  test('what a service refuses has its code, and one that limits is left alone', async (t) => {
    let status = 429
    const service = await Service.start(t, {
      rest: () => ({ status, headers: { 'retry-after': '30' }, body: { message: 'slow down' } }),
    })
    const settings = { url: service.url, restUrl: service.restUrl, channels: ['trade'] as const }
    const options = { settings, log: quietLog, now: () => Date.now() * 1_000 }
    const range = { from: 1, to: Date.now() * 1_000 }
    const limited = await openSource(SOURCES.coinbase, options)
    t.after(() => limited.close())
    await assert.rejects(read(limited, range), { code: 'SOURCE_RATE_LIMITED', message: /slow down/ })
    await assert.rejects(read(limited, range), { code: 'SOURCE_RATE_LIMITED' })
    assert.equal(service.calls.length, 1)
    status = 404
    const unknown = await openSource(SOURCES.coinbase, options)
    t.after(() => unknown.close())
    await assert.rejects(read(unknown, range), { code: 'MARKET_UNKNOWN' })
    status = 503
    await assert.rejects(read(unknown, range), { code: 'SOURCE_UNAVAILABLE' })
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    const pages = unknown.history?.({ exchange: 'coinbase', symbol: 'BTC-USD' }, range, stop.signal)
    await assert.rejects(async () => {
      for await (const _ of pages ?? []) assert.fail('nothing comes')
    }, /enough/)
  })

  for (const [name, body] of [
    ['kraken', { error: ['EQuery:Unknown asset pair'] }],
    ['bybit', { retCode: 10001, retMsg: 'params error: symbol invalid', result: {} }],
    ['okx', { code: '51001', msg: "Instrument ID doesn't exist", data: undefined }],
  ] as const)
    test(`${name} says in the words of an answer that it does not have a market`, async (t) => {
      const service = await Service.start(t, { rest: () => ({ status: 200, headers: {}, body }) })
      const settings = { url: service.url, restUrl: service.restUrl, channels: ['trade'] as const }
      const options = { settings, log: quietLog, now: () => Date.now() * 1_000 }
      const source = await openSource(SOURCES[name], options)
      t.after(() => source.close())
      const pages = source.history?.({ exchange: name, symbol: 'XYZ-USD' }, { from: 1, to: 2 }, t.signal)
      await assert.rejects(
        async () => {
          for await (const _ of pages ?? []) assert.fail('nothing comes')
        },
        { code: 'MARKET_UNKNOWN' },
      )
    })

  test('a source on another server than its own asks nobody else, and other markets have no history', async (t) => {
    const { source } = await open(t, 'kraken', [])
    assert.equal(
      source.history?.({ exchange: 'binance', symbol: 'BTC-USD' }, { from: 0, to: 1 }, NEVER),
      undefined,
    )
    const settings = { url: 'ws://127.0.0.1:1', channels: ['trade'] as const }
    const apart = await openSource(SOURCES.kraken, { settings, log: quietLog, now: () => 0 })
    t.after(() => apart.close())
    assert.equal(apart.history, undefined)
  })
})
