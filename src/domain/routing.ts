import type { Channel } from './events.ts'
import type { StreamSpec } from './stream-spec.ts'

/** A glob over symbols as a test: `*` stands for any run of characters, everything else for itself. */
export function symbolMatcher(glob: string): (symbol: string) => boolean {
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
  routes: readonly Route[]
  /** How many changes the answer takes account of. */
  at: number
}

interface Change<Route> {
  readonly kind: 'added' | 'removed'
  readonly route: Route
}

/** It keeps the answers of so many markets, about 20 MB. Then the oldest goes, and is worked out again when somebody asks. */
const MOST_ANSWERS = 50_000
/** An answer that is further behind than this many changes is worked out anew. */
const MOST_CHANGES = 1_000

/**
 * Which routes want the events of a market. A look-up costs the same with 10 routes or 10,000 (R17): the table works the answer for a market out
 * once, and keeps it. A change of a route costs the same however many answers there are: each takes account of it when it is next asked for.
 */
export class RoutingTable<Route extends { readonly spec: StreamSpec }> {
  readonly #routes = new Map<string, Route>()
  readonly #markets = new Map<string, KnownMarket<Route>>()
  /** Stays at the oldest market: a new iterator would pass by all deleted ones. */
  readonly #oldest = this.#markets.keys()
  /** The latest changes, the last of them after `#changed`. */
  #changes: Change<Route>[] = []
  #changed = 0

  get(id: string): Route | undefined {
    return this.#routes.get(id)
  }

  values(): IterableIterator<Route> {
    return this.#routes.values()
  }

  set(id: string, route: Route): void {
    this.delete(id)
    this.#routes.set(id, route)
    this.#note({ kind: 'added', route })
  }

  delete(id: string): void {
    const route = this.#routes.get(id)
    if (route === undefined) return
    this.#routes.delete(id)
    this.#note({ kind: 'removed', route })
  }

  match(channel: Channel, exchange: string, symbol: string): readonly Route[] {
    const key = `${channel}:${exchange}:${symbol}`
    const known = this.#markets.get(key)
    if (known !== undefined) {
      if (known.at !== this.#changed) this.#bringUp(known)
      return known.routes
    }
    const market = { channel, exchange, symbol, routes: [], at: 0 }
    this.#workOut(market)
    if (this.#markets.size >= MOST_ANSWERS) this.#dropOldest()
    this.#markets.set(key, market)
    return market.routes
  }

  #note(change: Change<Route>): void {
    this.#changes.push(change)
    this.#changed++
    if (this.#changes.length >= 2 * MOST_CHANGES) this.#changes = this.#changes.slice(-MOST_CHANGES)
  }

  #workOut(market: KnownMarket<Route>): void {
    market.routes = [...this.#routes.values()].filter((route) => isWanted(market, route))
    market.at = this.#changed
  }

  #bringUp(market: KnownMarket<Route>): void {
    const missed = this.#changed - market.at
    if (missed > this.#changes.length) {
      this.#workOut(market)
      return
    }
    for (const { kind, route } of this.#changes.slice(-missed)) {
      if (!isWanted(market, route)) continue
      market.routes =
        kind === 'added' ? [...market.routes, route] : market.routes.filter((each) => each !== route)
    }
    market.at = this.#changed
  }

  #dropOldest(): void {
    const oldest = this.#oldest.next()
    if (!oldest.done) this.#markets.delete(oldest.value)
  }
}

function isWanted(
  { channel, exchange, symbol }: KnownMarket<unknown>,
  { spec }: { readonly spec: StreamSpec },
): boolean {
  return matchesMarket(spec, channel, exchange, symbol)
}
