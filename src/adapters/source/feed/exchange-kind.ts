import type { ExchangeWire } from './exchange-wire.ts'
import type { SourceKind } from './source-kind.ts'

/** What differs from exchange to exchange. */
interface OwnExchange
  extends Pick<
    SourceKind,
    'name' | 'title' | 'socket' | 'usualMarkets' | 'rest' | 'loadHistory' | 'numbersTrades'
  > {
  readonly usual?: Partial<SourceKind['usual']>
  readonly hasBooks?: true
  /** Gives a wire for one source: what it remembers of a connection belongs to that source. */
  readonly loadWire: () => Promise<ExchangeWire>
}

/** An exchange whose own public protocol an `ExchangeWire` speaks: trades and best prices, without a key. */
export function exchangeKind({ usual, hasBooks, loadWire, ...own }: OwnExchange): SourceKind {
  return {
    ...own,
    loadWire,
    page: `sources.md#${own.name}`,
    channels: hasBooks ? ['trade', 'quote', 'book'] : ['trade', 'quote'],
    exchanges: [own.name],
    // It is asked every 20 s whether it is there: after three questions without an answer it is not.
    usual: { reconnect: 1_000, staleAfter: 60_000, ...usual },
    async load() {
      const [{ ExchangeProtocol }, wire] = await Promise.all([import('./exchange-protocol.ts'), loadWire()])
      return (parts) => ({ protocol: new ExchangeProtocol(wire, parts) })
    },
  }
}
