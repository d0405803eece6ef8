import type { WalkClock } from '../clock.ts'
import { ticksToPrice } from '../instrument.ts'
import type { Market } from '../market.ts'
import { hashText, mix32 } from '../random.ts'
import type { ToldLevel, ToldLevels } from './dialect.ts'

/** Levels of each side. */
const DEPTH = 25
/** Levels behind the best one lie so many spreads apart, on a grid that does not move with the price. */
const SPREADS_APART = 5
/** Sizes change about this often, in seconds. */
const SIZE_LASTS = 7

/** The book of one market: its best prices are those of the walk, the other levels stand on a grid. */
export class SimulatedBook {
  readonly market: Market
  readonly #clock: WalkClock
  readonly #word: number
  readonly #step: number
  /** One more with each change. */
  number: number
  before: ToldLevels = { bids: [], asks: [] }
  now: ToldLevels

  constructor(market: Market, clock: WalkClock) {
    this.market = market
    this.#clock = clock
    this.#word = hashText(`${market.market} ${market.base} ${market.quote} book`)
    const { bid, ask } = market.walk.best(0)
    this.#step = Math.max(1, ask - bid) * SPREADS_APART
    this.number = Math.floor(clock.wall / 1_000)
    this.now = this.#levels()
  }

  /** Goes on to the present time; false where nothing has changed. */
  advance(): boolean {
    const now = this.#levels()
    if (isSame(now.bids, this.now.bids) && isSame(now.asks, this.now.asks)) return false
    this.before = this.now
    this.now = now
    this.number++
    return true
  }

  #levels(): ToldLevels {
    const seconds = this.#clock.virtual / 1000
    const { bid, ask } = this.market.walk.best(seconds)
    return { bids: this.#side(bid, -1, seconds), asks: this.#side(ask, 1, seconds) }
  }

  #side(best: number, direction: 1 | -1, seconds: number): readonly ToldLevel[] {
    const step = this.#step
    const levels: ToldLevel[] = [this.#level(best, seconds)]
    const cell = direction === 1 ? Math.floor(best / step) + 1 : Math.ceil(best / step) - 1
    for (let i = 0; levels.length < DEPTH; i++) {
      const ticks = (cell + direction * i) * step
      if (ticks < 1) break
      levels.push(this.#level(ticks, seconds))
    }
    return levels
  }

  #level(ticks: number, seconds: number): ToldLevel {
    const { definition, dailyVolume, priceDecimals } = this.market
    const noise =
      mix32(this.#word ^ Math.imul(ticks, 31) ^ Math.floor((seconds + (ticks % SIZE_LASTS)) / SIZE_LASTS)) >>>
      0
    const factor = 10 ** definition.sizeDecimals
    const units = Math.max(1, Math.round((dailyVolume / 40_000) * (0.1 + noise / 2 ** 31) * factor))
    return [ticksToPrice(ticks, priceDecimals), units / factor]
  }
}

function isSame(some: readonly ToldLevel[], others: readonly ToldLevel[]): boolean {
  return (
    some.length === others.length &&
    some.every(([price, size], at) => others[at]?.[0] === price && others[at][1] === size)
  )
}

/** What has changed of so many levels of each side: levels that fall out of these, and are still there, are not named. */
export function changesOf(before: ToldLevels, now: ToldLevels, depth: number): ToldLevels {
  return {
    bids: changedSide(before.bids, now.bids, depth, -1),
    asks: changedSide(before.asks, now.asks, depth, 1),
  }
}

function changedSide(
  before: readonly ToldLevel[],
  now: readonly ToldLevel[],
  depth: number,
  sign: 1 | -1,
): readonly ToldLevel[] {
  const former = new Map(before.slice(0, depth))
  const present = new Map(now)
  const gone = [...former.keys()].filter((price) => !present.has(price)).map((price): ToldLevel => [price, 0])
  const changed = now.slice(0, depth).filter(([price, size]) => former.get(price) !== size)
  return [...gone, ...changed].sort(([a], [b]) => (a - b) * sign)
}
