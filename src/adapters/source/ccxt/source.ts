import type { SourceKind, SourceSettings } from '../feed/source-kind.ts'
import type { CcxtExchange, CcxtLibrary } from './library.ts'

type Addresses = Pick<SourceSettings, 'url' | 'restUrl'>

/** Markets change seldom, and each reconnect would ask for all of them. */
const MARKETS_FOR_MS = 3_600_000

/** The exchanges that no source of ours speaks, by the library ccxt, where somebody installs it. */
export const ccxt: SourceKind = {
  name: 'ccxt',
  title: 'ccxt',
  page: 'sources.md#ccxt',
  channels: ['trade', 'quote', 'book'],
  usual: { reconnect: 1_000, staleAfter: 60_000 },
  load: () => loadFor(undefined),
  ofExchange,
}

/** Of a recording the exchange is the one that stands before its markets. */
async function loadFor(exchange: string | undefined): ReturnType<SourceKind['load']> {
  const [{ ExchangeProtocol }, { ccxtWire }] = await Promise.all([
    import('../feed/exchange-protocol.ts'),
    import('./wire.ts'),
  ])
  return (parts) => ({
    protocol: new ExchangeProtocol(ccxtWire(exchange ?? parts.exchanges?.[0] ?? ''), parts),
  })
}

function ofExchange(exchange: string): SourceKind {
  return {
    ...ccxt,
    load: () => loadFor(exchange),
    name: `ccxt-${exchange}`,
    title: `${exchange} by ccxt`,
    exchanges: [exchange],
    usualMarkets: ['BTC-USDT'],
    async loadSockets(addresses) {
      const [{ loadCcxt, makeExchange }, { openCcxtSocket }] = await Promise.all([
        import('./library.ts'),
        import('./socket.ts'),
      ])
      const library = await loadCcxt()
      // Says at the start that there is no such exchange.
      makeExchange(library, exchange, addresses)
      const open = opener(library, exchange, addresses, makeExchange)
      return () => openCcxtSocket({ library, open })
    },
    async list(addresses) {
      const [{ loadCcxt, makeExchange }, { instrumentsOf }] = await Promise.all([
        import('./library.ts'),
        import('./instruments.ts'),
      ])
      return instrumentsOf(exchange, makeExchange(await loadCcxt(), exchange, addresses))
    },
  }
}

/** Opens an exchange with its markets: those that the one before has loaded, while they are fresh. */
function opener(
  library: CcxtLibrary,
  name: string,
  addresses: Addresses,
  make: (library: CcxtLibrary, name: string, addresses: Addresses) => CcxtExchange,
): () => Promise<CcxtExchange> {
  let loaded: { readonly from: CcxtExchange; readonly at: number } | undefined
  return async () => {
    const exchange = make(library, name, addresses)
    await exchange.loadHttpProxyAgent()
    if (loaded !== undefined && performance.now() - loaded.at < MARKETS_FOR_MS)
      exchange.setMarkets(loaded.from.markets, loaded.from.currencies)
    else {
      await exchange.loadMarkets()
      loaded = { from: exchange, at: performance.now() }
    }
    return exchange
  }
}
