import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { WebSocket } from 'ws'
import { coinbase } from '../../../src/adapters/source/coinbase/source.ts'
import { checkEvent } from '../../../src/domain/event-codec.ts'
import { type Opening, openOn } from './opened.ts'
import { Service, sendFrame } from './service.ts'
import { changesOf, eventsOf, failureOf, pull, until } from './waiting.ts'

/** Recorded frames. */
const MATCH = {
  type: 'match',
  trade_id: 280232,
  maker_order_id: '2a0da34e-61f7-4c36-88e5-c9dd15927b16',
  taker_order_id: '3c82abaa-c01e-4608-be59-6a1e69742891',
  side: 'sell',
  size: '985',
  price: '0.00001305',
  product_id: 'SKL-BTC',
  sequence: 177100030,
  time: '2021-04-17T16:43:37.089723Z',
}
const TICKER = {
  type: 'ticker',
  sequence: 333938798,
  product_id: 'BAND-GBP',
  price: '14.7775',
  open_24h: '14.6647',
  volume_24h: '94381.28000000',
  best_bid: '14.7550',
  best_ask: '14.8060',
  side: 'buy',
  time: '2021-04-17T16:43:30.244075Z',
  trade_id: 881613,
  last_size: '0.04',
}

const KNOWN = ['SKL-BTC', 'BAND-GBP', 'BTC-USD', 'ETH-USD']

function market(symbol: string) {
  return { exchange: 'coinbase', symbol }
}

/** Answers as the service does: one unknown product refuses the whole subscribe. */
function answer(frame: Record<string, unknown>, socket: WebSocket): void {
  const products = frame['product_ids'] as string[]
  const unknown = products.find((product) => !KNOWN.includes(product))
  if (frame['type'] === 'subscribe' && unknown !== undefined) {
    const reason = `${unknown} is not a valid product`
    sendFrame(socket, { type: 'error', message: 'Failed to subscribe', reason })
  } else {
    sendFrame(socket, { type: 'subscriptions', channels: [{ name: 'matches', product_ids: products }] })
  }
}

async function start(t: TestContext, symbols: readonly string[], changes: Opening = {}) {
  const service = await Service.start(t, {
    received: answer,
  })
  return { service, ...(await open(t, service, symbols, changes)) }
}

function open(t: TestContext, service: Service, symbols: readonly string[], changes: Opening = {}) {
  return openOn(t, coinbase, service, { markets: symbols.map(market), ...changes })
}

