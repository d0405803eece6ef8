import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CcxtBook, CcxtExchange } from '../../../src/adapters/source/ccxt/library.ts'
import { openCcxtSocket } from '../../../src/adapters/source/ccxt/socket.ts'
import { ccxtWire } from '../../../src/adapters/source/ccxt/wire.ts'

const BOOKS: readonly CcxtBook[] = [
  {
    timestamp: 1_790_000_000_123,
    bids: [
      [9, 1.5],
      [8, 1],
    ],
    asks: [[10, 2]],
  },
  { bids: [], asks: [[11, 3]] },
]

test('an exchange of ccxt without a ticker has the best prices of its books as quotes', async (t) => {
  const books = [...BOOKS]
  const never = () => new Promise<never>(() => {})
  const exchange: CcxtExchange = {
    has: { watchTrades: true, watchTicker: false, watchBidsAsks: undefined, watchOrderBook: true },
    ...{ urls: {}, currencies: undefined, precisionMode: 4, clients: {} },
    markets: { 'BTC/USD': { id: 'x', symbol: 'BTC/USD', base: 'BTC', quote: 'USD' } },
    handleMessage: () => undefined,
    loadHttpProxyAgent: async () => undefined,
    loadMarkets: async () => undefined,
    setMarkets: () => undefined,
    watchTrades: never,
    watchTicker: () => Promise.reject(new Error('not supported')),
    watchBidsAsks: () => Promise.reject(new Error('not supported')),
    watchOrderBook: async () => books.shift() ?? never(),
    close: async () => undefined,
  }
  const socket = openCcxtSocket({ library: { pro: {} }, open: async () => exchange })
  t.after(() => socket.terminate())
  await new Promise<void>((resolve) => socket.once('open', resolve))
  const wire = ccxtWire('x')
  const heard = new Promise<unknown[]>((resolve) => {
    const items: unknown[] = []
    socket.on('message', (data) => {
      items.push(...wire.read(String(data)))
      if (items.length === BOOKS.length) resolve(items)
    })
  })
  for (const frame of wire.ask('subscribe', ['BTC-USD'], ['quote'], 1, 10)) socket.send(frame)
  assert.deepEqual(await heard, [
    {
      ...{ kind: 'quote', name: 'BTC-USD', ts: 1_790_000_000_123_000 },
      update: { bid: 9, bidSize: 1.5, ask: 10, askSize: 2, last: undefined, volume24h: undefined },
    },
    {
      ...{ kind: 'quote', name: 'BTC-USD', ts: 'none' },
      update: { bid: null, bidSize: undefined, ask: 11, askSize: 3, last: undefined, volume24h: undefined },
    },
  ])
})
