import type { Market } from '../../../ports/source.ts'
import { canonicalMarket } from '../feed/canonical-market.ts'
import type { Outlet } from '../feed/feed-protocol.ts'
import type { FeedChannel } from '../feed/source-kind.ts'
import { TradeOrder } from '../feed/trade-order.ts'
import { CandleState } from './candles.ts'
import { AGGREGATE, type ExchangeNames } from './exchange-names.ts'
import { TickerState } from './tickers.ts'
import { ContentOrdinals } from './trades.ts'

/** How many subscriptions the service takes on one socket (documented for a free key; its 429 may name another). */
const MOST_SUBSCRIPTIONS = 600

const SYMBOL = /^([^\s~-]{1,30})-([^\s~-]{1,30})$/

/** What a channel is called by its users, by the type of its subscriptions. */
const CHANNEL_OF_TYPE: Readonly<Record<string, string>> = {
  '0': 'trade',
  '2': 'quote',
  '5': 'quote',
  '24': 'candle',
}

/** A market that was asked for, and what is remembered of it. */
export interface WantedMarket {
  readonly market: Market
  readonly base: string
  readonly quote: string
  /** The subscriptions of the channels, as `0~Coinbase~BTC~USD`. They change when the service tells other names. */
  subs: readonly string[]
  readonly order: TradeOrder
  readonly ordinals: ContentOrdinals
  readonly ticker: TickerState
  readonly candles: CandleState
  /** Whether it has its place among the subscriptions of the socket. */
  placed: boolean
}

/** Which markets are asked for, which of them have a place on the socket, and how frames find them. */
export class Subscriptions {
  readonly #channels: readonly FeedChannel[]
  readonly #outlet: Outlet
  readonly #names: ExchangeNames
  readonly #wanted = new Map<string, WantedMarket>()
  /** By the names in frames; further spellings are added as they are seen. */
  readonly #byWire = new Map<string, WantedMarket>()
  /** What was refused while the service's list of names is awaited: it may have been asked for under another name. */
  #held: (() => void)[] | undefined
  #limit = MOST_SUBSCRIPTIONS

  constructor(channels: readonly FeedChannel[], names: ExchangeNames, outlet: Outlet) {
    this.#channels = channels
    this.#names = names
    this.#outlet = outlet
  }

  get size(): number {
    return this.#wanted.size
  }

  /** Whether a market is still asked for. */
  has(wanted: WantedMarket): boolean {
    return this.#wanted.get(keyOf(wanted.market)) === wanted
  }

  all(): readonly WantedMarket[] {
    return [...this.#wanted.values()]
  }

  /** All subscriptions that have a place. */
  placed(): readonly string[] {
    return this.all().flatMap((wanted) => (wanted.placed ? wanted.subs : []))
  }

  /** Adds markets; gives those that got a place on the socket. Reports those that cannot be had. */
  add(markets: readonly Market[]): readonly WantedMarket[] {
    for (const market of markets) this.#want(market)
    return this.#place()
  }

  /** Removes markets; gives those that had a place, and those that take the free places. */
  remove(markets: readonly Market[]): {
    readonly gone: readonly WantedMarket[]
    readonly placed: readonly WantedMarket[]
  } {
    const gone: WantedMarket[] = []
    for (const market of markets) {
      this.#outlet.refusals.forget(canonicalMarket(market))
      const key = keyOf(canonicalMarket(market))
      const wanted = this.#wanted.get(key)
      if (!wanted) continue
      this.#wanted.delete(key)
      for (const [key, value] of this.#byWire) if (value === wanted) this.#byWire.delete(key)
      if (wanted.placed) gone.push(wanted)
    }
    return { gone, placed: this.#place() }
  }

  /** The market that a frame names; undefined where nobody asked for it. */
  find(exchange: string, base: string, quote: string): WantedMarket | undefined {
    return this.#byWire.get(`${exchange}~${base}~${quote}`) ?? this.#otherSpelling(exchange, base, quote)
  }

  /** The market of a subscription text. */
  findSub(sub: string): WantedMarket | undefined {
    const [, exchange, base, quote] = sub.split('~')
    return exchange && base && quote ? this.find(exchange, base, quote) : undefined
  }

  /** The service refuses one subscription of a market. `words` are the service's. */
  refused(wanted: WantedMarket, sub: string, words: string): void {
    if (this.#held) {
      this.#held.push(() => {
        // Else it was asked for under another name since then, or is not asked for any more.
        if (this.has(wanted) && wanted.subs.includes(sub)) this.refused(wanted, sub, words)
      })
      return
    }
    const channel = CHANNEL_OF_TYPE[sub.slice(0, sub.indexOf('~'))] ?? sub
    this.#outlet.refusals.refuseChannel(wanted.market, channel, wanted.subs.length, `${sub}: ${words}`)
  }

  /** The service's own list of exchanges is asked for: what it refuses meanwhile is judged when that is known. */
  awaitNames(): void {
    this.#held ??= []
  }

  /** The list has come, or does not come. Gives the markets whose subscriptions have other names now, with the former ones. */
  namesSettled(): readonly { readonly wanted: WantedMarket; readonly former: readonly string[] }[] {
    const renamed = this.all().flatMap((wanted) => {
      const former = wanted.subs
      const subs = this.#subsOf(wanted)
      if (subs.join() === former.join()) return []
      wanted.subs = subs
      this.#byWire.set(this.#wireKey(wanted), wanted)
      forgetFlow(wanted)
      return wanted.placed ? [{ wanted, former }] : []
    })
    const held = this.#held ?? []
    this.#held = undefined
    for (const judge of held) judge()
    return renamed
  }

  /** What the exchange of a market is called on the wire. */
  wireExchange({ market }: Pick<WantedMarket, 'market'>): string {
    return this.#names.wire(market.exchange)
  }

  #subsOf({ market, base, quote }: Pick<WantedMarket, 'market' | 'base' | 'quote'>): readonly string[] {
    const pair = this.#wireKey({ market, base, quote })
    return this.#channels.flatMap((channel) => subscription(channel, market.exchange === AGGREGATE, pair))
  }

