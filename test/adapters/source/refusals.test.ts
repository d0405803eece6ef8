import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { bitfinex } from '../../../src/adapters/source/bitfinex/source.ts'
import { coinbase } from '../../../src/adapters/source/coinbase/source.ts'
import type { SourceKind } from '../../../src/adapters/source/feed/source-kind.ts'
import { kraken } from '../../../src/adapters/source/kraken/source.ts'
import { okx } from '../../../src/adapters/source/okx/source.ts'
import type { Source } from '../../../src/ports/source.ts'
import { API_KEY, BTC, ETH, openCryptoCompare, startService, trade } from './cryptocompare-fixtures.ts'
import { type Opening, openOn } from './opened.ts'
import { Service, sendFrame } from './service.ts'
import { changesOf, eventsOf, failureOf, pull, until } from './waiting.ts'

function product(symbol: string) {
  return { exchange: 'coinbase', symbol }
}

/** A Coinbase that answers the first subscribe with these frames, and no other. */
async function refusing(
  t: TestContext,
  symbols: readonly string[],
  answers: readonly unknown[],
  changes: Opening = {},
) {
  let isAnswered = false
  const service = await Service.start(t, {
    received: (_, socket) => {
      if (isAnswered) return
      isAnswered = true
      for (const frame of answers) sendFrame(socket, frame)
    },
  })
  const markets = symbols.map(product)
  return { service, ...(await openOn(t, coinbase, service, { markets, reconnectMax: 60_000, ...changes })) }
}

function failed(reason: string) {
  return { type: 'error', message: 'Failed to subscribe', reason }
}

function subscriptions(...product_ids: readonly string[]) {
  const channels = ['matches', 'ticker', 'heartbeat'].map((name) => ({ name, product_ids }))
  return { type: 'subscriptions', channels }
}

function match(product_id: string, trade_id: number) {
  const time = '2026-11-20T10:00:00.000000Z'
  return { type: 'match', trade_id, side: 'sell', size: '1', price: '100', product_id, time }
}

/** Pulls until there are so many trades; gives what was said of markets meanwhile. */
async function reports(source: Source, trades: number): Promise<string[]> {
  const items = await pull(source, `${trades} trades`, (all) => eventsOf(all, 'trade').length === trades)
  return eventsOf(items, 'status').map(({ symbol, state, detail }) => `${symbol} ${state} ${detail}`)
}

