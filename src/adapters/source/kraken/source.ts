import { exchangeKind } from '../feed/exchange-kind.ts'

/** Kraken's public spot WebSocket, version 2: trades and best prices, without a key. */
export const kraken = exchangeKind({
  name: 'kraken',
  title: 'Kraken',
  socket: 'wss://ws.kraken.com/v2',
  usual: { reconnect: 5_000 },
  loadWire: async () => (await import('./wire.ts')).krakenWire,
})
