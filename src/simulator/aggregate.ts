import { CandleSeries } from './candles.ts'
import type { Instrument, LastTrade, Trade } from './instrument.ts'
import type { Market } from './market.ts'

/** The aggregate of a pair over its markets, as CCCAGG is. */
export class Aggregate implements Instrument {
  readonly market = 'CCCAGG'
  readonly base: string
  readonly quote: string
  readonly priceDecimals: number
  readonly candles = new CandleSeries()
  readonly dailyVolume: number
  readonly #markets: readonly Market[]
  #last: LastTrade | undefined

  /** `markets` are those of one pair, at least one. */
  constructor(markets: readonly [Market, ...Market[]]) {
    this.#markets = markets
    this.base = markets[0].base
    this.quote = markets[0].quote
    this.priceDecimals = markets[0].priceDecimals
    this.dailyVolume = markets.reduce((sum, market) => sum + market.dailyVolume, 0)
  }

  get since(): number | undefined {
    const begun = this.#markets.flatMap((market) => market.since ?? [])
    return begun.length === 0 ? undefined : Math.min(...begun)
  }

  get last(): LastTrade | undefined {
    return this.#last
  }

  /** Takes a trade of one of its markets. */
  add(market: Market, trade: Trade): void {
    this.candles.add(trade.ts, trade.price, trade.size, trade.total)
    this.#last = { trade, market: market.market }
  }

  curve(seconds: number): number {
    return this.#round(this.#mean((market) => market.curve(seconds), this.#markets))
  }

  /** The mean of the markets that have traded, weighed by what they trade in a day. */
  price(seconds: number): number {
    const traded = this.#markets.filter((market) => market.last)
    return this.#round(
      this.#mean((market) => market.price(seconds), traded.length > 0 ? traded : this.#markets),
    )
  }

  /** The middle one of the prices of the markets. */
  median(seconds: number): number {
    const traded = this.#markets.filter((market) => market.last)
    const prices = (traded.length > 0 ? traded : this.#markets)
      .map((market) => market.price(seconds))
      .sort((a, b) => a - b)
    const upper = prices[prices.length >> 1] ?? 0
    const lower = prices[(prices.length - 1) >> 1] ?? upper
    return this.#round((upper + lower) / 2)
  }

  best(): undefined {
    return undefined
  }

  #mean(price: (market: Market) => number, markets: readonly Market[]): number {
    const volume = markets.reduce((sum, market) => sum + market.dailyVolume, 0)
    return markets.reduce((sum, market) => sum + price(market) * market.dailyVolume, 0) / volume
  }

  #round(price: number): number {
    const factor = 10 ** this.priceDecimals
    return Math.round(price * factor) / factor
  }
}