  #wireKey({ market, base, quote }: Pick<WantedMarket, 'market' | 'base' | 'quote'>): string {
    return `${this.#names.wire(market.exchange)}~${base}~${quote}`
  }

  /** The service takes fewer subscriptions than we thought: the last markets lose their places and are reported. */
  limitTo(limit: number): void {
    this.#limit = limit
    let used = 0
    for (const wanted of this.#wanted.values()) {
      used += wanted.subs.length
      wanted.placed = used <= limit
    }
    this.#place()
  }

  #want(given: Market): void {
    const market = canonicalMarket(given)
    const key = keyOf(market)
    if (this.#wanted.has(key)) return
    const [, base, quote] = SYMBOL.exec(market.symbol) ?? []
    if (!base || !quote) {
      this.#outlet.refusals.refuse(market, 'MARKET_UNKNOWN: the symbol is not BASE-QUOTE')
      return
    }
    const subs = this.#subsOf({ market, base, quote })
    if (subs.length === 0) {
      this.#outlet.refusals.refuse(market, `MARKET_UNKNOWN: ${AGGREGATE} has no trades`)
      return
    }
    const wanted: WantedMarket = {
      market,
      base,
      quote,
      subs,
      order: new TradeOrder(),
      ordinals: new ContentOrdinals(),
      ticker: new TickerState(market),
      candles: new CandleState(market),
      placed: false,
    }
    this.#wanted.set(key, wanted)
    this.#byWire.set(`${market.exchange}~${base}~${quote}`, wanted)
    this.#byWire.set(this.#wireKey(wanted), wanted)
  }

  #place(): readonly WantedMarket[] {
    let used = this.placed().length
    const placed: WantedMarket[] = []
    for (const wanted of this.#wanted.values()) {
      if (wanted.placed) continue
      if (used + wanted.subs.length > this.#limit) {
        const why = `SOURCE_RATE_LIMITED: a socket takes ${this.#limit} subscriptions`
        this.#outlet.refusals.refuse(wanted.market, why)
        continue
      }
      used += wanted.subs.length
      wanted.placed = true
      this.#outlet.refusals.forget(wanted.market)
      forgetFlow(wanted)
      placed.push(wanted)
    }
    return placed
  }

  #otherSpelling(exchange: string, base: string, quote: string): WantedMarket | undefined {
    const wanted = this.#byWire.get(`${exchange.toLowerCase()}~${base.toUpperCase()}~${quote.toUpperCase()}`)
    // Few spellings exist; a service that invents more costs a slower look-up, not memory.
    if (wanted && this.#byWire.size < 4 * this.#wanted.size) {
      this.#byWire.set(`${exchange}~${base}~${quote}`, wanted)
    }
    return wanted
  }
}

/** Forgets what belonged to an earlier subscription of a market: the service begins anew. */
export function forgetFlow({ ordinals, ticker, candles }: WantedMarket): void {
  ordinals.forget()
  ticker.forget()
  candles.forget()
}

function keyOf(market: Market): string {
  return `${market.exchange}:${market.symbol}`
}

function subscription(channel: FeedChannel, isAggregate: boolean, pair: string): readonly string[] {
  switch (channel) {
    case 'trade':
      return isAggregate ? [] : [`0~${pair}`]
    case 'quote':
      return [`${isAggregate ? 5 : 2}~${pair}`]
    case 'candle':
      return [`24~${pair}~m`]
    case 'book':
      return []
  }
}