describe('Coinbase', () => {
  test('a trade after a hole comes within a second or two, although nothing else does, and says what it follows', async (t) => {
    const { service, source } = await start(t, ['SKL-BTC'])
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    service.send(MATCH, { ...MATCH, trade_id: MATCH.trade_id + 3 })
    const items = await pull(source, 'two trades', (all) => eventsOf(all, 'trade').length === 2)
    const follows = items.flatMap((item) => (item.channel === 'trade' ? [item.follows] : []))
    assert.deepEqual(follows, [String(MATCH.trade_id - 1), String(MATCH.trade_id + 2)])
  })

  test('asks for matches, ticker and heartbeat; match and last_match are trades with the side of the taker', async (t) => {
    const { service, source } = await start(t, ['skl-btc'])
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    assert.deepEqual(service.received, [
      { type: 'subscribe', product_ids: ['SKL-BTC'], channels: ['matches', 'ticker', 'heartbeat'] },
    ])
    service.send({ ...MATCH, type: 'last_match', trade_id: 280231, side: 'buy' }, MATCH)
    const items = await pull(source, 'two trades', (all) => eventsOf(all, 'trade').length === 2)
    const common = {
      exchange: 'coinbase',
      symbol: 'SKL-BTC',
      price: 0.00001305,
      size: 985,
      ts: 1618677817089723,
    }
    assert.deepEqual(
      eventsOf(items, 'trade').map(({ recvTs: _, ...event }) => event),
      [
        { ...common, id: '280231', side: 'sell' },
        { ...common, id: '280232', side: 'buy' },
      ],
    )
    for (const event of eventsOf(items, 'trade')) checkEvent('trade', event)
  })

  test('ticker is a quote, and one without a change is none', async (t) => {
    const { service, source } = await start(t, ['BAND-GBP'])
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    const sizes = { ...TICKER, best_bid_size: '3', best_ask_size: '4', time: '2021-04-17T16:43:31Z' }
    service.send(TICKER, { ...TICKER, sequence: 1 }, sizes)
    const items = await pull(source, 'two quotes', (all) => eventsOf(all, 'quote').length === 2)
    const common = { ...market('BAND-GBP'), bid: 14.755, ask: 14.806, last: 14.7775, volume24h: 94381.28 }
    assert.deepEqual(
      eventsOf(items, 'quote').map(({ recvTs: _, ...event }) => event),
      [
        { ...common, ts: 1618677810244075 },
        { ...common, bidSize: 3, askSize: 4, ts: 1618677811000000 },
      ],
    )
    for (const event of eventsOf(items, 'quote')) checkEvent('quote', event)
  })

  test('a side belongs together: a size of 0 is none, and another price has not the size of the last one', async (t) => {
    const { service, source } = await start(t, ['BAND-GBP'])
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    const frame = (sequence: number, fields: object) => ({
      ...{ type: 'ticker', product_id: 'BAND-GBP', time: TICKER.time, sequence },
      ...fields,
    })
    service.send(
      frame(10, { best_bid: '7', best_bid_size: '2', best_ask: '8', best_ask_size: '3' }),
      frame(12, { best_bid: '7.1' }),
      frame(11, { best_bid: '1' }),
      frame(13, { best_bid_size: '2e-8', best_ask: '8', best_ask_size: '0' }),
      frame(14, { best_bid: {}, best_ask_size: '5', best_ask: '9e0', price: [] }),
    )
    const items = await pull(source, 'four quotes', (all) => eventsOf(all, 'quote').length === 4)
    assert.deepEqual(
      eventsOf(items, 'quote').map(({ bid, bidSize, ask, askSize }) => [bid, bidSize, ask, askSize]),
      [
        [7, 2, 8, 3],
        [7.1, undefined, 8, 3],
        [7.1, 2e-8, undefined, undefined],
        [7.1, 2e-8, 9, 5],
      ],
    )
    assert.equal(source.health().counters.outOfOrder, 1)
    assert.equal(source.health().counters.malformed, 0)
  })

  test('what is known belongs to the market, however it is spelled; what is no symbol is counted', async (t) => {
    const { service, source } = await start(t, ['BTC-USD'])
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    const frame = (product_id: string, second: number, fields: object) => ({
      ...{ type: 'ticker', product_id, time: `2021-04-17T16:43:0${second}Z` },
      ...fields,
    })
    service.send(
      frame('btc-usd', 1, { price: '9.1', best_bid: '9', best_ask: '9.2' }),
      frame('BTC-USD', 2, { price: '9.6', best_bid: '9.5', best_ask: '9.7' }),
      frame('Btc-Usd', 3, { price: '9.65' }),
      ...['', 'L'.repeat(65), 'BTC USD', 'BTC\u0000-USD', '\ud800-USD'].map((name) => frame(name, 4, {})),
      ...['', 'L'.repeat(65), '\u202eBTC-USD'].map((product_id) => ({ ...MATCH, product_id })),
      { ...MATCH, product_id: 'btc-usd' },
    )
    const items = await pull(source, 'the trade', (all) => eventsOf(all, 'trade').length === 1)
    const last = eventsOf(items, 'quote').at(-1)
    assert.deepEqual([last?.symbol, last?.bid, last?.ask, last?.last], ['BTC-USD', 9.5, 9.7, 9.65])
    assert.equal(source.health().counters.malformed, 8)
  })

  test('unknown products, named by the service, are reported and cost the others nothing', async (t) => {
    const { service, source } = await start(t, ['BTC-USD', 'FOO-USD', 'ETH-USD', 'BAR-USD', 'SKL-BTC'])
    const items = await pull(source, 'both reports', (all) => eventsOf(all, 'status').length === 2)
    assert.deepEqual(
      new Set(eventsOf(items, 'status').map(({ symbol }) => symbol)),
      new Set(['FOO-USD', 'BAR-USD']),
    )
    assert.match(eventsOf(items, 'status')[0]?.detail ?? '', /^MARKET_UNKNOWN: /)
    const good = () =>
      service.received
        .map((frame) => frame['product_ids'] as string[])
        .filter((list) => list.every((product) => KNOWN.includes(product)))
    await until('all known products are asked for', () => new Set(good().flat()).size === 3)
  })

  test('markets come and go at run time; the answers stay in step', async (t) => {
    const { service, source } = await start(t, ['BTC-USD'])
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    source.unsubscribe([market('BTC-USD'), market('XRP-USD')])
    await until('the socket ends with the last market', () => service.sockets.length === 0)
    source.subscribe([market('SKL-BTC')])
    await pull(source, 'it connects', (all) => changesOf(all).includes('connected+'))
    source.subscribe([market('FOO-USD'), { exchange: 'kraken', symbol: 'BTC-USD' }])
    source.unsubscribe([market('ETH-USD')])
    const items = await pull(source, 'both reports', (all) => eventsOf(all, 'status').length === 2)
    assert.deepEqual(
      new Set(eventsOf(items, 'status').map(({ exchange, symbol }) => `${exchange}:${symbol}`)),
      new Set(['kraken:BTC-USD', 'coinbase:FOO-USD']),
    )
    service.send({ ...MATCH, product_id: 'BTC-USD' }, MATCH)
    const after = await pull(source, 'a trade', (all) => eventsOf(all, 'trade').length > 0)
    assert.deepEqual(
      eventsOf(after, 'trade').map(({ symbol }) => symbol),
      ['SKL-BTC'],
    )
  })

  test('heartbeats of a quiet market keep the connection; silence makes it stale', async (t) => {
    const { service, source } = await start(t, ['BTC-USD'], { staleAfter: 120 })
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    const beat = {
      type: 'heartbeat',
      sequence: 90,
      last_trade_id: 20,
      product_id: 'BTC-USD',
      time: MATCH.time,
    }
    const beats = setInterval(() => service.send(beat), 20)
    t.after(() => clearInterval(beats))
    await until('many heartbeats came', () => source.health().counters.frames > 20)
    assert.equal(service.upgrades.length, 1, 'a quiet market was taken for a stale connection')
    clearInterval(beats)
    const items = await pull(source, 'stale, and connected again', (all) => changesOf(all).length >= 3)
    assert.deepEqual(changesOf(items).slice(0, 3), ['stale', 'disconnected', 'connected+'])
  })

  test('what cannot be read is counted; types that we do not know are passed over', async (t) => {
    const { service, source } = await start(t, ['SKL-BTC'])
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    const bad = [
      '{',
      '[]',
      {},
      { type: 5 },
      { ...MATCH, price: '0' },
      { ...MATCH, size: '0x1' },
      { ...MATCH, time: 'yesterday' },
      { ...MATCH, side: 'both' },
      { ...MATCH, trade_id: null },
      { ...TICKER, time: 'yesterday' },
      { type: 'subscriptions' },
    ]
    service.send(...bad, { type: 'rfq_matches' }, MATCH)
    const items = await pull(source, 'the good trade', (all) => eventsOf(all, 'trade').length > 0)
    assert.equal(eventsOf(items, 'trade').length, 1)
    assert.equal(source.health().counters.malformed, bad.length)
  })

  test('without a fallback next rejects when the service is away for too long, and recovers', async (t) => {
    const { service, source } = await start(t, ['SKL-BTC'], { fallbackAfter: 60 })
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    await service.stop()
    const error = await failureOf(source)
    assert.equal(error.code, 'SOURCE_UNAVAILABLE')
    await service.listen()
    const items = await pull(source, 'it is back', (all) => changesOf(all).length > 0)
    assert.deepEqual(changesOf(items), ['connected+'])
    assert.equal(source.health().way, 'websocket')
  })

  test('a rate limit error ends the connection and is told', async (t) => {
    const service = await Service.start(t, {
      connected: (socket) => sendFrame(socket, { type: 'error', message: 'rate limit exceeded' }),
    })
    const { source } = await open(t, service, ['BTC-USD'], {})
    assert.equal((await failureOf(source)).code, 'SOURCE_RATE_LIMITED')
  })
})
