import type { SourceKind } from '../feed/source-kind.ts'

/** Bybit's public spot WebSocket, version 5: trades and best prices, without a key. */
export const bybit: SourceKind = {
  name: 'bybit',
  title: 'Bybit',
  page: 'sources.md#bybit',
  channels: ['trade', 'quote'],
  exchanges: ['bybit'],
  usualMarkets: ['BTC-USDT', 'ETH-USDT', 'SOL-USDT', 'XRP-USDT'],
  socket: 'wss://stream.bybit.com/v5/public/spot',
  // It is asked every 20 s whether it is there: after three questions without an answer it is not.
  usual: { reconnect: 1_000, staleAfter: 60_000 },
  async load() {
    const [{ ExchangeProtocol }, wire] = await Promise.all([
      import('../feed/exchange-protocol.ts'),
      import('./wire.ts'),
    ])
    return (parts) => ({ protocol: new ExchangeProtocol(wire.bybitWire, parts) })
  },
}
