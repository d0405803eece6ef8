import type { Aggregate } from './aggregate.ts'
import { BookFeed, TopFeed } from './book-feed.ts'
import { CandleFeed, unitOf } from './candle-feed.ts'
import type { WalkClock } from './clock.ts'
import type { ExchangeFeeds } from './exchanges/feeds.ts'
import type { Feed } from './feed.ts'
import type { Instrument, Trade } from './instrument.ts'
import type { Market } from './market.ts'
import { TickerFeed, tickerFields } from './ticker.ts'
import { TradeFeed } from './trade-feed.ts'
import { VolumeFeed, type VolumeType } from './volume-feed.ts'

/** What a subscription means here. */
export interface Subscription {
  readonly feed: Feed
  /** The market whose walk begins with its first subscription. */
  readonly market: Market | undefined
}

/** All markets and aggregates, and the feeds that subscriptions name. */
export class Feeds {
  readonly markets: readonly Market[]
  readonly #aggregates: ReadonlyMap<string, Aggregate>
  readonly #clock: WalkClock
  readonly #byName: ReadonlyMap<string, Market>
  readonly #trades = new Map<Market, TradeFeed>()
  /** By subscription. Only valid ones get in, so their number is bounded by that of the markets. */
  readonly #feeds = new Map<string, Subscription>()

  /** The exchanges that speak their own protocols, by name. */
  readonly exchanges: ReadonlyMap<string, ExchangeFeeds>

  /** `aggregates` by `BTC~USD`. */
  constructor(
    markets: readonly Market[],
    aggregates: ReadonlyMap<string, Aggregate>,
    exchanges: ReadonlyMap<string, ExchangeFeeds>,
    clock: WalkClock,
  ) {
    this.markets = markets
    this.exchanges = exchanges
    this.#aggregates = aggregates
    this.#clock = clock
    this.#byName = new Map(
      markets.map((market) => [`${market.market}~${market.base}~${market.quote}`, market]),
    )
    for (const market of markets) this.#trades.set(market, new TradeFeed())
  }

  /** The market or aggregate of these wire names (`CCCAGG` is an exchange here). */
  instrument(exchange: string, base: string, quote: string): Instrument | undefined {
    if (exchange === 'CCCAGG') return this.#aggregates.get(`${base}~${quote}`)
    return this.#byName.get(`${exchange}~${base}~${quote}`)
  }

  aggregateOf(market: Market): Aggregate | undefined {
    return this.#aggregates.get(`${market.base}~${market.quote}`)
  }

  trades(market: Market): TradeFeed {
    return this.#trades.get(market) as TradeFeed
  }

  /** The feed of a subscription such as `0~Coinbase~BTC~USD`; undefined where there is none. */
  find(subscription: string): Subscription | undefined {
    const known = this.#feeds.get(subscription)
    if (known) return known
    const made = this.#make(subscription.split('~'))
    if (made) this.#feeds.set(subscription, made)
    return made
  }

  /** The time of a trade as its exchange tells it, up to a step of its later: microseconds. */
  timeOf(market: Market, ts: number): number {
    const step = this.exchanges.get(market.definition.exchange)?.dialect.timeStep ?? 1
    return Math.ceil(ts / step) * step
  }

  /** Takes a trade in, and gives its frames to `send`: of CryptoCompare, and of its exchange where that speaks for itself. */
  tell(market: Market, trade: Trade, received: number, send: (feed: Feed, frame: string) => void): void {
    this.aggregateOf(market)?.add(market, trade)
    this.exchanges.get(market.definition.exchange)?.tell(market, trade, send)
    const frame = market.frame(trade, received)
    const feed = this.trades(market)
    feed.remember(frame)
    send(feed, frame)
  }

  /** Sends what has changed to those who follow. */
  update(): void {
    for (const exchange of this.exchanges.values()) exchange.update()
    for (const { feed } of this.#feeds.values()) {
      if (!feed.subscribed) continue
      const frames = feed.update()
      if (frames !== '') feed.broadcast(frames)
    }
  }

  #make([type = '', ...names]: readonly string[]): Subscription | undefined {
    if (type === '11' || type === '21') return this.#makeVolume(type, names)
    const [exchange = '', base = '', quote = '', unit] = names
    const instrument = this.instrument(exchange, base, quote)
    if (!instrument || names.length > (type === '24' ? 4 : 3)) return undefined
    const market = this.#byName.get(`${exchange}~${base}~${quote}`)
    if (type === '24') {
      const chosen = unitOf(unit)
      return chosen && { feed: new CandleFeed(instrument, this.#clock, chosen), market }
    }
    if (!market) {
      return type === '5' ? { feed: new TickerFeed(instrument, this.#clock), market } : undefined
    }
    switch (type) {
      case '0':
        return { feed: this.trades(market), market }
      case '2':
        return { feed: new TickerFeed(market, this.#clock), market }
      case '8':
        return { feed: new BookFeed(market, this.#clock), market }
      case '30':
        return { feed: new TopFeed(market, this.#clock), market }
      default:
        return undefined
    }
  }

  #makeVolume(type: VolumeType, names: readonly string[]): Subscription | undefined {
    const [base, ...more] = names
    const markets = this.markets.filter((market) => market.base === base)
    if (base === undefined || more.length > 0 || markets.length === 0) return undefined
    const volume = () =>
      markets.reduce((sum, market) => sum + Number(tickerFields(market, this.#clock)['VOLUME24HOUR']), 0)
    return { feed: new VolumeFeed(type, base, volume), market: undefined }
  }
}
