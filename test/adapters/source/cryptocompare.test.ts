import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkEvent } from '../../../src/domain/event-codec.ts'
import {
  BTC,
  ETH,
  HEARTBEAT,
  INDEX,
  openCryptoCompare,
  startService,
  TRADE,
  trade,
  WELCOME,
} from './cryptocompare-fixtures.ts'
import { type Service, sendFrame } from './service.ts'
import { changesOf, eventsOf, pull, until } from './waiting.ts'

/** Waits until the source is subscribed, so that what is sent next arrives. */
async function subscribed(service: Service): Promise<void> {
  await service.asked('SubAdd', (frame) => frame['action'] === 'SubAdd')
}

const END = {
  TYPE: '0',
  M: 'Coinbase',
  FSYM: 'BTC',
  TSYM: 'USD',
  F: '4',
  ID: 'end',
  TS: 1753199999,
  Q: 1,
  P: 1,
}

/** Sends frames and an end mark, and gives what arrived before the mark. */
async function through(t: Parameters<typeof startService>[0], frames: readonly unknown[], changes = {}) {
  const service = await startService(t)
  const opened = await openCryptoCompare(t, service, changes)
  await subscribed(service)
  service.send(...frames, END)
  const items = await pull(opened.source, 'the end mark arrives', (all) =>
    eventsOf(all, 'trade').some((event) => event.id === 'end'),
  )
  return {
    ...opened,
    service,
    items,
    trades: eventsOf(items, 'trade').slice(0, -1),
    quotes: eventsOf(items, 'quote'),
    candles: eventsOf(items, 'candle'),
    statuses: eventsOf(items, 'status'),
  }
}

describe('CryptoCompare: trades', () => {
  test('the recorded frame becomes a trade of the contract', async (t) => {
    const { trades } = await through(t, [TRADE])
    assert.equal(trades.length, 1)
    const { recvTs, ...event } = trades[0] ?? assert.fail('no trade')
    assert.deepEqual(event, {
      exchange: 'coinbase',
      symbol: 'BTC-USD',
      id: '852793745',
      side: 'sell',
      price: 119283.1,
      size: 0.34637342,
      ts: 1753190418654000,
    })
    assert.ok(Number.isSafeInteger(recvTs))
    checkEvent('trade', trades[0])
  })

  test('TYPE and ID may be numbers, F a number, TSNS missing', async (t) => {
    const { trades } = await through(t, [{ ...trade(7), TYPE: 0, ID: 7, F: 2, TSNS: undefined }])
    assert.deepEqual(
      trades.map(({ id, side, ts }) => ({ id, side, ts })),
      [{ id: '7', side: 'buy', ts: (TRADE.TS + 7) * 1_000_000 }],
    )
  })

  test('a numeric id beyond 2^53 keeps all its digits', async (t) => {
    const text = JSON.stringify({ ...TRADE, ID: 'HERE' }).replace('"HERE"', '9007199254740993')
    const { trades } = await through(t, [text])
    assert.deepEqual(
      trades.map(({ id }) => id),
      ['9007199254740993'],
    )
  })

  test('F tells the side of the taker: 1 sell, 2 buy, else unknown', async (t) => {
    const flags = ['1', '2', '4', '0', '3', undefined]
    const { trades } = await through(
      t,
      flags.map((F, i) => trade(i, { F })),
    )
    assert.deepEqual(
      trades.map(({ side }) => side),
      ['sell', 'buy', 'unknown', 'unknown', 'unknown', 'unknown'],
    )
  })

  test('a reversed trade comes turned round already: price, size and side are as they stand', async (t) => {
    const { trades } = await through(t, [
      trade(1, { F: '9', P: 251, Q: 0.4, TOTAL: 100.4 }),
      trade(2, { F: 10, P: 252, Q: 0.5, TOTAL: 126 }),
      trade(3, { F: '12', P: 253, Q: 0.6 }),
      trade(4, { F: '8', P: 254, Q: 0.7 }),
    ])
    assert.deepEqual(
      trades.map(({ side, price, size }) => ({ side, price, size })),
      [
        { side: 'sell', price: 251, size: 0.4 },
        { side: 'buy', price: 252, size: 0.5 },
        { side: 'unknown', price: 253, size: 0.6 },
        { side: 'unknown', price: 254, size: 0.7 },
      ],
    )
  })

  test('trades without an id get ids from content and ordinal, the same ones when they are repeated', async (t) => {
    const { ID: _, ...anonymous } = TRADE
    const first = [anonymous, anonymous, { ...anonymous, P: 119284 }]
    const { source, service, trades } = await through(t, first)
    const ids = trades.map(({ id }) => id)
    assert.equal(new Set(ids).size, 3, 'equal trades have ids of their own')
    service.received.length = 0
    service.cut()
    await subscribed(service)
    service.send(...first, { ...END, ID: 'again' })
    const items = await pull(source, 'the repeat arrives', (all) =>
      eventsOf(all, 'trade').some(({ id }) => id === 'again'),
    )
    assert.deepEqual(
      eventsOf(items, 'trade')
        .map(({ id }) => id)
        .slice(0, -1),
      ids,
    )
  })

  test('repeats are passed on and counted; so are trades out of order', async (t) => {
    const { source, trades } = await through(t, [trade(1), trade(2), trade(5), trade(1), trade(3)])
    assert.deepEqual(
      trades.map(({ id }) => id),
      ['1', '2', '5', '1', '3'],
    )
    const { duplicates, outOfOrder } = source.health().counters
    assert.deepEqual({ duplicates, outOfOrder }, { duplicates: 1, outOfOrder: 1 })
  })

  test('frames of a market that nobody asked for are left out', async (t) => {
    const { trades, source } = await through(t, [trade(1, { FSYM: 'DOGE' }), trade(2)])
    assert.deepEqual(
      trades.map(({ id }) => id),
      ['2'],
    )
    assert.equal(source.health().counters.malformed, 0)
  })

  test('malformed trades are counted and left out', async (t) => {
    const bad = [
      trade(1, { P: '119283,1' }),
      trade(2, { P: -1 }),
      trade(3, { Q: null }),
      trade(4, { TS: 1.5 }),
      trade(5, { TSNS: 1e9 }),
      trade(6, { ID: { toString: 1 } }),
      trade(7, { ID: 'x'.repeat(129) }),
      trade(8, { M: 5 }),
      trade(9, { F: { valueOf: 1, toString: 1 }, P: undefined }),
    ]
    const { trades, source } = await through(t, bad)
    assert.deepEqual(trades, [])
    assert.equal(source.health().counters.malformed, bad.length)
  })
})

