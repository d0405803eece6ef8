import { exponential, gaussian, type Random } from './random.ts'

/** F of a trade on the wire: who took. */
export type TradeFlag = '1' | '2' | '4'
const SELL = '1'
const BUY = '2'
const UNKNOWN = '4'

/** An order that takes from the book fills several orders of others: that many trades, on average, come together. */
const MEAN_BURST = 3
/** Busy and calm spells last this long, in virtual ms. */
const SPELL = 1_000
/** Between the trades of a burst, at most, in ms. */
const WITHIN_BURST = 0.4
/** The price of the market is asked anew after this many ms of virtual time. */
const PRICE_CELL = 20
/** Of the logarithm of sizes. */
const SIZE_SPREAD = 1.3

/** How one market walks. Ticks and units are the smallest steps of price and size. */
export interface WalkShape {
  readonly random: Random
  /** Mean time between trades, in virtual ms. */
  readonly meanGap: number
  /** The middle of the market in ticks, at a virtual time in seconds. */
  readonly midTicks: (seconds: number) => number
  readonly spreadBps: number
  readonly medianUnits: number
  /** The share of trades whose side nobody says. */
  readonly unknownShare: number
}

/** The best prices of a market, in ticks. */
export interface BestTicks {
  readonly bid: number
  readonly ask: number
}

/**
 * The trades of one market, one after the other: gaps, sides, prices and sizes depend on the seed alone. Trades come in
 * bursts that walk up or down the book, and bursts come in busy and calm spells.
 */
export class MarketWalk {
  readonly #shape: WalkShape
  readonly #innerGap: number
  readonly #meanBurstGap: number
  #left = 0
  #pace = 1
  #paired = false
  #spellEnd = 0
  #cell = Number.NaN
  #best: BestTicks = { bid: 0, ask: 0 }
  #level = 0

  /** Virtual time of the next trade, in ms; infinite before the start. */
  due = Number.POSITIVE_INFINITY
  /** The trade that the last `advance` made. */
  priceTicks = 0
  sizeUnits = 0
  flag: TradeFlag = BUY

  constructor(shape: WalkShape) {
    this.#shape = shape
    this.#innerGap = Math.min(shape.meanGap / 10, WITHIN_BURST)
    this.#meanBurstGap = MEAN_BURST * shape.meanGap - ((MEAN_BURST - 1) * this.#innerGap) / 2
  }

  /** Begins at a virtual time in ms: the first trade follows it by a gap. */
  start(at: number): void {
    this.due = at
    this.due += this.#burstGap()
  }

  /** Makes the trade that is due, and sets when the next one is. */
  advance(): void {
    const { random, medianUnits, unknownShare } = this.#shape
    if (this.#left === 0) this.#beginBurst()
    else if (random() < 0.4) this.#level++
    const best = this.#bestAtDue()
    const step = Math.max(1, (best.ask - best.bid) >> 2)
    const buying = this.#buying
    this.priceTicks = buying ? best.ask + this.#level * step : Math.max(1, best.bid - this.#level * step)
    this.sizeUnits = Math.max(1, Math.round(medianUnits * Math.exp(SIZE_SPREAD * gaussian(random))))
    if (random() < unknownShare) this.flag = UNKNOWN
    else this.flag = buying ? BUY : SELL
    this.#left--
    this.due += this.#left > 0 ? random() * this.#innerGap : this.#burstGap()
  }

  /** The best prices at a virtual time in seconds, whether or not anybody trades. */
  best(seconds: number): BestTicks {
    const mid = this.#shape.midTicks(seconds)
    const spread = Math.max(1, Math.round((mid * this.#shape.spreadBps) / 10_000))
    const bid = Math.max(1, Math.floor(mid - spread / 2))
    return { bid, ask: bid + spread }
  }

  #buying = true

  #beginBurst(): void {
    const { random } = this.#shape
    this.#left = 1 + Math.floor(Math.log(1 - random()) / Math.log(1 - 1 / MEAN_BURST))
    this.#buying = random() < 0.5
    this.#level = 0
  }

  #burstGap(): number {
    const { random } = this.#shape
    if (this.due >= this.#spellEnd) {
      this.#spellEnd = (Math.floor(this.due / SPELL) + 1) * SPELL
      // Spells come in pairs that make up for each other, so that the rate holds over a few seconds too.
      this.#pace = this.#paired ? 2 - this.#pace : 0.5 + random()
      this.#paired = !this.#paired
    }
    // A market that trades less than a few times in a spell has none: long gaps at a slow pace would lower its mean rate.
    const pace = this.#meanBurstGap * 8 < SPELL ? this.#pace : 1
    return (this.#meanBurstGap / pace) * exponential(random)
  }

  #bestAtDue(): BestTicks {
    const cell = Math.floor(this.due / PRICE_CELL)
    if (cell !== this.#cell) {
      this.#cell = cell
      this.#best = this.best((cell * PRICE_CELL) / 1000)
    }
    return this.#best
  }
}

/** The side of a trade by its flag, as in the data contract. */
export const SIDES: Readonly<Record<TradeFlag, 'sell' | 'buy' | 'unknown'>> = {
  [SELL]: 'sell',
  [BUY]: 'buy',
  [UNKNOWN]: 'unknown',
}
