import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listInstruments } from '../../../src/adapters/source/feed/instruments.ts'
import type { SourceKind } from '../../../src/adapters/source/feed/source-kind.ts'
import { SOURCES } from '../../../src/adapters/source/index.ts'
import { type RestAnswer, Service } from './service.ts'

/** A list of each exchange, as its documentation shows one; the second market is not traded. */
const LISTS: Readonly<
  Record<string, { readonly path: string; readonly body: unknown; readonly expected: unknown }>
> = {
  binance: {
    path: '/api/v3/exchangeInfo',
    body: {
      timezone: 'UTC',
      symbols: [
        {
          ...{ symbol: 'BTCUSDT', status: 'TRADING', baseAsset: 'BTC', quoteAsset: 'USDT' },
          filters: [
            { filterType: 'PRICE_FILTER', minPrice: '0.01', tickSize: '0.01' },
            { filterType: 'LOT_SIZE', minQty: '0.00001', stepSize: '0.00001' },
            { filterType: 'MARKET_LOT_SIZE', stepSize: '0.00000' },
          ],
        },
        { symbol: 'LUNABUSD', status: 'BREAK', baseAsset: 'LUNA', quoteAsset: 'BUSD', filters: [] },
      ],
    },
    expected: [
      ['BTC-USDT', 'BTCUSDT', '0.01', '0.00001', true],
      ['LUNA-BUSD', 'LUNABUSD', null, null, false],
    ],
  },
  bitfinex: {
    path: '/conf/pub:list:pair:exchange',
    body: [['BTCUSD', 'BTCUST', 'DOGE:USD']],
    expected: [
      ['BTC-USD', 'BTCUSD', null, null, true],
      ['BTC-USDT', 'BTCUST', null, null, true],
      ['DOGE-USD', 'DOGE:USD', null, null, true],
    ],
  },
  bitstamp: {
    path: '/markets/',
    body: [
      {
        ...{ market_symbol: 'btcusd', base_currency: 'BTC', counter_currency: 'USD', trading: 'Enabled' },
        ...{ base_decimals: 8, counter_decimals: 2 },
      },
      { market_symbol: 'xrpeur', base_currency: 'XRP', counter_currency: 'EUR', trading: 'Disabled' },
    ],
    expected: [
      ['BTC-USD', 'btcusd', '0.01', '0.00000001', true],
      ['XRP-EUR', 'xrpeur', null, null, false],
    ],
  },
  bybit: {
    path: '/v5/market/instruments-info',
    body: {
      retCode: 0,
      result: {
        category: 'spot',
        list: [
          {
            ...{ symbol: 'BTCUSDT', baseCoin: 'BTC', quoteCoin: 'USDT', status: 'Trading' },
            lotSizeFilter: { basePrecision: '0.000001' },
            priceFilter: { tickSize: '0.1' },
          },
          { symbol: 'OLDUSDT', baseCoin: 'OLD', quoteCoin: 'USDT', status: 'Closed' },
        ],
      },
    },
    expected: [
      ['BTC-USDT', 'BTCUSDT', '0.1', '0.000001', true],
      ['OLD-USDT', 'OLDUSDT', null, null, false],
    ],
  },
  coinbase: {
    path: '/products',
    body: [
      {
        ...{ id: 'BTC-USD', base_currency: 'BTC', quote_currency: 'USD', status: 'online' },
        ...{ quote_increment: '0.01', base_increment: '0.00000001', trading_disabled: false },
      },
      { id: 'REP-USD', base_currency: 'REP', quote_currency: 'USD', status: 'delisted' },
    ],
    expected: [
      ['BTC-USD', 'BTC-USD', '0.01', '0.00000001', true],
      ['REP-USD', 'REP-USD', null, null, false],
    ],
  },
  kraken: {
    path: '/AssetPairs',
    body: {
      error: [],
      result: {
        XXBTZUSD: {
          ...{ altname: 'XBTUSD', wsname: 'XBT/USD', base: 'XXBT', quote: 'ZUSD' },
          ...{ lot_decimals: 8, tick_size: '0.1', status: 'online' },
        },
        XDGEUR: { altname: 'XDGEUR', wsname: 'XDG/EUR', lot_decimals: 8, status: 'cancel_only' },
      },
    },
    expected: [
      ['BTC-USD', 'XBTUSD', '0.1', '0.00000001', true],
      ['DOGE-EUR', 'XDGEUR', null, '0.00000001', false],
    ],
  },
  okx: {
    path: '/api/v5/public/instruments',
    body: {
      code: '0',
      data: [
        {
          ...{ instId: 'BTC-USDT', baseCcy: 'BTC', quoteCcy: 'USDT', state: 'live' },
          ...{ tickSz: '0.1', lotSz: '0.00000001' },
        },
        { instId: 'OLD-USDT', baseCcy: 'OLD', quoteCcy: 'USDT', state: 'suspend' },
      ],
    },
    expected: [
      ['BTC-USDT', 'BTC-USDT', '0.1', '0.00000001', true],
      ['OLD-USDT', 'OLD-USDT', null, null, false],
    ],
  },
}

const wireOf = async (name: string) => {
  const kind: SourceKind = SOURCES[name as keyof typeof SOURCES]
  const wire = await kind.loadInstruments?.()
  assert.ok(wire, `${name} tells what it trades`)
  return wire
}

for (const [name, { path, body, expected }] of Object.entries(LISTS))
  test(`${name} tells what it trades`, async (t) => {
    const service = await Service.start(t, { rest: () => ({ body }) })
    const options = { rest: new URL(service.restUrl), timeoutMs: 10_000 }
    const listed = await listInstruments(await wireOf(name), options, t.signal)
    assert.equal(service.calls[0]?.url.pathname, path)
    assert.deepEqual(
      listed.map((each) => [each.symbol, each.name, each.tick, each.lot, each.isTrading]),
      expected,
    )
    assert.ok(listed.every(({ exchange }) => exchange === name))
  })

const BAD: readonly (readonly [string, RestAnswer | 'hang', string])[] = [
  ['a refusal', { status: 403, body: 'not from here' }, 'not from here'],
  ['what is no list', { body: { code: -1, msg: 'maintenance' } }, 'no markets'],
  ['what is no JSON', { body: '<html>' }, 'no markets'],
  ['no answer', 'hang', 'no answer within'],
]

for (const [what, answer, words] of BAD)
  test(`${what} instead of a list is an error with a code`, async (t) => {
    const service = await Service.start(t, { rest: () => answer })
    const options = { rest: new URL(service.restUrl), timeoutMs: answer === 'hang' ? 50 : 10_000 }
    await assert.rejects(listInstruments(await wireOf('binance'), options, t.signal), (error: Error) => {
      assert.match(String(Reflect.get(error, 'code')), /^SOURCE_/)
      assert.ok(error.message.includes(words), error.message)
      return true
    })
  })

test('what cannot be a market of ours is left out, and costs the others nothing', async (t) => {
  const row = (base: unknown, quote: unknown) => ({
    id: `${base}/${quote}`,
    base_currency: base,
    quote_currency: quote,
  })
  const body = [row('BTC', 'USD'), row('A*B', 'USD'), row('', 'USD'), row(7, 'USD'), row('币安', 'USD')]
  const service = await Service.start(t, { rest: () => ({ body }) })
  const options = { rest: new URL(service.restUrl), timeoutMs: 10_000 }
  const listed = await listInstruments(await wireOf('coinbase'), options, t.signal)
  assert.deepEqual(
    listed.map(({ symbol }) => symbol),
    ['BTC-USD', '币安-USD'],
  )
})
