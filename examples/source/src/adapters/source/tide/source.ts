import { exchangeKind } from '../feed/exchange-kind.ts'

/** Tide, an exchange that does not exist: trades and quotes over a WebSocket, without a key. */
export const tide = exchangeKind({
  name: 'tide',
  title: 'Tide',
  socket: 'wss://feed.tide.example',
  // It says that it is alive every 5 s; one that is late by a few is not gone.
  usual: { staleAfter: 15_000 },
  loadWire: async () => (await import('./wire.ts')).tideWire,
})
