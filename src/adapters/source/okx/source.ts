import { exchangeKind } from '../feed/exchange-kind.ts'

/** OKX's public WebSocket, version 5: trades, best prices and books, without a key. */
export const okx = exchangeKind({
  name: 'okx',
  title: 'OKX',
  usualMarkets: ['BTC-USDT', 'ETH-USDT', 'SOL-USDT', 'XRP-USDT'],
  socket: 'wss://ws.okx.com:8443/ws/v5/public',
  rest: 'https://www.okx.com',
  hasBooks: true,
  loadHistory: async () => (await import('./history.ts')).okxHistory,
  loadInstruments: async () => (await import('./instruments.ts')).okxInstruments,
  // Requests may have 64 KB together.
  mostSubscriptions: 1_000,
  loadWire: async () => (await import('./wire.ts')).okxWire,
})
