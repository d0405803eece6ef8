import { exchangeKind } from '../feed/exchange-kind.ts'

/** Kraken's public spot WebSocket, version 2: trades, best prices and books, without a key. */
export const kraken = exchangeKind({
  name: 'kraken',
  title: 'Kraken',
  socket: 'wss://ws.kraken.com/v2',
  rest: 'https://api.kraken.com/0/public',
  loadHistory: async () => (await import('./history.ts')).krakenHistory,
  loadInstruments: async () => (await import('./instruments.ts')).krakenInstruments,
  usual: { reconnect: 5_000 },
  hasBooks: true,
  loadWire: async () => (await import('./wire.ts')).createKrakenWire,
})