describe('CryptoCompare: tickers', () => {
  const snapshot = {
    TYPE: '2',
    MARKET: 'Coinbase',
    FROMSYMBOL: 'BTC',
    TOSYMBOL: 'USD',
    FLAGS: 2052,
    PRICE: 119283.1,
    BID: 119283,
    ASK: 119284,
    LASTUPDATE: 1753190418,
    LASTVOLUME: 0.3,
    VOLUME24HOUR: 5000.5,
  }

  test('changed fields are merged with the last state', async (t) => {
    const change = {
      TYPE: 2,
      MARKET: 'Coinbase',
      FROMSYMBOL: 'BTC',
      TOSYMBOL: 'USD',
      FLAGS: 8,
      BID: 119283.5,
    }
    const later = { ...change, BID: undefined, PRICE: 119290, LASTUPDATE: 1753190420 }
    const { quotes } = await through(t, [snapshot, change, later])
    const market = { exchange: 'coinbase', symbol: 'BTC-USD' }
    const common = { ...market, ask: 119284, volume24h: 5000.5 }
    assert.deepEqual(
      quotes.map(({ recvTs: _, ...quote }) => quote),
      [
        { ...common, bid: 119283, last: 119283.1, ts: 1753190418000000 },
        { ...common, bid: 119283.5, last: 119283.1, ts: 1753190418000000 },
        { ...common, bid: 119283.5, last: 119290, ts: 1753190420000000 },
      ],
    )
    for (const quote of quotes) checkEvent('quote', quote)
  })

  test('an update that changes nothing of a quote gives no event', async (t) => {
    const { quotes } = await through(t, [
      snapshot,
      { ...snapshot, FLAGS: 4, LASTVOLUME: 9, LASTUPDATE: 1753190419 },
    ])
    assert.equal(quotes.length, 1)
  })

  test('the aggregate (TYPE 5) is the exchange cccagg and is subscribed as 5', async (t) => {
    const index = { ...snapshot, TYPE: '5', MARKET: 'CCCAGG', BID: undefined, ASK: undefined, MEDIAN: 119283 }
    const { quotes, service } = await through(t, [index], { markets: [BTC, INDEX] })
    assert.deepEqual(
      quotes.map(({ exchange, symbol, last, bid }) => ({ exchange, symbol, last, bid })),
      [{ exchange: 'cccagg', symbol: 'BTC-USD', last: 119283.1, bid: undefined }],
    )
    assert.deepEqual(service.received[0]?.['subs'], [
      '0~Coinbase~BTC~USD',
      '2~Coinbase~BTC~USD',
      '24~Coinbase~BTC~USD~m',
      '5~CCCAGG~BTC~USD',
      '24~CCCAGG~BTC~USD~m',
    ])
  })
})

