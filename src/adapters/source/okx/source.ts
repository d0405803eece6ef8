import type { SourceKind } from '../feed/source-kind.ts'

/** OKX's public WebSocket, version 5: trades and best prices, without a key. */
export const okx: SourceKind = {
  name: 'okx',
  title: 'OKX',
  page: 'sources.md#okx',
  channels: ['trade', 'quote'],
  exchanges: ['okx'],
  usualMarkets: ['BTC-USDT', 'ETH-USDT', 'SOL-USDT', 'XRP-USDT'],
  socket: 'wss://ws.okx.com:8443/ws/v5/public',
  // It is asked every 20 s whether it is there: after three questions without an answer it is not.
  usual: { reconnect: 1_000, staleAfter: 60_000 },
  async load() {
    const [{ ExchangeProtocol }, wire] = await Promise.all([
      import('../feed/exchange-protocol.ts'),
      import('./wire.ts'),
    ])
    return (parts) => ({ protocol: new ExchangeProtocol(wire.okxWire, parts) })
  },
}