describe('who is accused: Coinbase', () => {
  test('one error for each channel accuses the product that it names, once; the others are asked for again', async (t) => {
    const error = failed('OLDA-USD is delisted')
    const trades = [1, 2, 3].map((id) => match('KEEP-USD', id))
    const answers = [error, error, error, subscriptions('KEEP-USD'), ...trades]
    const { service, source } = await refusing(t, ['OLDA-USD', 'KEEP-USD'], answers)
    assert.deepEqual(await reports(source, 3), [
      'OLDA-USD disconnected MARKET_UNKNOWN: Failed to subscribe: OLDA-USD is delisted',
    ])
    await until('the other is asked for again', () => service.received.length > 1)
    assert.deepEqual(
      service.received.map((frame) => frame['product_ids']),
      [['OLDA-USD', 'KEEP-USD'], ['KEEP-USD']],
    )
    assert.deepEqual(
      source.health().without.map(({ symbol }) => symbol),
      ['OLDA-USD'],
    )
  })

  test('a product that the answer to its subscribe leaves out is reported, once', async (t) => {
    const answers = [subscriptions('KEEP-USD'), subscriptions('KEEP-USD'), match('KEEP-USD', 1)]
    const { source } = await refusing(t, ['KEEP-USD', 'LOST-USD', 'GONE-USD'], answers)
    const why = 'disconnected MARKET_UNKNOWN: the answer `subscriptions` does not name it'
    assert.deepEqual(await reports(source, 1), [`LOST-USD ${why}`, `GONE-USD ${why}`])
  })

  test('answers are matched by what they name, whatever their order', async (t) => {
    const { service, source } = await refusing(t, ['KEEP-USD'], [subscriptions('KEEP-USD')])
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    source.subscribe([product('ONE-USD')])
    source.subscribe([product('TWO-USD')])
    source.subscribe([product('BAD-USD')])
    await until('all is asked for', () => service.received.length === 4)
    service.send(
      failed('BAD-USD is not a valid product'),
      subscriptions('KEEP-USD', 'TWO-USD'),
      subscriptions('KEEP-USD', 'TWO-USD', 'ONE-USD'),
      match('ONE-USD', 1),
      match('TWO-USD', 2),
    )
    assert.deepEqual(await reports(source, 2), [
      'BAD-USD disconnected MARKET_UNKNOWN: Failed to subscribe: BAD-USD is not a valid product',
    ])
  })

  test('a subscribe of which nothing was taken is reported a moment later', async (t) => {
    const { service, source } = await refusing(t, ['KEEP-USD'], [subscriptions('KEEP-USD')])
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    source.subscribe([product('LOST-USD'), product('LATE-USD')])
    await until('it is asked for', () => service.received.length === 2)
    service.send(subscriptions('KEEP-USD'), match('LATE-USD', 1))
    const items = await pull(source, 'a report', (all) => eventsOf(all, 'status').length > 0)
    assert.deepEqual(
      eventsOf(items, 'status').map(({ symbol }) => symbol),
      ['LOST-USD'],
    )
  })

  test('a market that stops being listed while it runs is reported once, also over a reconnect; its return is told', async (t) => {
    const first = [subscriptions('KEEP-USD', 'GONE-USD'), match('KEEP-USD', 1)]
    const { service, source } = await refusing(t, ['KEEP-USD', 'GONE-USD'], first, {
      reconnect: 5,
      reconnectMax: 20,
    })
    assert.deepEqual(await reports(source, 1), [])
    service.send(failed('GONE-USD is delisted'), failed('GONE-USD is delisted'), match('KEEP-USD', 2))
    assert.equal((await reports(source, 1)).length, 1)
    service.behaviour.received = (frame, socket) => {
      const asked = frame['product_ids'] as string[]
      sendFrame(socket, asked.includes('GONE-USD') ? failed('GONE-USD is delisted') : subscriptions(...asked))
    }
    service.cut()
    await pull(source, 'it connects again', (all) => changesOf(all).includes('connected+'))
    service.send(match('KEEP-USD', 3))
    assert.deepEqual(await reports(source, 1), [])
    service.send(subscriptions('KEEP-USD', 'GONE-USD'), match('GONE-USD', 1))
    const items = await pull(source, 'its trade', (all) => eventsOf(all, 'trade').length === 1)
    const [about] = items.flatMap((item) => (item.channel === 'connection' ? [item] : []))
    assert.deepEqual(
      [about?.status.symbol, about?.status.state, about?.mayHaveMissed],
      ['GONE-USD', 'connected', true],
    )
    assert.deepEqual(source.health().without, [])
  })

  for (const [reason, code] of [
    ['Authentication required', 'SOURCE_UNAUTHORIZED'],
    ['something is wrong here', 'SOURCE_UNAVAILABLE'],
  ] as const) {
    test(`a general refusal accuses nobody and is the error of the producer: ${reason}`, async (t) => {
      const error = failed(reason)
      const answers = [error, error, error]
      // It does not connect again, nor is the refusal overtaken by the end of its time where this process stands still for a moment.
      const waits = { timeout: 1_000, reconnect: 60_000 }
      const { service, source } = await refusing(t, ['ONE-USD', 'TWO-USD'], answers, waits)
      const failure = await failureOf(source)
      assert.deepEqual([failure.code, failure.message], [code, `websocket: Failed to subscribe: ${reason}`])
      await until('the connection had its time', () => service.sockets.length === 0)
      assert.match((await failureOf(source)).message, new RegExp(reason))
      assert.deepEqual(source.health().without, [])
      assert.equal(service.received.length, 1)
    })
  }
})

