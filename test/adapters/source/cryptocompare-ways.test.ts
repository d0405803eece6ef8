import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  API_KEY,
  BTC,
  ETH,
  HEARTBEAT,
  INDEX,
  openCryptoCompare,
  QUICK,
  startService,
  trade,
  WELCOME,
} from './cryptocompare-fixtures.ts'
import { type RestAnswer, Service, sendFrame } from './service.ts'
import { changesOf, eventsOf, failureOf, pull, type RecordingLog, until } from './waiting.ts'

const NO_HISTORY = { Response: 'Success', Type: 100, RateLimit: {}, Data: { Data: [] } }

function raw(prices: Readonly<Record<string, Readonly<Record<string, object>>>>): RestAnswer {
  return { body: { RAW: prices, DISPLAY: {} } }
}

function ticker(PRICE: number): object {
  return { TYPE: '5', MARKET: 'CCCAGG', FLAGS: '2052', PRICE, LASTUPDATE: 1753190418, VOLUME24HOUR: 9 }
}

function failed(Type: number, Message: string, RateLimit = {}): RestAnswer {
  return { body: { Response: 'Error', Message, HasWarning: false, Type, RateLimit, Data: {} } }
}

/** Quotes whose price rises with each call, and no history. */
function rising() {
  let price = 100
  return (url: URL): RestAnswer => {
    if (url.pathname !== '/data/pricemultifull') return { body: NO_HISTORY }
    return raw({ BTC: { USD: ticker(price++) } })
  }
}

function assertSecret(log: RecordingLog, ...others: readonly unknown[]): void {
  const text = JSON.stringify([log.lines, others])
  assert.ok(!text.includes(API_KEY), `the key was shown: ${text}`)
}

