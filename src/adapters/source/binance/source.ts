import type { SourceKind } from '../feed/source-kind.ts'

/** Binance's public spot streams: trades and best prices, without a key. */
export const binance: SourceKind = {
  name: 'binance',
  title: 'Binance',
  page: 'sources.md#binance',
  channels: ['trade', 'quote'],
  exchanges: ['binance'],
  socket: 'wss://stream.binance.com:9443/stream?timeUnit=MICROSECOND',
  // It is asked every 20 s whether it is there: after three questions without an answer it is not.
  usual: { reconnect: 1_000, staleAfter: 60_000 },
  async load() {
    const [{ ExchangeProtocol }, wire] = await Promise.all([
      import('../feed/exchange-protocol.ts'),
      import('./wire.ts'),
    ])
    return (parts) => ({ protocol: new ExchangeProtocol(wire.binanceWire, parts) })
  },
}