describe('the words of a service', () => {
  test('the reason of a close stands in the status, the failure and the log, in one line', async (t) => {
    const service = await Service.start(t, {
      received: (_, socket) => {
        sendFrame(socket, subscriptions('KEEP-USD'))
        socket.close(1000, 'this host\u202e name\u0000 is\nretired')
      },
    })
    const { source, log } = await openOn(t, coinbase, service, {
      markets: [product('KEEP-USD')],
      channels: ['trade'],
      reconnectMax: 20,
    })
    const words = 'closed by the other side (1000): this host name is retired'
    const failure = await failureOf(source)
    assert.equal(failure.message, `websocket: ${words}`)
    const items = await pull(source, 'the end', (all) => changesOf(all).includes('disconnected'))
    const ended = items.find((item) => item.channel === 'connection' && item.status.state === 'disconnected')
    assert.ok(JSON.stringify(ended).includes(words))
    assert.ok(JSON.stringify(log.lines).includes(words))
  })

  for (const [name, body, words] of [
    ['JSON', '{"message":"this address has moved"}', 'this address has moved'],
    ['JSON within JSON', '{"Err":{"type":1,"message":"moved"}}', 'moved'],
    ['HTML', '<html><style>a{}</style><h1>Moved</h1>\n<p>for ever</p></html>', 'Moved for ever'],
    ['a long text', 'x'.repeat(5_000), 'x'.repeat(200)],
    ['nothing', '', undefined],
  ] as const) {
    test(`a refused upgrade says what its body says: ${name}`, async (t) => {
      const service = await Service.start(t, { refuse: 403, refusal: body })
      const { source } = await openCryptoCompare(t, service, { channels: ['trade'] })
      const { code, message } = await failureOf(source)
      assert.equal(code, 'SOURCE_UNAUTHORIZED')
      assert.equal(message, `websocket: refused with HTTP 403${words === undefined ? '' : `: ${words}`}`)
    })
  }

  test('a secret of the address is never part of them', async (t) => {
    const secret = 'p4ss word/of+mine'
    const body = `no access for ${secret}, that is ${encodeURIComponent(secret)}; ${'x'.repeat(150)}${secret}`
    const service = await Service.start(t, { refuse: 400, refusal: body })
    const url = new URL(service.url)
    url.searchParams.set('token', secret)
    const { source, log } = await refusing(t, ['ONE-USD'], [], { url: url.href })
    await until('it failed', () => source.health().failure !== undefined)
    const shown = JSON.stringify([source.health(), log.lines])
    assert.ok(!shown.includes('p4ss'), shown)
    assert.match(shown, /no access for \*\*\*, that is \*\*\*/)
  })
})

describe('who is accused: CryptoCompare', () => {
  const refused = (sub: string) => ({
    TYPE: '500',
    MESSAGE: 'INVALID_SUB',
    PARAMETER: sub,
    INFO: 'no such subscription',
  })

  test('one refused channel is named; the market is not called unknown', async (t) => {
    const service = await startService(t)
    const { source } = await openCryptoCompare(t, service, { channels: ['trade', 'candle'] })
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    service.send(refused('24~Coinbase~BTC~USD~m'), refused('24~Coinbase~BTC~USD~m'), trade(1))
    const items = await pull(source, 'a report', (all) => eventsOf(all, 'status').length > 0)
    assert.equal(eventsOf(items, 'trade').length, 1)
    assert.deepEqual(
      eventsOf(items, 'status').map(({ symbol, detail }) => `${symbol} ${detail}`),
      ['BTC-USD CHANNEL_UNKNOWN: candle: 24~Coinbase~BTC~USD~m: INVALID_SUB: no such subscription'],
    )
  })

  test('a market of which every channel is refused is unknown, and reported once; the others go on', async (t) => {
    const service = await startService(t)
    const { source } = await openCryptoCompare(t, service, { markets: [BTC, ETH] })
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    const subs = ['0~Coinbase~ETH~USD', '2~Coinbase~ETH~USD', '24~Coinbase~ETH~USD~m']
    service.send(...subs.map(refused), ...subs.map(refused), trade(1))
    const [report, ...others] = await reports(source, 1)
    assert.match(report ?? '', /^ETH-USD disconnected MARKET_UNKNOWN: 24~Coinbase~ETH~USD~m: INVALID_SUB/)
    assert.deepEqual(others, [])
  })

  test('a refused parameter proves no delivery: it is the error of the producer, and REST is asked', async (t) => {
    const service = await startService(t)
    service.behaviour.received = (_, socket) =>
      sendFrame(socket, {
        TYPE: '500',
        MESSAGE: 'INVALID_PARAMETER',
        PARAMETER: 'api_key',
        INFO: 'the key has expired',
      })
    service.behaviour.rest = () => ({ status: 503, body: {} })
    const { source } = await openCryptoCompare(t, service, { channels: ['quote'] })
    const { code, message } = await failureOf(source)
    assert.equal(code, 'SOURCE_UNAUTHORIZED')
    assert.match(message, /INVALID_PARAMETER: the key has expired \(api_key\); rest: refused with HTTP 503/)
    assert.equal(source.health().way, 'none')
    assert.deepEqual(source.health().without, [])
  })

  for (const Message of [
    'You need a valid auth key or api key to access this endpoint',
    'Your coin plan has ended: forbidden',
    'Something is wrong on our side',
  ]) {
    test(`REST that says "${Message}" under HTTP 200 accuses no market and is asked again`, async (t) => {
      const service = await startService(t)
      service.behaviour.received = () => undefined
      service.behaviour.rest = () => ({
        body: { Response: 'Error', Message, HasWarning: false, Type: 1, Data: {} },
      })
      const { source } = await openCryptoCompare(t, service, {
        channels: ['quote', 'candle'],
        markets: [BTC, ETH],
        timeout: 400,
      })
      const { code, message } = await failureOf(source)
      assert.equal(code, Message.startsWith('Something') ? 'SOURCE_STALE' : 'SOURCE_UNAUTHORIZED')
      assert.ok(message.includes(`rest: ${Message}`), message)
      const asked = service.calls.length
      await until('REST is asked again and again', () => service.calls.length > asked + 3)
      const { items } = await source
        .next({ maxItems: 100, lingerMs: 0, waitMs: 0 }, AbortSignal.timeout(5_000))
        .catch(() => ({ items: [] }))
      assert.deepEqual([...changesOf(items), ...eventsOf(items, 'status')], [])
      assert.deepEqual(source.health().without, [])
      assert.ok(!JSON.stringify(source.health()).includes(API_KEY))
    })
  }
})

