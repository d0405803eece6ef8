import { type CandleSeries, UNIT_SECONDS } from '../candles.ts'
import type { WalkClock } from '../clock.ts'
import { type Feed, SharedFeed } from '../feed.ts'
import { jsonFrame } from '../frame.ts'
import { empty } from '../history.ts'
import { round8, type Trade } from '../instrument.ts'
import type { Market } from '../market.ts'
import { SIDES } from '../walk.ts'
import { changesOf, SimulatedBook } from './book.ts'
import type { Dialect, PastCandle, PastTrade, ToldBook, ToldListing, ToldTrade, Topic } from './dialect.ts'
import type { ServedExchange } from './served.ts'

/** Trades of a market that REST can be asked for. */
const REMEMBERED = 2_000
/** Of `heartbeat`, in ms. */
const BEAT_EVERY = 1_000

const framesOf = (messages: readonly object[]): string => messages.map(jsonFrame).join('')

/** What one exchange tells of one market. */
class ToldMarket {
  readonly market: Market
  readonly book: SimulatedBook
  readonly trades: TradesFeed
  #past: PastTrade[] = []

  constructor(market: Market, dialect: Dialect, clock: WalkClock) {
    this.market = market
    this.book = new SimulatedBook(market, clock)
    this.trades = new TradesFeed(dialect, this)
  }

  get symbol(): string {
    return this.market.definition.symbol
  }

  get listed(): ToldListing {
    const { symbol } = this
    const [base = '', quote = ''] = symbol.split('-')
    const { priceDecimals: price, sizeDecimals: size } = this.market.definition
    return { symbol, base, quote, decimals: { price, size } }
  }

  get past(): readonly PastTrade[] {
    return this.#past
  }

  remember({ id, flag, price, size, ts }: Trade): void {
    this.#past.push({ id: Number(id), side: SIDES[flag], price, size, ts })
    if (this.#past.length >= 2 * REMEMBERED) this.#past = this.#past.slice(-REMEMBERED)
  }
}

/** The trades of one market as they are made. */
class TradesFeed extends SharedFeed {
  readonly #dialect: Dialect
  readonly #told: ToldMarket

  constructor(dialect: Dialect, told: ToldMarket) {
    super()
    this.#dialect = dialect
    this.#told = told
  }

  first(): string {
    const { repeated } = this.#dialect
    if (repeated === undefined) return ''
    const { past, symbol } = this.#told
    const newest = past
      .slice(-repeated.count)
      .toReversed()
      .map((trade): ToldTrade => ({ ...trade, symbol, id: String(trade.id) }))
    return newest.length === 0 ? '' : framesOf(repeated.frames(newest))
  }

  update(): string {
    return ''
  }
}

/** What follows from the book of one market, each time that it has changed. */
abstract class BookFollowingFeed extends SharedFeed {
  protected readonly told: ToldMarket
  protected readonly dialect: Dialect
  protected readonly clock: WalkClock

  constructor(told: ToldMarket, dialect: Dialect, clock: WalkClock) {
    super()
    this.told = told
    this.dialect = dialect
    this.clock = clock
  }

  /** The time, as the exchange tells it. */
  protected get ts(): number {
    const { timeStep } = this.dialect
    return Math.floor(this.clock.wall / timeStep) * timeStep
  }

  abstract changed(): string

  update(): string {
    return ''
  }
}

class QuoteFeed extends BookFollowingFeed {
  first(): string {
    return this.#frame()
  }

  changed(): string {
    const { before, now } = this.told.book
    const isSame = (side: 'bids' | 'asks') =>
      before[side][0]?.[0] === now[side][0]?.[0] && before[side][0]?.[1] === now[side][0]?.[1]
    return isSame('bids') && isSame('asks') ? '' : this.#frame()
  }

  #frame(): string {
    const { book, market, symbol } = this.told
    const [[bid, bidSize] = [null, 0]] = book.now.bids
    const [[ask, askSize] = [null, 0]] = book.now.asks
    const last = market.last?.trade.price
    const ticker = { bid, bidSize, ask, askSize, ...(last !== undefined && { last }) }
    return jsonFrame(this.dialect.frame({ symbol, ts: this.ts, ticker }))
  }
}

class BookFeed extends BookFollowingFeed {
  readonly #depth: number | undefined

  constructor(told: ToldMarket, dialect: Dialect, clock: WalkClock, depth: number | undefined) {
    super(told, dialect, clock)
    this.#depth = depth
  }

