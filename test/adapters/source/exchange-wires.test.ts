import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { describe, type TestContext, test } from 'node:test'
import { binance } from '../../../src/adapters/source/binance/source.ts'
import { bitfinex } from '../../../src/adapters/source/bitfinex/source.ts'
import { bitstamp } from '../../../src/adapters/source/bitstamp/source.ts'
import { bybit } from '../../../src/adapters/source/bybit/source.ts'
import type { SourceKind } from '../../../src/adapters/source/feed/source-kind.ts'
import { gemini } from '../../../src/adapters/source/gemini/source.ts'
import { kraken } from '../../../src/adapters/source/kraken/source.ts'
import { okx } from '../../../src/adapters/source/okx/source.ts'
import type { SourceItem } from '../../../src/ports/source.ts'
import { capture } from './captures.ts'
import { openOn } from './opened.ts'
import { Service, sendFrame } from './service.ts'
import { eventsOf, pull, until } from './waiting.ts'

/** What a source makes of frames, sent in this order once it has asked `requests` times. */
async function read(
  t: TestContext,
  kind: SourceKind,
  symbols: readonly string[],
  { frames, requests = 1, enough }: Told,
): Promise<readonly SourceItem[]> {
  const service = await Service.start(t, {
    received: (_, socket) => {
      if (service.received.length === requests) for (const frame of frames) sendFrame(socket, frame)
    },
  })
  const markets = symbols.map((symbol) => ({ exchange: kind.name, symbol }))
  const { source } = await openOn(t, kind, service, { markets })
  const items = await pull(source, 'the frames are read', enough)
  await until('all were looked at', () => source.health().counters.frames === frames.length)
  assert.equal(source.health().counters.malformed, 0)
  return items
}

test('Bitfinex: a market that is wanted no more before its channel has a number is let go as soon as it has', async (t) => {
  const service = await Service.start(t)
  const markets = ['BTC-USD', 'ETH-USD'].map((symbol) => ({ exchange: 'bitfinex', symbol }))
  const { source } = await openOn(t, bitfinex, service, { markets, channels: ['trade'] })
  await until('both are asked for', () => service.received.length === 2)
  source.unsubscribe(markets.slice(0, 1))
  source.subscribe(markets.slice(1))
  for (const [chanId, symbol] of [
    [1, 'tBTCUSD'],
    [2, 'tETHUSD'],
  ])
    service.send({ event: 'subscribed', channel: 'trades', chanId, symbol })
  service.send([2, 'te', [7, Date.now(), 1, 100]])
  const items = await pull(source, 'the other market goes on', (all) => eventsOf(all, 'trade').length > 0)
  assert.equal(eventsOf(items, 'trade')[0]?.symbol, 'ETH-USD')
  await until('it is let go', () => service.received.length === 3)
  assert.deepEqual(service.received[2], { event: 'unsubscribe', chanId: 1 })
})

interface Told {
  readonly frames: readonly unknown[]
  readonly requests?: number
  readonly enough: (items: readonly SourceItem[]) => boolean
}

const trades = (count: number) => (items: readonly SourceItem[]) => eventsOf(items, 'trade').length >= count
const quotes = (count: number) => (items: readonly SourceItem[]) => eventsOf(items, 'quote').length >= count

/** Without the time of arrival. */
const told = (items: readonly SourceItem[]) =>
  eventsOf(items, 'trade').map(({ recvTs: _, exchange: _exchange, ...rest }) => rest)

