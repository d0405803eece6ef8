import { exchangeKind } from '../feed/exchange-kind.ts'
import type { SourceKind } from '../feed/source-kind.ts'

/** Coinbase Advanced Trade's public WebSocket, without a key: trades, quotes and books of the exchange that `coinbase` reads too. */
export const coinbaseAdvanced: SourceKind = {
  ...exchangeKind({
    name: 'coinbase-advanced',
    title: 'Coinbase Advanced',
    usualMarkets: ['BTC-USD', 'ETH-USD', 'SOL-USD'],
    socket: 'wss://advanced-trade-ws.coinbase.com',
    hasBooks: true,
    // A heartbeat comes every second.
    usual: { staleAfter: 10_000 },
    // It has refused the books of more than 16 products on one connection.
    mostSubscriptions: 16,
    loadWire: async () => (await import('./wire.ts')).createCoinbaseAdvancedWire,
  }),
  exchanges: ['coinbase'],
}
