import { exchangeKind } from '../feed/exchange-kind.ts'

/** Bitfinex's public WebSocket, version 2: trades, best prices and books, without a key. */
export const bitfinex = exchangeKind({
  name: 'bitfinex',
  title: 'Bitfinex',
  usualMarkets: ['BTC-USD', 'ETH-USD', 'BTC-USDT', 'XRP-USD'],
  socket: 'wss://api-pub.bitfinex.com/ws/2',
  rest: 'https://api-pub.bitfinex.com/v2',
  loadHistory: async () => (await import('./history.ts')).bitfinexHistory,
  loadInstruments: async () => (await import('./instruments.ts')).bitfinexInstruments,
  usual: { reconnect: 4_000 },
  mostSubscriptions: 25,
  hasBooks: true,
  loadWire: async () => (await import('./wire.ts')).createBitfinexWire,
})
