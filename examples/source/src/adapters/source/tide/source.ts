import type { SourceKind } from '../feed/source-kind.ts'

/** Tide, an exchange that does not exist: trades and quotes over a WebSocket, without a key. */
export const tide: SourceKind = {
  name: 'tide',
  title: 'Tide',
  page: 'sources.md#tide',
  channels: ['trade', 'quote'],
  exchanges: ['tide'],
  socket: 'wss://feed.tide.example',
  // It says that it is alive every 5 s; one that is late by a few is not gone.
  usual: { reconnect: 1_000, staleAfter: 15_000 },
  async load() {
    const [{ ExchangeProtocol }, { tideWire }] = await Promise.all([
      import('../feed/exchange-protocol.ts'),
      import('./wire.ts'),
    ])
    return (parts) => ({ protocol: new ExchangeProtocol(tideWire, parts) })
  },
}