describe('frames as the documentation of exchanges has them', () => {
  test('Binance: the buyer who was the maker makes the taker sell; times in microseconds or milliseconds', async (t) => {
    const frame = {
      ...{ e: 'trade', E: 1790000000123, s: 'BTCUSDT', t: 5012345678, p: '64000.10000000', q: '0.00150000' },
      ...{ T: 1790000000122, m: true, M: true },
    }
    const micros = { ...frame, t: 5012345679, T: 1790000000122456, m: false }
    const frames = [frame, { stream: 'btcusdt@trade', data: micros }]
    const items = await read(t, binance, ['BTC-USDT'], { frames, enough: trades(2) })
    const common = { symbol: 'BTC-USDT', price: 64000.1, size: 0.0015 }
    assert.deepEqual(told(items), [
      { ...common, id: '5012345678', side: 'sell', ts: 1790000000122000 },
      { ...common, id: '5012345679', side: 'buy', ts: 1790000000122456 },
    ])
    const follows = items.flatMap((item) =>
      item.channel === 'trade' ? [(item as { follows?: string }).follows] : [],
    )
    assert.deepEqual(follows, ['5012345677', '5012345678'])
  })

  test('Binance: a quote is older by its number', async (t) => {
    const quote = (u: number, b: string) => ({ u, s: 'BTCUSDT', b, B: '1', a: '9', A: '1' })
    const frames = [quote(10, '5'), quote(9, '4'), quote(11, '6')]
    const items = await read(t, binance, ['BTC-USDT'], { frames, enough: quotes(2) })
    assert.deepEqual(
      eventsOf(items, 'quote').map(({ bid }) => bid),
      [5, 6],
    )
  })

  test('OKX: a trade that folds others follows the one before them; one that is missing shows', async (t) => {
    const frame = (tradeId: string, count: string) => ({
      arg: { channel: 'trades', instId: 'BTC-USDT' },
      data: [
        { instId: 'BTC-USDT', tradeId, px: '64040.2', sz: '0.0024', side: 'buy', ts: '1786538760218', count },
      ],
    })
    const frames = [frame('100', '1'), frame('103', '3'), frame('106', '2')]
    const items = await read(t, okx, ['BTC-USDT'], { frames, enough: trades(3) })
    assert.deepEqual(
      items.flatMap((item) => ('follows' in item ? [item.follows] : [])),
      ['99', '100', '104'],
    )
  })

  test('Bitstamp: ids beyond 2^53 keep their digits', async (t) => {
    const data = {
      ...{
        id_str: '2000000000000000123',
        amount: 0.01,
        amount_str: '0.01000000',
        price: 64000,
        price_str: '64000',
      },
      ...{ type: 1, timestamp: '1790000000', microtimestamp: '1790000000123456' },
    }
    const text = JSON.stringify({ event: 'trade', channel: 'live_trades_btcusd', data })
    const frames = [text.replace('"id_str"', '"id":2000000000000000123,"id_str"')]
    const items = await read(t, bitstamp, ['BTC-USD'], { frames, requests: 2, enough: trades(1) })
    const [trade] = told(items)
    assert.deepEqual(trade, {
      ...{ symbol: 'BTC-USD', id: '2000000000000000123', side: 'sell', price: 64000, size: 0.01 },
      ts: 1790000000123456,
    })
  })

  test('Gemini: nanoseconds beyond 2^53 are cut to microseconds, none is rounded', async (t) => {
    const frames = [
      '{"E":1790000000123456999,"s":"btcusd","t":2840141000001,"p":"64000.10","q":"0.010","m":true}',
    ]
    const items = await read(t, gemini, ['BTC-USD'], { frames, enough: trades(1) })
    const [trade] = told(items)
    assert.deepEqual([trade?.ts, trade?.side, trade?.id], [1790000000123456, 'sell', '2840141000001'])
  })

  test('Bitfinex: te and tu of one id are one trade, the snapshot comes oldest first, and the book gives the best prices', async (t) => {
    const frames = [
      { event: 'info', version: 2, platform: { status: 1 } },
      { event: 'subscribed', channel: 'trades', chanId: 17, symbol: 'tBTCUST', pair: 'BTCUST' },
      { event: 'subscribed', channel: 'book', chanId: 18, symbol: 'tBTCUST', pair: 'BTCUST' },
      [
        17,
        [
          [1900000002, 1790000000456, -0.01, 64000],
          [1900000001, 1790000000455, 0.02, 64001],
        ],
      ],
      [17, 'te', [1900000003, 1790000000457, -0.5, 63999]],
      [17, 'tu', [1900000003, 1790000000457, -0.5, 63999]],
      [
        18,
        [
          [64000, 2, 1.5],
          [63999, 1, 0.25],
          [64001, 1, -2],
          [64002.5, 1, -0.125],
        ],
      ],
      [18, [64000, 0, 1]],
      [18, 'hb'],
    ]
    const items = await read(t, bitfinex, ['BTC-USDT'], { frames, requests: 2, enough: quotes(2) })
    assert.deepEqual(
      told(items).map(({ id, side, size }) => [id, side, size]),
      [
        ['1900000001', 'buy', 0.02],
        ['1900000002', 'sell', 0.01],
        ['1900000003', 'sell', 0.5],
      ],
    )
    assert.deepEqual(
      eventsOf(items, 'quote').map(({ bid, bidSize, ask, askSize }) => [bid, bidSize, ask, askSize]),
      [
        [64000, 1.5, 64001, 2],
        [63999, 0.25, 64001, 2],
      ],
    )
  })

  test('Kraken: several trades in a frame; numbers and a time in microseconds', async (t) => {
    const trade = (trade_id: number, side: string) => ({
      ...{ symbol: 'BTC/USD', side, price: 64000.1, qty: 0.0015, ord_type: 'limit', trade_id },
      timestamp: '2026-11-29T10:00:00.123456Z',
    })
    const data = [trade(71234567, 'sell'), trade(71234568, 'buy')]
    const frames = [
      '{"channel":"status","type":"update","data":[{"system":"online","connection_id":17843232920108168701}]}',
      { channel: 'trade', type: 'snapshot', data },
    ]
    const items = await read(t, kraken, ['BTC-USD'], { frames, requests: 2, enough: trades(2) })
    const ts = Date.UTC(2026, 10, 29, 10) * 1_000 + 123_456
    assert.deepEqual(
      told(items).map(({ id, side, ts: at }) => [id, side, at]),
      [
        ['71234567', 'sell', ts],
        ['71234568', 'buy', ts],
      ],
    )
  })
})

