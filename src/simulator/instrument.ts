import type { CandleSeries } from './candles.ts'
import type { BestTicks, TradeFlag } from './walk.ts'

/** One emitted trade, with the texts that frame and ledger share. */
export interface Trade {
  readonly id: string
  readonly flag: TradeFlag
  /** Microseconds since the epoch. */
  readonly ts: number
  readonly price: number
  readonly size: number
  /** Price times size. */
  readonly total: number
}

/** What has a ticker, candles and a history: a market, or the aggregate of a pair over its markets. */
export interface Instrument {
  /** As on the wire: `Coinbase`, or `CCCAGG`. */
  readonly market: string
  readonly base: string
  readonly quote: string
  readonly priceDecimals: number
  readonly candles: CandleSeries
  /** Microseconds since the epoch from which on its candles hold what was traded; undefined before. */
  readonly since: number | undefined
  /** Traded in a day, in the base, on average. */
  readonly dailyVolume: number
  readonly last: LastTrade | undefined
  /** Price of the curve at a virtual time in seconds, on the tick grid. */
  curve(seconds: number): number
  /** The present price: of the last trade, or of the curve before the first one. */
  price(seconds: number): number
  /** Best prices; undefined for an aggregate. */
  best(seconds: number): { readonly bid: number; readonly ask: number } | undefined
}

/** The last trade and the exchange that it was made on. */
export interface LastTrade {
  readonly trade: Trade
  readonly market: string
}

/** Ticks as a price: the double that is nearest to the decimal number. */
export function ticksToPrice(ticks: number, decimals: number): number {
  return ticks / 10 ** decimals
}

/** Best prices in ticks as prices. */
export function bestPrices(
  best: BestTicks,
  decimals: number,
): { readonly bid: number; readonly ask: number } {
  return { bid: ticksToPrice(best.bid, decimals), ask: ticksToPrice(best.ask, decimals) }
}

/** Rounded to 8 decimals, as amounts are on the wire. */
export function round8(amount: number): number {
  return Math.round(amount * 1e8) / 1e8
}
