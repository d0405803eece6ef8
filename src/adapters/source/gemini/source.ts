import type { SourceKind } from '../feed/source-kind.ts'

/** Gemini's WebSocket, version 3: trades and best prices, without a key. */
export const gemini: SourceKind = {
  name: 'gemini',
  title: 'Gemini',
  page: 'sources.md#gemini',
  channels: ['trade', 'quote'],
  exchanges: ['gemini'],
  usualMarkets: ['BTC-USD', 'ETH-USD', 'SOL-USD'],
  socket: 'wss://ws.gemini.com',
  // It is asked every 20 s whether it is there: after three questions without an answer it is not.
  usual: { reconnect: 1_000, staleAfter: 60_000 },
  async load() {
    const [{ ExchangeProtocol }, wire] = await Promise.all([
      import('../feed/exchange-protocol.ts'),
      import('./wire.ts'),
    ])
    return (parts) => ({ protocol: new ExchangeProtocol(wire.geminiWire, parts) })
  },
}