/** The frames of a recording, without the times in front of them. */
async function framesOf(path: string): Promise<readonly string[]> {
  const frames: string[] = []
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const frame = /^(?:\d+(?:\.\d+)?: )?(\{.*)$/.exec(line)?.[1]
    if (frame !== undefined) frames.push(frame)
  }
  return frames
}

describe('recorded frames', () => {
  const bybitFile = capture('bybit-v5-spot-trades-20260812.jsonl')
  test('Bybit: ids of 19 digits', { skip: bybitFile.skip }, async (t) => {
    const frames = await framesOf(bybitFile.path)
    const items = await read(t, bybit, ['BTC-USDT'], { frames, enough: trades(11) })
    const all = told(items)
    assert.equal(all.length, 11)
    assert.deepEqual(all[0], {
      ...{ symbol: 'BTC-USDT', id: '2290000001190010739', side: 'sell', price: 64104.5, size: 0.00325 },
      ts: 1786538700833000,
    })
    assert.equal(new Set(all.map(({ id }) => id)).size, 11)
  })

  const bitstampFile = capture('BITSTAMP.ws.1.0')
  test('Bitstamp: short ids without texts', { skip: bitstampFile.skip }, async (t) => {
    const frames = (await framesOf(bitstampFile.path)).filter((frame) => frame.includes('live_trades_'))
    const sent = frames.filter(
      (frame) => frame.includes('"event":"trade"') || frame.includes('"event": "trade"'),
    )
    assert.ok(sent.length > 0, 'the recording has trades')
    const symbols = [...new Set(sent.map((frame) => /live_trades_([a-z]+)/.exec(frame)?.[1] ?? ''))]
    const markets = symbols.map((name) => `${name.slice(0, -3)}-${name.slice(-3)}`.toUpperCase())
    const items = await read(t, bitstamp, markets, {
      ...{ frames: sent, requests: markets.length * 2, enough: trades(sent.length) },
    })
    assert.deepEqual(
      told(items).map(({ id }) => id),
      sent.map((frame) => String((JSON.parse(frame) as { data: { id: number } }).data.id)),
    )
  })
})