describe('CryptoCompare: the connection', () => {
  test('every connect after which something may have been missed is marked, in its place', async (t) => {
    const service = await startService(t)
    const { source } = await openCryptoCompare(t, service)
    await pull(source, 'the first connect', (all) => changesOf(all).length === 1)
    service.send(trade(1))
    await until('the trade is counted', () => source.health().counters.frames > 5)
    service.cut()
    await until('it connects again', () => source.health().counters.reconnects === 1)
    service.send(trade(1), trade(2))
    const items = await pull(source, 'the second trade', (all) => eventsOf(all, 'trade').length === 3)
    const order = items.map((item) =>
      item.channel === 'connection'
        ? item.status.state
        : item.channel === 'trade'
          ? item.event.id
          : item.channel,
    )
    assert.deepEqual(order, ['1', 'disconnected', 'connected', '1', '2'])
    assert.deepEqual(changesOf(items), ['disconnected', 'connected+'])
  })

  test('a connection without heartbeat and data is stale; one with heartbeats alone is not', async (t) => {
    const service = await startService(t)
    const { source } = await openCryptoCompare(t, service, { staleAfter: 120 })
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    const beats = setInterval(() => service.send(HEARTBEAT), 20)
    t.after(() => clearInterval(beats))
    await until('many heartbeats came', () => source.health().counters.frames > 25)
    assert.equal(service.upgrades.length, 1, 'a quiet market was taken for a stale connection')
    clearInterval(beats)
    const items = await pull(source, 'it is stale and connects again', (all) => changesOf(all).length >= 3)
    assert.deepEqual(changesOf(items).slice(0, 3), ['stale', 'disconnected', 'connected+'])
  })

  test('while nobody pulls memory is bounded, and the hole is marked where it is', async (t) => {
    const service = await startService(t)
    const { source } = await openCryptoCompare(t, service, { queueCapacity: 100, channels: ['trade'] })
    await until('it connects', () => source.health().way === 'websocket')
    service.send(...Array.from({ length: 500 }, (_, id) => trade(id)))
    await until('all frames came', () => source.health().counters.frames >= 502)
    const held = await source.next({ maxItems: 10_000, lingerMs: 0, waitMs: 0 }, AbortSignal.timeout(5_000))
    assert.equal(held.items.length, 100)
    assert.equal(source.health().counters.dropped, 401)
    service.send(trade(600))
    const items = await pull(source, 'the next trade', (all) => eventsOf(all, 'trade').length > 0)
    assert.deepEqual(changesOf(items), ['overflow+'])
    const [hole] = items
    assert.ok(hole?.channel === 'connection')
    assert.equal(hole.cause, 'overflow')
    assert.match(hole.status.detail, /the full queue dropped 401 items here/)
  })

  test('the key is in the address of the upgrade and in a header of REST, and nowhere else', async (t) => {
    const service = await startService(t)
    service.behaviour.connected = (socket) => {
      sendFrame(socket, {
        TYPE: '401',
        MESSAGE: 'UNAUTHORIZED',
        PARAMETER: API_KEY,
        INFO: `bad key ${API_KEY}`,
      })
      sendFrame(socket, `not JSON ${API_KEY}`)
    }
    service.behaviour.rest = () => ({
      status: 401,
      body: { Data: {}, Err: { type: 2, message: `key ${API_KEY} is unknown`, http_status_code: 401 } },
    })
    const { source, log } = await openCryptoCompare(t, service, QUICK)
    const error = await failureOf(source)
    assert.equal(error.code, 'SOURCE_UNAUTHORIZED')
    assert.match(error.message, /websocket: UNAUTHORIZED.*; rest: refused with HTTP 401: key/)
    assert.equal(new URL(service.upgrades[0]?.url ?? '', service.url).searchParams.get('api_key'), API_KEY)
    assert.equal(service.calls[0]?.headers.authorization, `Apikey ${API_KEY}`)
    assert.ok(!String(service.calls[0]?.url).includes(API_KEY))
    assertSecret(log, error.message, source.health())
  })

  for (const [name, text] of [
    ['an address that is none', `not an address ${API_KEY}`],
    ['an address of another protocol', `ftp://${API_KEY}@example.org`],
  ] as const) {
    test(`${name} is refused without showing it`, async (t) => {
      const service = await startService(t)
      await assert.rejects(
        () => openCryptoCompare(t, service, { url: text }),
        (error: Error & { code?: string }) =>
          error.code === 'CONFIG_INVALID' && !error.message.includes(API_KEY),
      )
    })
  }

  test('close ends sockets and calls at once, also while nothing answers, and may be called again', async (t) => {
    const service = await startService(t)
    service.behaviour.hang = true
    const { source } = await openCryptoCompare(t, service, { timeout: 60_000, fallbackAfter: 1 })
    await until('both ways hang', () => service.upgrades.length > 0 && service.calls.length > 0)
    const pending = source.next({ maxItems: 1, lingerMs: 0, waitMs: 60_000 }, AbortSignal.timeout(60_000))
    await source.close()
    await source.close()
    assert.deepEqual((await pending).items, [])
    const upgrades = service.upgrades.length
    assert.deepEqual(
      (await source.next({ maxItems: 1, lingerMs: 0, waitMs: 100 }, AbortSignal.timeout(5_000))).items,
      [],
    )
    assert.equal(service.upgrades.length, upgrades, 'it connects after close()')
  })
})

