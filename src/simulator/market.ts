import { CandleSeries } from './candles.ts'
import type { WalkClock } from './clock.ts'
import { textFrame } from './frame.ts'
import { bestPrices, type Instrument, type LastTrade, type Trade, ticksToPrice } from './instrument.ts'
import { ASSETS, type Asset, type SimulatedMarket } from './markets.ts'
import type { PricePath } from './price-path.ts'
import { seededRandom } from './random.ts'
import { MarketWalk, SIDES } from './walk.ts'

/** As seen on the wire: CCSEQ lies a little below the id. */
const CCSEQ_BELOW_ID = 16_376

/** The share of trades whose side CryptoCompare does not say. */
const UNKNOWN_SHARE = 0.01

/** What the markets of one simulator share. */
export interface Universe {
  readonly seed: number
  /** The exchanges that speak their own protocols: these know who took. */
  readonly ownProtocols: ReadonlySet<string>
  /** Trades a second over all markets. */
  readonly rate: number
  readonly totalWeight: number
  readonly paths: ReadonlyMap<string, PricePath>
  readonly clock: WalkClock
  /** Ids and CCSEQ count up from here: microseconds at the start, so that no restart repeats one. */
  readonly firstId: number
}

/** One market: its walk, what it traded, and the texts of its trades. */
export class Market implements Instrument {
  readonly definition: SimulatedMarket
  readonly market: string
  readonly base: string
  readonly quote: string
  readonly priceDecimals: number
  readonly candles = new CandleSeries()
  readonly walk: MarketWalk
  readonly dailyVolume: number
  readonly #path: (seconds: number) => number
  readonly #clock: WalkClock
  readonly #frameHead: string
  readonly #ledgerHead: string
  readonly #sizeFactor: number
  readonly #priceFactor: number
  #nextId: number
  #since: number | undefined
  #last: LastTrade | undefined

  constructor(definition: SimulatedMarket, universe: Universe) {
    const { wireExchange, base, quote, priceDecimals, sizeDecimals } = definition
    this.definition = definition
    this.market = wireExchange
    this.base = base
    this.quote = quote
    this.priceDecimals = priceDecimals
    this.#priceFactor = 10 ** priceDecimals
    this.#sizeFactor = 10 ** sizeDecimals
    this.#clock = universe.clock
    this.#nextId = universe.firstId
    this.#path = pairPath(universe.paths, base, quote, definition.bias)
    const perSecond = (universe.rate * definition.weight) / universe.totalWeight
    const medianSize = definition.medianUsd / (ASSETS[base] as Asset).usd
    this.dailyVolume = perSecond * medianSize * 86_400
    this.walk = new MarketWalk({
      random: seededRandom(`${universe.seed} walk ${wireExchange} ${base}-${quote}`),
      meanGap: 1000 / perSecond,
      midTicks: (seconds) => this.#path(seconds) * this.#priceFactor,
      spreadBps: definition.spreadBps,
      medianUnits: medianSize * this.#sizeFactor,
      unknownShare: universe.ownProtocols.has(definition.exchange) ? 0 : UNKNOWN_SHARE,
    })
    this.#frameHead = `{"TYPE":"0","M":"${wireExchange}","FSYM":"${base}","TSYM":"${quote}","F":"`
    this.#ledgerHead = `{"exchange":"${definition.exchange}","symbol":"${definition.symbol}","id":"`
  }

  get since(): number | undefined {
    return this.#since
  }

  get last(): LastTrade | undefined {
    return this.#last
  }

  get started(): boolean {
    return this.#since !== undefined
  }

  /** Begins the walk at a virtual time in ms. */
  start(at: number): void {
    this.#since = this.#clock.wall
    this.walk.start(at)
  }

  /** Makes the trade that is due, with this time (microseconds). */
  trade(ts: number): Trade {
    const walk = this.walk
    walk.advance()
    const price = walk.priceTicks / this.#priceFactor
    const size = walk.sizeUnits / this.#sizeFactor
    // One division of two integers is the nearest double to the exact product, so it prints without a tail.
    const total = (walk.priceTicks * walk.sizeUnits) / (this.#priceFactor * this.#sizeFactor)
    const trade = { id: String(this.#nextId), flag: walk.flag, ts, price, size, total }
    this.#nextId++
    this.candles.add(ts, price, size, total)
    this.#last = { trade, market: this.market }
    return trade
  }

  /** The last trade made as a TYPE 0 frame; `received` is the service's own time in microseconds. */
  frame(trade: Trade, received: number): string {
    const seconds = Math.floor(trade.ts / 1_000_000)
    const receivedSeconds = Math.floor(received / 1_000_000)
    const sequence = this.definition.sequenced ? `,"CCSEQ":${this.#nextId - 1 - CCSEQ_BELOW_ID}` : ''
    return textFrame(
      `${this.#frameHead}${trade.flag}","ID":"${trade.id}","TS":${seconds},"Q":${trade.size},"P":${trade.price},"TOTAL":${trade.total},"RTS":${receivedSeconds}${sequence},"TSNS":${(trade.ts - seconds * 1_000_000) * 1000},"RTSNS":${Math.floor(received - receivedSeconds * 1_000_000) * 1000}}`,
    )
  }

  /** A trade as a line of the ledger, in the normalised form. */
  ledgerLine(trade: Trade): string {
    return `${this.#ledgerHead}${trade.id}","side":"${SIDES[trade.flag]}","price":${trade.price},"size":${trade.size},"ts":${trade.ts}}\n`
  }

  curve(seconds: number): number {
    return ticksToPrice(Math.max(1, Math.round(this.#path(seconds) * this.#priceFactor)), this.priceDecimals)
  }

  price(seconds: number): number {
    return this.#last?.trade.price ?? this.curve(seconds)
  }

  best(seconds: number): { readonly bid: number; readonly ask: number } {
    return bestPrices(this.walk.best(seconds), this.priceDecimals)
  }
}

function pairPath(
  paths: ReadonlyMap<string, PricePath>,
  base: string,
  quote: string,
  bias: number,
): (seconds: number) => number {
  const above = paths.get(base) as PricePath
  const below = paths.get(quote) as PricePath
  return (seconds) => (above.at(seconds) / below.at(seconds)) * bias
}
