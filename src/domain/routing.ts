import type { Channel } from './events.ts'
import type { StreamSpec } from './stream-spec.ts'

/** A glob over symbols as a test: `*` stands for any run of characters, everything else for itself. */
function symbolMatcher(glob: string): (symbol: string) => boolean {
  if (!glob.includes('*')) return (symbol) => symbol === glob
  const pieces = glob.split('*')
  const head = pieces[0] as string
  const tail = pieces[pieces.length - 1] as string
  const middle = pieces.slice(1, -1)
  return (symbol) => {
    if (symbol.length < head.length + tail.length || !symbol.startsWith(head) || !symbol.endsWith(tail))
      return false
    let at = head.length
    const end = symbol.length - tail.length
    for (const piece of middle) {
      const found = symbol.indexOf(piece, at)
      if (found < 0 || found + piece.length > end) return false
      at = found + piece.length
    }
    return true
  }
}

/** Whether a spec asks for the events of a market. */
export function matchesMarket(spec: StreamSpec, channel: Channel, exchange: string, symbol: string): boolean {
  if (spec.channel !== channel) return false
  if (spec.exchanges.length > 0 && !spec.exchanges.includes(exchange)) return false
  return spec.symbols.some((glob) => symbolMatcher(glob)(symbol))
}

interface KnownMarket<Route> {
  readonly channel: Channel
  readonly exchange: string
  readonly symbol: string
  routes: Route[]
}

/** The answers of so many markets are kept, about 20 MB; then the oldest goes, and is worked out again when it is asked for. */
const MOST_ANSWERS = 50_000

/**
 * Which routes want the events of a market. Looking up costs the same with 10 routes or 10,000 (R17): the answer for a
 * market is worked out once and kept, and a change of one route is applied to the answers that it concerns.
 */
export class RoutingTable<Route extends { readonly spec: StreamSpec }> {
  readonly #routes = new Map<string, Route>()
  readonly #markets = new Map<string, KnownMarket<Route>>()
  /** Stays at the oldest: a new iterator would pass by all that were deleted. */
  readonly #oldest = this.#markets.keys()

  get(id: string): Route | undefined {
    return this.#routes.get(id)
  }

  values(): IterableIterator<Route> {
    return this.#routes.values()
  }

  set(id: string, route: Route): void {
    this.delete(id)
    this.#routes.set(id, route)
    for (const market of this.#markets.values()) {
      if (matchesMarket(route.spec, market.channel, market.exchange, market.symbol)) market.routes.push(route)
    }
  }

  delete(id: string): void {
    const route = this.#routes.get(id)
    if (route === undefined) return
    this.#routes.delete(id)
    for (const market of this.#markets.values()) {
      if (market.routes.includes(route)) market.routes = market.routes.filter((each) => each !== route)
    }
  }

  match(channel: Channel, exchange: string, symbol: string): readonly Route[] {
    const key = `${channel}:${exchange}:${symbol}`
    let market = this.#markets.get(key)
    if (market === undefined) {
      const routes = [...this.#routes.values()].filter(({ spec }) =>
        matchesMarket(spec, channel, exchange, symbol),
      )
      market = { channel, exchange, symbol, routes }
      if (this.#markets.size >= MOST_ANSWERS) this.#dropOldest()
      this.#markets.set(key, market)
    }
    return market.routes
  }

  #dropOldest(): void {
    const oldest = this.#oldest.next()
    if (!oldest.done) this.#markets.delete(oldest.value)
  }
}
