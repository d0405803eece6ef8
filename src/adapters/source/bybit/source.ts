import { exchangeKind } from '../feed/exchange-kind.ts'

/** Bybit's public spot WebSocket, version 5: trades, best prices and books, without a key. */
export const bybit = exchangeKind({
  name: 'bybit',
  title: 'Bybit',
  usualMarkets: ['BTC-USDT', 'ETH-USDT', 'SOL-USDT', 'XRP-USDT'],
  socket: 'wss://stream.bybit.com/v5/public/spot',
  hasBooks: true,
  rest: 'https://api.bybit.com',
  loadHistory: async () => (await import('./history.ts')).bybitHistory,
  loadInstruments: async () => (await import('./instruments.ts')).bybitInstruments,
  // Their names may have 21,000 characters together.
  mostSubscriptions: 500,
  loadWire: async () => (await import('./wire.ts')).bybitWire,
})
