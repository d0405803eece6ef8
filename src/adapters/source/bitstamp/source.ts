import type { SourceKind } from '../feed/source-kind.ts'

/** Bitstamp's WebSocket, version 2: trades and best prices, without a key. */
export const bitstamp: SourceKind = {
  name: 'bitstamp',
  title: 'Bitstamp',
  page: 'sources.md#bitstamp',
  channels: ['trade', 'quote'],
  exchanges: ['bitstamp'],
  socket: 'wss://ws.bitstamp.net',
  // It is asked every 20 s whether it is there: after three questions without an answer it is not.
  usual: { reconnect: 1_000, staleAfter: 60_000 },
  async load() {
    const [{ ExchangeProtocol }, wire] = await Promise.all([
      import('../feed/exchange-protocol.ts'),
      import('./wire.ts'),
    ])
    return (parts) => ({ protocol: new ExchangeProtocol(wire.bitstampWire, parts) })
  },
}