describe('CryptoCompare: candles', () => {
  const candle = {
    TYPE: '24',
    MARKET: 'Coinbase',
    FROMSYMBOL: 'BTC',
    TOSYMBOL: 'USD',
    TS: 1753190400,
    UNIT: 'm',
    ACTION: 'A',
    OPEN: 10,
    HIGH: 12,
    LOW: 9,
    CLOSE: 11,
    VOLUMEFROM: 3,
    VOLUMETO: 33,
    TOTALTRADES: 4,
  }

  test('a candle is closed when the next one begins', async (t) => {
    const { candles } = await through(t, [
      candle,
      { ...candle, ACTION: 'U', CLOSE: 12, VOLUMEFROM: 4, TOTALTRADES: 5 },
      { ...candle, TS: 1753190460, OPEN: 12, CLOSE: 12 },
    ])
    assert.deepEqual(
      candles.map(({ ts, close, closed, trades }) => ({ ts, close, closed, trades })),
      [
        { ts: 1753190400000000, close: 11, closed: false, trades: 4 },
        { ts: 1753190400000000, close: 12, closed: false, trades: 5 },
        { ts: 1753190400000000, close: 12, closed: true, trades: 5 },
        { ts: 1753190460000000, close: 12, closed: false, trades: 4 },
      ],
    )
    assert.deepEqual(new Set(candles.map(({ origin }) => origin)), new Set(['source']))
    for (const event of candles) checkEvent('candle', event)
  })

  test('a candle has no price of 0; a part that comes late is merged with what was said', async (t) => {
    const minute = (n: number) => 1753190400 + n * 60
    const none = { OPEN: 0, HIGH: 0, LOW: 0, CLOSE: 0, VOLUMEFROM: 0, TOTALTRADES: 0 }
    const { candles } = await through(t, [
      { ...candle, ...none, TS: minute(0) },
      { ...candle, TS: minute(1), OPEN: 50, HIGH: 51, LOW: 49, CLOSE: 50.5, VOLUMEFROM: 5, TOTALTRADES: 9 },
      { ...candle, TS: minute(2), OPEN: 50.5, HIGH: 50.5, LOW: 50.5, CLOSE: 50.5, VOLUMEFROM: 0 },
      {
        ...candle,
        OPEN: undefined,
        LOW: 0,
        CLOSE: undefined,
        TS: minute(1),
        HIGH: 53,
        VOLUMEFROM: 7,
        TOTALTRADES: 12,
      },
    ])
    assert.ok(candles.every(({ open, high, low, close }) => Math.min(open, high, low, close) > 0))
    const {
      exchange: _,
      symbol: __,
      ...last
    } = candles.findLast(({ ts }) => ts === minute(1) * 1e6) ?? assert.fail()
    const prices = { open: 50, high: 53, low: 49, close: 50.5, volume: 7, trades: 12 }
    assert.deepEqual(last, { ...prices, interval: '1m', ts: minute(1) * 1e6, closed: true, origin: 'source' })
  })

  test('a candle of another time spoils no other', async (t) => {
    const odd = [Date.UTC(2255, 0) / 1000, Date.UTC(1990, 0) / 1000, candle.TS + 7, candle.TS - 86_400 * 365]
    const { candles, source } = await through(t, [
      candle,
      ...odd.map((TS) => ({ ...candle, TS, CLOSE: 9.5 })),
      { ...candle, CLOSE: 12 },
      { ...candle, TS: candle.TS + 60, OPEN: 12 },
    ])
    assert.deepEqual(
      candles.map(({ ts, close, closed }) => ({ ts, close, closed })),
      [
        { ts: candle.TS * 1e6, close: 11, closed: false },
        { ts: (candle.TS - 86_400 * 365) * 1e6, close: 9.5, closed: true },
        { ts: candle.TS * 1e6, close: 12, closed: false },
        { ts: candle.TS * 1e6, close: 12, closed: true },
        { ts: (candle.TS + 60) * 1e6, close: 11, closed: false },
      ],
    )
    assert.equal(source.health().counters.malformed, 3)
  })

  test('an odd field of a candle costs itself alone', async (t) => {
    const { candles, source } = await through(t, [
      { ...candle, TOTALTRADES: 2 ** 31, VOLUMEFROM: '3e-2' },
      { ...candle, TS: candle.TS + 60, TOTALTRADES: 'many', HIGH: null },
      { ...candle, TS: candle.TS + 60, HIGH: 12 },
    ])
    assert.deepEqual(
      candles.map(({ volume, trades, high }) => ({ volume, trades, high })),
      [
        { volume: 0.03, trades: undefined, high: 12 },
        { volume: 0.03, trades: undefined, high: 12 },
        { volume: 3, trades: 4, high: 12 },
      ],
    )
    for (const event of candles) checkEvent('candle', event)
    assert.equal(source.health().counters.malformed, 0)
  })

  test('UNIT gives the interval', async (t) => {
    const { candles } = await through(
      t,
      ['m', 'H', 'D'].map((UNIT) => ({ ...candle, UNIT })),
    )
    assert.deepEqual(
      candles.map(({ interval }) => interval),
      ['1m', '1h', '1d'],
    )
  })
})

