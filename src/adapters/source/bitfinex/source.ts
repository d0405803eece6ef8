import type { SourceKind } from '../feed/source-kind.ts'

/** Bitfinex's public WebSocket, version 2: trades and best prices, without a key. */
export const bitfinex: SourceKind = {
  name: 'bitfinex',
  title: 'Bitfinex',
  page: 'sources.md#bitfinex',
  channels: ['trade', 'quote'],
  exchanges: ['bitfinex'],
  usualMarkets: ['BTC-USD', 'ETH-USD', 'BTC-USDT', 'XRP-USD'],
  socket: 'wss://api-pub.bitfinex.com/ws/2',
  // It is asked every 20 s whether it is there: after three questions without an answer it is not.
  usual: { reconnect: 4_000, staleAfter: 60_000 },
  async load() {
    const [{ ExchangeProtocol }, wire] = await Promise.all([
      import('../feed/exchange-protocol.ts'),
      import('./wire.ts'),
    ])
    return (parts) => ({ protocol: new ExchangeProtocol(wire.createBitfinexWire(), parts) })
  },
}
