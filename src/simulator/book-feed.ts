import type { WalkClock } from './clock.ts'
import { SharedFeed } from './feed.ts'
import { jsonFrame } from './frame.ts'
import { ticksToPrice } from './instrument.ts'
import type { Market } from './market.ts'
import { hashText, mix32 } from './random.ts'

const DEPTH = 10
const BID = 0
const ASK = 1
type BookSide = typeof BID | typeof ASK

const ADD = 1
const REMOVE = 2
const CHANGE = 4

interface Level {
  readonly P: number
  readonly Q: number
}

/** Price to size, best first. */
type Levels = ReadonlyMap<number, number>
type Book = readonly [bids: Levels, asks: Levels]

/** Both sides of a market's book now. Sizes hang on the price and change every few seconds. */
function bookOf(market: Market, clock: WalkClock): Book {
  const seconds = clock.virtual / 1000
  const best = market.walk.best(seconds)
  const step = Math.max(1, (best.ask - best.bid) >> 1)
  const word = hashText(`${market.market} ${market.base} ${market.quote}`)
  const middle = market.dailyVolume / 40_000
  const side = (from: number, direction: number): Levels => {
    const levels = new Map<number, number>()
    for (let i = 0; i < DEPTH; i++) {
      const ticks = from + direction * i * step
      if (ticks < 1) break
      const noise = mix32(word ^ Math.imul(ticks, 31) ^ Math.floor((seconds + (ticks % 7)) / 7)) >>> 0
      const size = Number((middle * (0.1 + noise / 2 ** 31)).toPrecision(6))
      levels.set(ticksToPrice(ticks, market.priceDecimals), size)
    }
    return levels
  }
  return [side(best.bid, -1), side(best.ask, 1)]
}

/** TYPE 9, then TYPE 8: the book of one market, then each change of a level; CCSEQ goes up by 1 a change. */
export class BookFeed extends SharedFeed {
  readonly #market: Market
  readonly #clock: WalkClock
  #book: Book | undefined
  #sequence: number

  constructor(market: Market, clock: WalkClock) {
    super()
    this.#market = market
    this.#clock = clock
    this.#sequence = Math.floor(clock.wall)
  }

  first(): string {
    if (!this.subscribed || !this.#book) this.#book = bookOf(this.#market, this.#clock)
    const [bids, asks] = this.#book
    return jsonFrame({
      TYPE: '9',
      ...this.#name(),
      CCSEQ: this.#sequence,
      BID: levelsOf(bids),
      ASK: levelsOf(asks),
    })
  }

  update(): string {
    const before = this.#book
    const now = bookOf(this.#market, this.#clock)
    this.#book = now
    if (!before) return ''
    return this.#changes(BID, before[BID], now[BID]) + this.#changes(ASK, before[ASK], now[ASK])
  }

  #changes(side: BookSide, before: Levels, now: Levels): string {
    let frames = ''
    for (const price of before.keys()) if (!now.has(price)) frames += this.#change(side, REMOVE, price, 0)
    for (const [price, size] of now) {
      const was = before.get(price)
      if (was !== size) frames += this.#change(side, was === undefined ? ADD : CHANGE, price, size)
    }
    return frames
  }

  #change(side: BookSide, action: number, price: number, size: number): string {
    this.#sequence++
    return jsonFrame({
      TYPE: '8',
      ...this.#name(),
      SIDE: side,
      ACTION: action,
      CCSEQ: this.#sequence,
      P: price,
      Q: size,
      SEQ: this.#sequence,
      REPORTEDNS: this.#clock.wall * 1000,
      DELAYNS: 250_000,
    })
  }

  #name(): { M: string; FSYM: string; TSYM: string } {
    return { M: this.#market.market, FSYM: this.#market.base, TSYM: this.#market.quote }
  }
}

/** TYPE 30: the best level of each side, both first, then each that has changed; CCSEQ goes up by 1. */
export class TopFeed extends SharedFeed {
  readonly #market: Market
  readonly #clock: WalkClock
  #top: readonly [Level, Level] | undefined
  #sequence: number

  constructor(market: Market, clock: WalkClock) {
    super()
    this.#market = market
    this.#clock = clock
    this.#sequence = Math.floor(clock.wall)
  }

  first(): string {
    if (!this.subscribed || !this.#top) this.#top = this.#now()
    return this.#frame({ BID: this.#reported(this.#top[BID]), ASK: this.#reported(this.#top[ASK]) })
  }

  update(): string {
    const before = this.#top
    const now = this.#now()
    this.#top = now
    if (!before) return ''
    let frames = ''
    for (const [side, name] of [
      [BID, 'BID'],
      [ASK, 'ASK'],
    ] as const) {
      if (now[side].P === before[side].P && now[side].Q === before[side].Q) continue
      this.#sequence++
      frames += this.#frame({ [name]: this.#reported(now[side]) })
    }
    return frames
  }

  #now(): readonly [Level, Level] {
    const [bids, asks] = bookOf(this.#market, this.#clock)
    return [levelsOf(bids)[0] ?? { P: 0, Q: 0 }, levelsOf(asks)[0] ?? { P: 0, Q: 0 }]
  }

  #reported(level: Level): readonly object[] {
    return [{ ...level, REPORTEDNS: `${this.#clock.wall}000` }]
  }

  #frame(sides: object): string {
    const { market, base, quote } = this.#market
    return jsonFrame({ TYPE: '30', M: market, FSYM: base, TSYM: quote, CCSEQ: this.#sequence, ...sides })
  }
}

function levelsOf(levels: Levels): Level[] {
  return Array.from(levels, ([P, Q]) => ({ P, Q }))
}
