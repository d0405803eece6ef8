import type { SourceKind } from '../feed/source-kind.ts'

/** Kraken's public spot WebSocket, version 2: trades and best prices, without a key. */
export const kraken: SourceKind = {
  name: 'kraken',
  title: 'Kraken',
  page: 'sources.md#kraken',
  channels: ['trade', 'quote'],
  exchanges: ['kraken'],
  socket: 'wss://ws.kraken.com/v2',
  // It is asked every 20 s whether it is there: after three questions without an answer it is not.
  usual: { reconnect: 5_000, staleAfter: 60_000 },
  async load() {
    const [{ ExchangeProtocol }, wire] = await Promise.all([
      import('../feed/exchange-protocol.ts'),
      import('./wire.ts'),
    ])
    return (parts) => ({ protocol: new ExchangeProtocol(wire.krakenWire, parts) })
  },
}
