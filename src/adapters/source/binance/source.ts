import { exchangeKind } from '../feed/exchange-kind.ts'

/** Binance's public spot streams: trades, best prices and books, without a key. */
export const binance = exchangeKind({
  name: 'binance',
  title: 'Binance',
  socket: 'wss://stream.binance.com:9443/stream?timeUnit=MICROSECOND',
  numbersTrades: true,
  rest: 'https://api.binance.com',
  hasBooks: true,
  loadHistory: async () => (await import('./history.ts')).binanceHistory,
  loadInstruments: async () => (await import('./instruments.ts')).binanceInstruments,
  mostSubscriptions: 1_024,
  loadWire: async () => (await import('./wire.ts')).binanceWire,
})