describe('who is accused: exchanges with a socket each', () => {
  const open = async (t: TestContext, kind: SourceKind, symbols: readonly string[]) => {
    const service = await Service.start(t)
    const markets = symbols.map((symbol) => ({ exchange: kind.name, symbol }))
    const { source } = await openOn(t, kind, service, { markets, reconnect: 1_000 })
    await service.asked('a subscribe', () => true)
    const frames = () => source.health().counters.frames
    /** The markets without data, once the frame is read. */
    const after = async (frame: object) => {
      const before = frames()
      service.send(frame)
      await until('it is read', () => frames() > before)
      return source.health().without.map(({ symbol, why }) => `${symbol} ${why.split(':')[0]}`)
    }
    return { source, after }
  }

  test('Kraken: neither a rate nor a market that is subscribed already makes it unknown', async (t) => {
    const { source, after } = await open(t, kraken, ['BTC-USD', 'ETH-USD'])
    const answer = { method: 'subscribe', success: false, symbol: 'BTC/USD' }
    assert.deepEqual(await after({ ...answer, error: 'Already subscribed' }), [])
    assert.deepEqual(await after({ ...answer, error: 'Exceeded msg rate' }), [])
    await until('the rate is the failure', () => source.health().failure?.code === 'SOURCE_RATE_LIMITED')
  })

  test('Bitfinex: a full connection has no place for a market, and one that is subscribed is taken', async (t) => {
    const { after } = await open(t, bitfinex, ['BTC-USD', 'ETH-USD'])
    const error = { event: 'error', channel: 'trades' }
    assert.deepEqual(await after({ ...error, code: 10301, msg: 'subscribe: dup', symbol: 'tBTCUSD' }), [])
    assert.deepEqual(await after({ event: 'error', code: 10400, msg: 'unsubscribe: invalid', chanId: 9 }), [])
    assert.deepEqual(await after({ ...error, code: 10305, msg: 'subscribe: limit', symbol: 'tETHUSD' }), [
      'ETH-USD SOURCE_RATE_LIMITED',
    ])
  })

  test('OKX: neither a request that is repeated nor a longer name accuses', async (t) => {
    const { source, after } = await open(t, okx, ['BTC-USDT', 'BTC-USDT-SWAP', 'ETH-USDT'])
    const error = (code: string, msg: string) => ({ event: 'error', code, msg, connId: 'a1' })
    const asked = '{"op":"subscribe","args":[{"channel":"trades","instId":"ETH-USDT"}]}'
    assert.deepEqual(await after(error('60012', `Invalid request: ${asked}`)), [])
    const gone = "Wrong URL or channel:trades,instId:BTC-USDT-SWAP doesn't exist."
    assert.deepEqual(await after(error('60018', gone)), ['BTC-USDT-SWAP MARKET_UNKNOWN'])
    await after(error('60014', 'Requests too frequent.'))
    await until('the rate is the failure', () => source.health().failure?.code === 'SOURCE_RATE_LIMITED')
  })
})