  first(): string {
    return framesOf(this.dialect.books.snapshot?.(this.#told(this.#shown)) ?? [])
  }

  changed(): string {
    const { before, now } = this.told.book
    const levels = changesOf(before, now, this.#depth ?? Number.POSITIVE_INFINITY)
    return levels.bids.length + levels.asks.length === 0
      ? ''
      : framesOf(this.dialect.books.change(this.#told(levels)))
  }

  get #shown(): ToldBook['levels'] {
    const { bids, asks } = this.told.book.now
    return { bids: bids.slice(0, this.#depth), asks: asks.slice(0, this.#depth) }
  }

  #told(levels: ToldBook['levels']): ToldBook {
    return { ...toldBook(this.told, this.ts, levels), whole: this.#shown, depth: this.#depth }
  }
}

function toldBook({ book, symbol, market }: ToldMarket, ts: number, levels: ToldBook['levels']): ToldBook {
  const { priceDecimals, sizeDecimals } = market.definition
  const decimals = { price: priceDecimals, size: sizeDecimals }
  return { symbol, number: book.number, ts, levels, whole: book.now, decimals }
}

/** The minutes since the first trade up to the present one (`now` in microseconds). */
function pastCandles(series: CandleSeries, now: number): readonly PastCandle[] {
  const candles: PastCandle[] = []
  const oldest = series.oldest('m') ?? Number.POSITIVE_INFINITY
  for (let start = oldest; start * 1_000_000 <= now; start += UNIT_SECONDS.m) {
    const candle = series.at('m', start) ?? empty(start, candles.at(-1)?.close ?? 0)
    candles.push({ ...candle, volume: round8(candle.volume) })
  }
  return candles
}

/** A word about a market once a second. */
class HeartbeatFeed extends BookFollowingFeed {
  #at = Number.NEGATIVE_INFINITY

  first(): string {
    return ''
  }

  changed(): string {
    return ''
  }

  override update(): string {
    const { virtual } = this.clock
    const id = this.told.market.last?.trade.id
    if (virtual - this.#at < BEAT_EVERY || id === undefined) return ''
    this.#at = virtual
    const frame = this.dialect.heartbeat?.(this.told.symbol, id, this.ts)
    return frame === undefined ? '' : jsonFrame(frame)
  }
}

/** All that one exchange tells, in its own protocol. */
export class ExchangeFeeds implements ServedExchange {
  readonly dialect: Dialect
  readonly #clock: WalkClock
  readonly #markets = new Map<Market, ToldMarket>()
  readonly #byName = new Map<string, ToldMarket>()
  readonly #feeds = new Map<string, { readonly told: ToldMarket; readonly feed: Feed }>()
  readonly #following = new Map<ToldMarket, BookFollowingFeed[]>()

  constructor(dialect: Dialect, markets: readonly Market[], clock: WalkClock) {
    this.dialect = dialect
    this.#clock = clock
    for (const market of markets) {
      const told = new ToldMarket(market, dialect, clock)
      this.#markets.set(market, told)
      this.#byName.set(dialect.nameOf(market.definition.symbol), told)
    }
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  find({ channel, name, depth }: Topic): { readonly feed: Feed; readonly market: Market } | undefined {
    const told = this.#byName.get(name)
    if (told === undefined) return undefined
    if (channel === 'trade') return { feed: told.trades, market: told.market }
    const key = `${channel} ${depth ?? ''} ${name}`
    const known = this.#feeds.get(key)?.feed ?? this.#make(told, channel, depth)
    this.#feeds.set(key, { told, feed: known })
    return { feed: known, market: told.market }
  }

  /** Takes a trade in, and gives its frame to whoever follows its market. */
  tell(market: Market, trade: Trade, send: (feed: Feed, frame: string) => void): void {
    const told = this.#markets.get(market)
    if (told === undefined) return
    told.remember(trade)
    if (!told.trades.subscribed) return
    const { id, flag, price, size, ts } = trade
    const line = { symbol: told.symbol, id, side: SIDES[flag], price, size, ts }
    send(told.trades, jsonFrame(this.dialect.frame(line)))
  }

  /** Sends what has changed to those who follow. */
  update(): void {
    for (const [{ book }, feeds] of this.#following) {
      if (!feeds.some(({ subscribed }) => subscribed)) continue
      const hasChanged = book.advance()
      for (const feed of feeds) {
        const frames = feed.subscribed ? (hasChanged ? feed.changed() : '') + feed.update() : ''
        if (frames !== '') feed.broadcast(frames)
      }
    }
  }

  rest(url: URL): unknown {
    const { books, past, candles, listing } = this.dialect
    if (url.pathname === listing?.path)
      return listing.answer([...this.#markets.values()].map(({ listed }) => listed))
    const asked = books.rest?.asks(url)
    const told = asked === undefined ? undefined : this.#byName.get(asked)
    if (told) return books.rest?.answer(toldBook(told, this.#clock.wall, told.book.now))
    const nameOf = past.nameOf ?? this.dialect.nameOf
    const find = (name: string | undefined) =>
      [...this.#markets.values()].find(({ symbol }) => nameOf(symbol) === name)
    const charted = find(candles.asks(url))
    if (charted) return candles.answer(url, pastCandles(charted.market.candles, this.#clock.wall))
    const found = find(past.asks(url))
    return found && past.answer(url, found.past, this.#clock.wall / 1_000)
  }

  #make(told: ToldMarket, channel: Topic['channel'], depth: number | undefined): Feed {
    const of = { quote: QuoteFeed, heartbeat: HeartbeatFeed } as const
    const feed =
      channel === 'quote' || channel === 'heartbeat'
        ? new of[channel](told, this.dialect, this.#clock)
        : new BookFeed(told, this.dialect, this.#clock, depth)
    const following = this.#following.get(told) ?? []
    // What somebody begins with has to be of the present.
    if (!following.some(({ subscribed }) => subscribed)) told.book.advance()
    this.#following.set(told, [...following, feed])
    return feed
  }
}