describe('CryptoCompare: control messages', () => {
  test('every one of the wire facts is understood, and none stops the data', async (t) => {
    const controls = [
      {},
      WELCOME,
      HEARTBEAT,
      { TYPE: 999, MESSAGE: 'HEARTBEAT' },
      { TYPE: '18', MESSAGE: 'UNSUBSCRIBEALLCOMPLETE', INFO_OBJ: { valid: 1, invalid: 0 } },
      { TYPE: '500', MESSAGE: 'INVALID_JSON', INFO: 'not JSON' },
      { TYPE: '500', MESSAGE: 'INVALID_PARAMETER', PARAMETER: 'x' },
      { TYPE: '500', MESSAGE: 'SUBSCRIPTION_ALREADY_ACTIVE', PARAMETER: '0~Coinbase~BTC~USD' },
      { TYPE: '500', MESSAGE: 'SUBSCRIPTION_UNRECOGNIZED', PARAMETER: '0~Coinbase~XRP~USD' },
      { TYPE: '9', M: 'Coinbase', FSYM: 'BTC', TSYM: 'USD', CCSEQ: 1, BID: [], ASK: [] },
      { TYPE: '8', M: 'Coinbase', FSYM: 'BTC', TSYM: 'USD', SIDE: 0, ACTION: 1, P: 1, Q: 1, CCSEQ: 2 },
      { TYPE: '30', M: 'Coinbase' },
      { TYPE: '11', SYMBOL: 'BTC', FULLVOLUME: '1' },
      { TYPE: '21', SYMBOL: 'BTC', TOPTIERFULLVOLUME: '1' },
    ]
    const { trades, source, items, log } = await through(t, [...controls, TRADE])
    assert.equal(trades.length, 1)
    assert.equal(source.health().counters.malformed, 0)
    assert.deepEqual(changesOf(items), ['connected+'])
    assert.deepEqual(
      log.lines.filter(({ level }) => level === 'error'),
      [],
    )
  })

  test('symbols that are not BASE-QUOTE are reported and ask for nothing', async (t) => {
    const odd = ['BTCUSD', 'BTC~X-USD', '-USD']
    const { statuses, service } = await through(t, [], {
      markets: [...odd.map((symbol) => ({ exchange: 'coinbase', symbol })), BTC],
      channels: ['trade'],
    })
    assert.deepEqual(
      statuses.map(({ symbol }) => symbol),
      odd,
    )
    assert.deepEqual(service.received[0]?.['subs'], ['0~Coinbase~BTC~USD'])
  })

  test('subscriptions beyond the limit of a socket are reported, and take the place of others that go', async (t) => {
    const many = Array.from({ length: 602 }, (_, i) => ({ exchange: 'kraken', symbol: `A${i}-USD` }))
    const { statuses, service, source } = await through(t, [], {
      markets: [BTC, ...many],
      channels: ['trade'],
    })
    const first = service.received[0]?.['subs'] as string[]
    assert.equal(first.length, 600)
    assert.deepEqual(
      statuses.map(({ symbol }) => symbol),
      ['A599-USD', 'A600-USD', 'A601-USD'],
    )
    assert.match(statuses[0]?.detail ?? '', /^SOURCE_RATE_LIMITED: a socket takes 600/)
    source.unsubscribe(many.slice(0, 1))
    await service.asked('the market that waited', (frame) => String(frame['subs']) === '0~Kraken~A599~USD')
  })

  test('a smaller limit that the service names takes the places of the last markets', async (t) => {
    const { statuses } = await through(
      t,
      [{ TYPE: 429, MESSAGE: 'TOO_MANY_SUBSCRIPTIONS_MAX_3_PER_SOCKET' }],
      {
        markets: [BTC, ETH],
      },
    )
    assert.deepEqual(
      statuses.map(({ symbol }) => symbol),
      ['ETH-USD'],
    )
  })
})

