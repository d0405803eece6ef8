import type { SourceKind } from '../feed/source-kind.ts'

/** Coinbase Exchange's public WebSocket feed, without a key: trades, quotes and books. */
export const coinbase: SourceKind = {
  name: 'coinbase',
  title: 'Coinbase',
  page: 'sources.md#coinbase-exchange',
  channels: ['trade', 'quote', 'book'],
  exchanges: ['coinbase'],
  socket: 'wss://ws-feed.exchange.coinbase.com',
  numbersTrades: true,
  rest: 'https://api.exchange.coinbase.com',
  loadHistory: async () => (await import('./history.ts')).coinbaseHistory,
  loadInstruments: async () => (await import('./instruments.ts')).coinbaseInstruments,
  // A heartbeat comes every second for each product; a service that is late by a few is not gone.
  usual: { reconnect: 1_000, staleAfter: 10_000 },
  async load() {
    const { CoinbaseProtocol } = await import('./protocol.ts')
    return (source) => ({ protocol: new CoinbaseProtocol(source) })
  },
}
