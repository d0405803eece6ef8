import { exchangeKind } from '../feed/exchange-kind.ts'

/** Bitstamp's WebSocket, version 2: trades, best prices and books, without a key. */
export const bitstamp = exchangeKind({
  name: 'bitstamp',
  title: 'Bitstamp',
  socket: 'wss://ws.bitstamp.net',
  rest: 'https://www.bitstamp.net/api/v2',
  loadHistory: async () => (await import('./history.ts')).bitstampHistory,
  loadInstruments: async () => (await import('./instruments.ts')).bitstampInstruments,
  mostSubscriptions: 1_024,
  hasBooks: true,
  loadWire: async () => (await import('./wire.ts')).createBitstampWire,
})