describe('CryptoCompare: markets at run time', () => {
  test('a market is added and removed while data flows, and its return is marked', async (t) => {
    const { service, source } = await through(t, [])
    source.subscribe([{ exchange: 'Coinbase', symbol: 'eth-usd' }])
    await service.asked('ETH', (frame) => String(frame['subs']).startsWith('0~Coinbase~ETH~USD'))
    service.send(trade(1, { FSYM: 'ETH' }))
    const added = await pull(source, 'a trade of ETH arrives', (items) => eventsOf(items, 'trade').length > 0)
    const about = added.flatMap((item) => (item.channel === 'connection' ? [item] : []))
    assert.deepEqual(
      about.map(({ mayHaveMissed, status: { symbol, state } }) => ({ mayHaveMissed, symbol, state })),
      [{ mayHaveMissed: true, symbol: 'ETH-USD', state: 'connected' }],
    )
    assert.equal(source.health().markets, 2)
    source.unsubscribe([ETH])
    await service.asked('SubRemove', (frame) => frame['action'] === 'SubRemove')
    service.send(trade(2, { FSYM: 'ETH' }), trade(3))
    const after = await pull(source, 'a trade of BTC arrives', (items) =>
      eventsOf(items, 'trade').some(({ symbol }) => symbol === 'BTC-USD'),
    )
    assert.deepEqual(
      eventsOf(after, 'trade').map(({ id }) => id),
      ['3'],
    )
  })

  test('without a market nothing connects; with the last one gone the connection ends, and that is no failure', async (t) => {
    const service = await startService(t)
    const { source } = await openCryptoCompare(t, service, { markets: [] })
    assert.deepEqual(
      (await source.next({ maxItems: 1, lingerMs: 0, waitMs: 100 }, AbortSignal.timeout(5_000))).items,
      [],
    )
    assert.equal(service.upgrades.length, 0)
    source.subscribe([BTC])
    await pull(source, 'it connects', (items) => changesOf(items).includes('connected+'))
    source.unsubscribe([BTC])
    const items = await pull(source, 'it says so', (all) => changesOf(all).includes('disconnected'))
    assert.deepEqual(changesOf(items), ['disconnected'])
    await until('the socket is closed', () => service.sockets.length === 0)
    assert.equal(source.health().failure, undefined)
  })
})

describe('CryptoCompare: garbage', () => {
  test('frames that cannot be read are counted and shown once a minute', async (t) => {
    const garbage = [
      '',
      'null',
      '[]',
      '{"TYPE":',
      '{"TYPE":"77"}',
      '{"a":1}',
      '{"TYPE":{"toString":1}}',
      'NaN',
      '"x"',
    ]
    const { source, log, trades } = await through(t, [...garbage, new Uint8Array([0xff, 0xfe, 0x00]), TRADE])
    assert.equal(source.health().counters.malformed, garbage.length + 1)
    assert.equal(trades.length, 1)
    const shown = log.lines.filter(({ fields }) => 'code' in fields && fields.code === 'SOURCE_MALFORMED')
    assert.equal(shown.length, 1)
  })

  test('a socket that sends nothing but garbage does not count as delivering', async (t) => {
    const service = await startService(t)
    service.behaviour.connected = (socket) => sendFrame(socket, 'garbage')
    service.behaviour.received = () => undefined
    const { source } = await openCryptoCompare(t, service, { channels: ['trade'], timeout: 30 })
    await pull(
      source,
      'no connection is announced',
      () => (source.health().failure?.code ?? '') === 'SOURCE_STALE',
    )
  })
})