describe('CryptoCompare: REST while the WebSocket is down', () => {
  const refusals: Readonly<Record<string, (service: Service) => void>> = {
    'refuses the upgrade with 401': (service) => {
      service.behaviour.refuse = 401
    },
    'refuses the upgrade with 429': (service) => {
      service.behaviour.refuse = 429
    },
    'says 401': (service) => {
      service.behaviour.connected = (socket) => sendFrame(socket, { TYPE: '401', MESSAGE: 'UNAUTHORIZED' })
    },
    'says 429 by number': (service) => {
      service.behaviour.connected = (socket) =>
        sendFrame(socket, { TYPE: 429, MESSAGE: 'TOO_MANY_SOCKETS_MAX_1_PER_CLIENT', INFO: 'too many' })
    },
    'closes at once': (service) => {
      service.behaviour.connected = (socket) => socket.close(1001)
    },
    'greets and closes': (service) => {
      service.behaviour.connected = (socket) => {
        sendFrame(socket, WELCOME)
        sendFrame(socket, { TYPE: '500', MESSAGE: 'FORCE_DISCONNECT' })
      }
    },
    'stays silent': (service) => {
      service.behaviour.connected = () => undefined
      service.behaviour.received = () => undefined
    },
  }

  for (const [name, misbehave] of Object.entries(refusals)) {
    test(`a service that ${name} is polled, and left when the WebSocket delivers`, async (t) => {
      const service = await startService(t)
      const { connected, received } = service.behaviour
      service.behaviour.rest = rising()
      misbehave(service)
      const { source } = await openCryptoCompare(t, service, { ...QUICK, timeout: 100 })
      const polled = await pull(source, 'quotes by REST', (all) => eventsOf(all, 'quote').length >= 3)
      assert.deepEqual(changesOf(polled.slice(0, 1)), ['connected'], 'what is polled comes after the change')
      assert.equal(changesOf(polled).length, 1)
      assert.equal(source.health().way, 'rest')
      assert.match(source.health().failure?.code ?? '', /^SOURCE_/)
      delete service.behaviour.refuse
      if (connected) service.behaviour.connected = connected
      if (received) service.behaviour.received = received
      const back = await pull(source, 'the WebSocket is back', (all) => changesOf(all).length > 0)
      assert.deepEqual(changesOf(back), ['recovered+'])
      assert.equal(source.health().way, 'websocket')
      assert.equal(source.health().failure, undefined)
      service.send(trade(1))
      await pull(source, 'data flows', (all) => eventsOf(all, 'trade').length === 1)
      service.calls.length = 0
      await source.next({ maxItems: 1, lingerMs: 0, waitMs: 60 }, AbortSignal.timeout(5_000))
      assert.equal(service.calls.length, 0, 'it is still polling')
    })
  }

  test('quotes of all markets of an exchange come in one call, and what is unchanged gives no event', async (t) => {
    const service = await startService(t)
    service.behaviour.refuse = 503
    service.behaviour.rest = (url) =>
      url.searchParams.get('e') === 'CCCAGG'
        ? raw({ BTC: { USD: ticker(5) } })
        : raw({
            BTC: { USD: { ...ticker(1), BID: 'no number' } },
            ETH: { USD: 'no ticker' as unknown as object },
          })
    const { source } = await openCryptoCompare(t, service, {
      ...QUICK,
      markets: [BTC, ETH, INDEX],
      channels: ['quote'],
    })
    const items = await pull(source, 'several rounds', () => service.calls.length >= 8)
    assert.deepEqual(
      eventsOf(items, 'quote').map(({ exchange, symbol, last }) => ({ exchange, symbol, last })),
      [
        { ...BTC, last: 1 },
        { ...INDEX, last: 5 },
      ],
    )
    const asked = service.calls.map(
      ({ url }) => `${url.searchParams.get('e')} ${url.searchParams.get('fsyms')}`,
    )
    assert.deepEqual(new Set(asked), new Set(['Coinbase BTC,ETH', 'CCCAGG BTC']))
  })

  test('markets come and go at run time while it is polled', async (t) => {
    const service = await startService(t)
    service.behaviour.refuse = 503
    let price = 1
    service.behaviour.rest = () => raw({ BTC: { USD: ticker(price++) }, ETH: { USD: ticker(price++) } })
    const { source } = await openCryptoCompare(t, service, { ...QUICK, channels: ['quote'] })
    await pull(source, 'quotes of BTC', (all) => eventsOf(all, 'quote').length > 0)
    source.subscribe([ETH])
    await pull(source, 'quotes of ETH', (all) =>
      eventsOf(all, 'quote').some(({ symbol }) => symbol === 'ETH-USD'),
    )
    source.unsubscribe([BTC])
    await source.next({ maxItems: 10_000, lingerMs: 0, waitMs: 0 }, AbortSignal.timeout(5_000))
    const items = await pull(source, 'further quotes', (all) => eventsOf(all, 'quote').length >= 2)
    assert.deepEqual(new Set(eventsOf(items, 'quote').map(({ symbol }) => symbol)), new Set(['ETH-USD']))
  })

  test('a market that REST does not know is reported once and costs the others nothing', async (t) => {
    const service = await startService(t)
    service.behaviour.refuse = 503
    const doge = { exchange: 'coinbase', symbol: 'DOGE-EUR' }
    service.behaviour.rest = (url) => {
      const bases = url.searchParams.get('fsyms')?.split(',') ?? []
      const quotes = url.searchParams.get('tsyms')?.split(',') ?? []
      const pairs = bases.flatMap((base) => quotes.map((quote) => `${base}-${quote}`))
      const unknown = pairs.find((pair) => pair !== 'BTC-USD' && pair !== 'ETH-USD')
      if (unknown) {
        return failed(1, `cccagg_or_exchange market does not exist for this coin pair (${unknown})`)
      }
      return raw(Object.fromEntries(bases.map((base) => [base, { USD: ticker(base.length) }])))
    }
    const { source } = await openCryptoCompare(t, service, {
      ...QUICK,
      markets: [BTC, doge, ETH],
      channels: ['quote'],
    })
    const items = await pull(
      source,
      'both known markets',
      (all) => eventsOf(all, 'quote').length === 2 && eventsOf(all, 'status').length > 0,
    )
    assert.deepEqual(
      eventsOf(items, 'status').map(({ symbol }) => symbol),
      ['DOGE-EUR'],
    )
    assert.match(eventsOf(items, 'status')[0]?.detail ?? '', /^MARKET_UNKNOWN: rest: cccagg_or_exchange/)
    service.calls.length = 0
    const later = await pull(source, 'further rounds', () => service.calls.length > 3)
    assert.deepEqual(eventsOf(later, 'status'), [])
    assert.deepEqual(
      new Set(service.calls.map(({ url }) => url.searchParams.get('fsyms'))),
      new Set(['BTC,ETH']),
    )
  })

  test('a rate limit is honoured: no call until it is over', async (t) => {
    const service = await startService(t)
    service.behaviour.refuse = 503
    const limit = { calls_made: { second: 30, minute: 40 }, max_calls: { second: 20, minute: 300 } }
    service.behaviour.rest = () =>
      failed(99, 'You are over your rate limit please upgrade your account!', limit)
    const { source } = await openCryptoCompare(t, service, { ...QUICK, channels: ['quote'] })
    const error = await failureOf(source)
    assert.equal(error.code, 'SOURCE_RATE_LIMITED')
    assert.equal(service.calls.length, 1)
    service.behaviour.rest = rising()
    await pull(source, 'quotes when the second is over', (all) => eventsOf(all, 'quote').length > 0)
  })

  test('a way that was refused does not count as delivering until it is allowed again', async (t) => {
    const service = await startService(t)
    service.behaviour.refuse = 503
    service.behaviour.rest = rising()
    const { source } = await openCryptoCompare(t, service, { ...QUICK, channels: ['quote'] })
    await pull(source, 'quotes by REST', (all) => eventsOf(all, 'quote').length > 0)
    const limit = { calls_made: { second: 1, minute: 301 }, max_calls: { second: 20, minute: 300 } }
    service.behaviour.rest = () =>
      failed(99, 'You are over your rate limit please upgrade your account!', limit)
    assert.equal((await failureOf(source)).code, 'SOURCE_RATE_LIMITED')
    assert.equal(source.health().way, 'none')
  })

  test('a used-up window in the headers pauses the polling without being a failure', async (t) => {
    const service = await startService(t)
    service.behaviour.refuse = 503
    const quotes = rising()
    service.behaviour.rest = (url) => ({
      ...quotes(url),
      headers: {
        'X-RateLimit-Remaining-All': '1220397, 30;window=1, 0;window=60',
        'X-RateLimit-Reset-All': '300, 1;window=1, 30;window=60',
      },
    })
    const { source } = await openCryptoCompare(t, service, { ...QUICK, channels: ['quote'] })
    await pull(source, 'the first quote', (all) => eventsOf(all, 'quote').length === 1)
    const calls = service.calls.length
    const { items } = await source.next({ maxItems: 9, lingerMs: 0, waitMs: 200 }, AbortSignal.timeout(5_000))
    assert.deepEqual(items, [])
    assert.equal(service.calls.length, calls)
    assert.equal(source.health().way, 'rest')
  })

  test('closed candles come from histominute, each once, without the one that is forming', async (t) => {
    const service = await startService(t)
    service.behaviour.refuse = 503
    let minute = 1753190400
    const row = (time: number) => ({ time, open: 1, high: 3, low: 1, close: 2, volumefrom: 5, volumeto: 9 })
    service.behaviour.rest = () => {
      const rows = [minute - 120, minute - 60, minute].map(row)
      return { body: { ...NO_HISTORY, Data: { Aggregated: false, Data: rows } } }
    }
    const { source } = await openCryptoCompare(t, service, {
      ...QUICK,
      channels: ['candle'],
      now: () => minute * 1_000_000,
    })
    const first = await pull(source, 'two candles', (all) => eventsOf(all, 'candle').length === 2)
    minute += 60
    const second = await pull(source, 'one more', (all) => eventsOf(all, 'candle').length === 1)
    assert.deepEqual(
      [...first, ...second].flatMap((item) => (item.channel === 'candle' ? [item.event.ts] : [])),
      [-120, -60, 0].map((seconds) => (1753190400 + seconds) * 1_000_000),
    )
    const [candle] = eventsOf(first, 'candle')
    assert.deepEqual(
      { closed: candle?.closed, origin: candle?.origin, volume: candle?.volume, interval: candle?.interval },
      { closed: true, origin: 'source', volume: 5, interval: '1m' },
    )
  })

  test('next rejects only while neither way delivers, and goes on when one does', async (t) => {
    const service = await startService(t)
    const { source, log } = await openCryptoCompare(t, service, QUICK)
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    await service.stop()
    const error = await failureOf(source)
    assert.equal(error.code, 'SOURCE_UNAVAILABLE')
    assert.match(error.message, /websocket: .*ECONNREFUSED.*; rest: .*ECONNREFUSED/)
    assert.equal(source.health().way, 'none')
    await service.listen()
    await pull(source, 'it is back', (all) => changesOf(all).includes('recovered+'))
    service.send(trade(1))
    await pull(source, 'data flows', (all) => eventsOf(all, 'trade').length === 1)
    assertSecret(log, error.message)
  })

  test('what arrived before both ways went down can still be pulled', async (t) => {
    const service = await startService(t)
    const { source } = await openCryptoCompare(t, service, QUICK)
    await pull(source, 'it connects', (all) => changesOf(all).length === 1)
    service.send(trade(1))
    await until('the trade arrived', () => source.health().counters.frames >= 6)
    await service.stop()
    await until('both ways are down', () => (source.health().failure?.code ?? '') === 'SOURCE_UNAVAILABLE')
    const items = await pull(source, 'the trade', (all) => eventsOf(all, 'trade').length === 1)
    assert.equal(eventsOf(items, 'trade')[0]?.id, '1')
    await failureOf(source)
  })

  test('trades alone have no second way: the failure of the WebSocket is told', async (t) => {
    const service = await Service.start(t, { refuse: 401 })
    const { source } = await openCryptoCompare(t, service, { channels: ['trade'] })
    assert.equal((await failureOf(source)).code, 'SOURCE_UNAUTHORIZED')
    assert.equal(service.calls.length, 0)
  })
})
