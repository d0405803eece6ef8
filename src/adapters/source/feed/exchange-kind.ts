import type { ExchangeWire } from './exchange-wire.ts'
import type { SourceKind } from './source-kind.ts'

/** What differs from exchange to exchange. */
interface OwnExchange
  extends Pick<
    SourceKind,
    | 'name'
    | 'title'
    | 'socket'
    | 'usualMarkets'
    | 'rest'
    | 'loadHistory'
    | 'loadInstruments'
    | 'numbersTrades'
    | 'mostSubscriptions'
  > {
  readonly usual?: Partial<SourceKind['usual']>
  readonly hasBooks?: true
  /** Gives the wire, or what makes one for each connection where the wire remembers something of it. */
  readonly loadWire: () => Promise<ExchangeWire | (() => ExchangeWire)>
}

/** An exchange whose own public protocol an `ExchangeWire` speaks: trades and best prices, without a key. */
export function exchangeKind({ usual, hasBooks, loadWire, ...own }: OwnExchange): SourceKind {
  const loadMaker = async (): Promise<() => ExchangeWire> => {
    const wire = await loadWire()
    return typeof wire === 'function' ? wire : () => wire
  }
  return {
    ...own,
    loadWire: async () => (await loadMaker())(),
    page: `sources.md#${own.name}`,
    channels: hasBooks ? ['trade', 'quote', 'book'] : ['trade', 'quote'],
    exchanges: [own.name],
    // It is asked every 20 s whether it is there: after three questions without an answer it is not.
    usual: { reconnect: 1_000, staleAfter: 60_000, ...usual },
    async load() {
      const [{ ExchangeProtocol }, make] = await Promise.all([import('./exchange-protocol.ts'), loadMaker()])
      return (parts) => ({ protocol: new ExchangeProtocol(make(), parts) })
    },
  }
}
