import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { WebSocket } from 'ws'
import { type CoinbaseOptions, createCoinbaseSource } from '../../../src/adapters/source/coinbase.ts'
import { checkEvent } from '../../../src/domain/event-codec.ts'
import { Service, sendFrame } from './service.ts'
import { changesOf, eventsOf, failureOf, nowMicros, pull, recordingLog, until } from './waiting.ts'

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
function answer(
  frame: Record<string, unknown>,
  socket: WebSocket,
  reason: (product: string) => string,
): void {
  const products = frame['product_ids'] as string[]
  const unknown = products.find((product) => !KNOWN.includes(product))
  if (frame['type'] === 'subscribe' && unknown !== undefined) {
    sendFrame(socket, { type: 'error', message: 'Failed to subscribe', reason: reason(unknown) })
  } else {
    sendFrame(socket, { type: 'subscriptions', channels: [{ name: 'matches', product_ids: products }] })
  }
}

async function start(t: TestContext, symbols: readonly string[], changes: Partial<CoinbaseOptions> = {}) {
  const service = await Service.start(t, {
    received: (frame, socket) => answer(frame, socket, (product) => `${product} is not a valid product`),
  })
  return { service, ...open(t, service, symbols, changes) }
}

function open(
  t: TestContext,
  service: Service,
  symbols: readonly string[],
  changes: Partial<CoinbaseOptions>,
) {
  const log = recordingLog()
  const source = createCoinbaseSource({
    url: service.url,
    markets: symbols.map(market),
    channels: ['trades', 'quotes'],
    reconnect: { firstMs: 5, maxMs: 40 },
    log,
    now: nowMicros,
    ...changes,
  })
  t.after(() => source.close())
  return { source, log }
}

describe('Coinbase', () => {
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

  for (const [name, reason] of [
    ['named in the reason', (product: string) => `${product} is not a valid product`],
    ['not named', () => 'something is wrong'],
  ] as const) {
    test(`unknown products, ${name}, are reported and cost the others nothing`, async (t) => {
      const service = await Service.start(t, { received: (frame, socket) => answer(frame, socket, reason) })
      const symbols = ['BTC-USD', 'FOO-USD', 'ETH-USD', 'BAR-USD', 'SKL-BTC']
      const { source } = open(t, service, symbols, {})
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
  }

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
    const { service, source } = await start(t, ['BTC-USD'], { staleAfterMs: 120 })
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
      { ...MATCH, price: 13 },
      { ...MATCH, size: '1e5' },
      { ...MATCH, time: 'yesterday' },
      { ...MATCH, side: 'both' },
      { ...MATCH, trade_id: null },
      { ...TICKER, best_bid: '-1' },
      { type: 'subscriptions' },
    ]
    service.send(...bad, { type: 'rfq_matches' }, MATCH)
    const items = await pull(source, 'the good trade', (all) => eventsOf(all, 'trade').length > 0)
    assert.equal(eventsOf(items, 'trade').length, 1)
    assert.equal(source.health().counters.malformed, bad.length)
  })

  test('without a fallback next rejects when the service is away for too long, and recovers', async (t) => {
    const { service, source } = await start(t, ['SKL-BTC'], { downAfterMs: 60 })
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
    const { source } = open(t, service, ['BTC-USD'], {})
    assert.equal((await failureOf(source)).code, 'SOURCE_RATE_LIMITED')
  })
})
