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

/** The symbols of a spec, ready for comparing. */
interface SymbolTests {
  readonly exact: ReadonlySet<string>
  readonly globs: readonly ((symbol: string) => boolean)[]
}

/** Each spec is made ready once, whatever number of markets it is compared with. */
const ready = new WeakMap<StreamSpec, SymbolTests>()

function testsOf(spec: StreamSpec): SymbolTests {
  const known = ready.get(spec)
  if (known !== undefined) return known
  const globs = spec.symbols.filter((symbol) => symbol.includes('*'))
  const exact = spec.symbols.filter((symbol) => !symbol.includes('*'))
  const tests = { exact: new Set(exact), globs: globs.map(symbolMatcher) }
  ready.set(spec, tests)
  return tests
}

/** Whether a spec asks for the events of a market. */
export function matchesMarket(spec: StreamSpec, channel: Channel, exchange: string, symbol: string): boolean {
  if (spec.channel !== channel) return false
  if (spec.exchanges.length > 0 && !spec.exchanges.includes(exchange)) return false
  const { exact, globs } = testsOf(spec)
  return exact.has(symbol) || globs.some((matches) => matches(symbol))
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
 * once, and keeps it. That looks at the routes that name the symbol, and at those that have globs. A change of a route costs the same however many
 * answers there are: each takes account of it when it is next asked for.
 */
export class RoutingTable<Route extends { readonly spec: StreamSpec }> {
  readonly #routes = new Map<string, Route>()
  /** The routes that name a symbol, and those that have globs, in the order in which they came. */
  readonly #naming = new Map<string, Set<Route>>()
  readonly #globbing = new Set<Route>()
  /** Which of two routes came first. */
  readonly #numbers = new WeakMap<Route, number>()
  #lastNumber = 0
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
    this.#numbers.set(route, ++this.#lastNumber)
    const { exact, globs } = testsOf(route.spec)
    for (const symbol of exact) {
      const naming = this.#naming.get(symbol) ?? new Set()
      this.#naming.set(symbol, naming.add(route))
    }
    if (globs.length > 0) this.#globbing.add(route)
    this.#note({ kind: 'added', route })
  }

  delete(id: string): void {
    const route = this.#routes.get(id)
    if (route === undefined) return
    this.#routes.delete(id)
    for (const symbol of testsOf(route.spec).exact) {
      const naming = this.#naming.get(symbol)
      if (naming?.delete(route) && naming.size === 0) this.#naming.delete(symbol)
    }
    this.#globbing.delete(route)
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
    const asked = new Set([...(this.#naming.get(market.symbol) ?? []), ...this.#globbing])
    const number = (route: Route): number => this.#numbers.get(route) ?? 0
    market.routes = [...asked]
      .filter((route) => isWanted(market, route))
      .sort((a, b) => number(a) - number(b))
    market.at = this.#changed
  }

  #bringUp(market: KnownMarket<Route>): void {
    const missed = this.#changed - market.at
    if (missed > this.#changes.length) {
      this.#workOut(market)
      return
    }
    const wanted = this.#changes.slice(-missed).filter(({ route }) => isWanted(market, route))
    if (wanted.length > 0) {
      const routes = new Set(market.routes)
      for (const { kind, route } of wanted)
        if (kind === 'added') routes.add(route)
        else routes.delete(route)
      market.routes = [...routes]
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
