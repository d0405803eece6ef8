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

/** The markets of a spec, made ready for comparing. */
interface MarketMatcher {
  /** The symbols that it names. */
  readonly exact: ReadonlySet<string>
  /** Whether it asks for others too. */
  readonly hasGlobs: boolean
  matches(channel: Channel, exchange: string, symbol: string): boolean
}

/** Makes a spec ready, for who compares it with many markets. */
export function marketMatcher(spec: StreamSpec): MarketMatcher {
  const exact = new Set(spec.symbols.filter((symbol) => !symbol.includes('*')))
  const globs = spec.symbols.filter((symbol) => symbol.includes('*')).map(symbolMatcher)
  return {
    exact,
    hasGlobs: globs.length > 0,
    matches(channel, exchange, symbol) {
      if (spec.channel !== channel) return false
      if (spec.exchanges.length > 0 && !spec.exchanges.includes(exchange)) return false
      return exact.has(symbol) || globs.some((matches) => matches(symbol))
    },
  }
}

/** Whether a spec asks for the events of a market. */
export function matchesMarket(spec: StreamSpec, channel: Channel, exchange: string, symbol: string): boolean {
  return marketMatcher(spec).matches(channel, exchange, symbol)
}

/** A route of the table; of two the one with the lower number came first. */
interface Entry<Route> {
  readonly route: Route
  readonly number: number
  readonly matcher: MarketMatcher
}

interface KnownMarket<Route> {
  readonly channel: Channel
  readonly exchange: string
  readonly symbol: string
  entries: readonly Entry<Route>[]
  routes: readonly Route[]
  /** How many changes the answer takes account of. */
  at: number
}

interface Change<Route> {
  readonly kind: 'added' | 'removed'
  readonly entry: Entry<Route>
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
  readonly #entries = new Map<string, Entry<Route>>()
  /** The routes that name a symbol, and those that have globs. */
  readonly #naming = new Map<string, Set<Entry<Route>>>()
  readonly #globbing = new Set<Entry<Route>>()
  #lastNumber = 0
  readonly #markets = new Map<string, KnownMarket<Route>>()
  /** Stays at the oldest market: a new iterator would pass by all deleted ones. */
  readonly #oldest = this.#markets.keys()
  /** The latest changes, the last of them after `#changed`. */
  #changes: Change<Route>[] = []
  #changed = 0

  get(id: string): Route | undefined {
    return this.#entries.get(id)?.route
  }

  *values(): Generator<Route> {
    for (const { route } of this.#entries.values()) yield route
  }

  set(id: string, route: Route): void {
    this.delete(id)
    const entry = { route, number: ++this.#lastNumber, matcher: marketMatcher(route.spec) }
    this.#entries.set(id, entry)
    for (const symbol of entry.matcher.exact) {
      const naming = this.#naming.get(symbol) ?? new Set()
      this.#naming.set(symbol, naming.add(entry))
    }
    if (entry.matcher.hasGlobs) this.#globbing.add(entry)
    this.#note({ kind: 'added', entry })
  }

  delete(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    for (const symbol of entry.matcher.exact) {
      const naming = this.#naming.get(symbol)
      if (naming?.delete(entry) && naming.size === 0) this.#naming.delete(symbol)
    }
    this.#globbing.delete(entry)
    this.#note({ kind: 'removed', entry })
  }

  match(channel: Channel, exchange: string, symbol: string): readonly Route[] {
    const key = `${channel}:${exchange}:${symbol}`
    const known = this.#markets.get(key)
    if (known !== undefined) {
      if (known.at !== this.#changed) this.#bringUp(known)
      return known.routes
    }
    const market = { channel, exchange, symbol, entries: [], routes: [], at: 0 }
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
    const wanted = [...asked].filter((entry) => isWanted(market, entry))
    this.#answer(
      market,
      wanted.sort((a, b) => a.number - b.number),
    )
  }

  #bringUp(market: KnownMarket<Route>): void {
    const missed = this.#changed - market.at
    if (missed > this.#changes.length) {
      this.#workOut(market)
      return
    }
    const wanted = this.#changes.slice(-missed).filter(({ entry }) => isWanted(market, entry))
    if (wanted.length === 0) {
      market.at = this.#changed
      return
    }
    const entries = new Set(market.entries)
    for (const { kind, entry } of wanted)
      if (kind === 'added') entries.add(entry)
      else entries.delete(entry)
    this.#answer(market, [...entries])
  }

  #answer(market: KnownMarket<Route>, entries: readonly Entry<Route>[]): void {
    market.entries = entries
    market.routes = entries.map(({ route }) => route)
    market.at = this.#changed
  }

  #dropOldest(): void {
    const oldest = this.#oldest.next()
    if (!oldest.done) this.#markets.delete(oldest.value)
  }
}

function isWanted({ channel, exchange, symbol }: KnownMarket<unknown>, { matcher }: Entry<unknown>): boolean {
  return matcher.matches(channel, exchange, symbol)
}
