import type { ToldBook, ToldLevel, ToldLevels } from '../../src/simulator/exchanges/dialect.ts'
import { DIALECTS, type SimulatedExchange } from '../../src/simulator/exchanges/index.ts'
import { marketsOf } from './frames.ts'

/** Exchanges whose snapshots come by the WebSocket, and that number or hash each change, with the levels of each side that they have: no more than they tell of. */
export const BOOKS = [
  { name: 'okx', levels: 300 },
  { name: 'gemini', levels: 300 },
  { name: 'coinbase', levels: 300 },
  { name: 'bybit', levels: 40 },
  { name: 'kraken', levels: 80 },
] as const satisfies readonly { readonly name: SimulatedExchange; readonly levels: number }[]

const FIRST_TS = 1_793_000_000_000_000
const SPACING = 100
/** A change has so many levels of each side. */
const CHANGED = 2
/** Most changes are near the best price. */
const NEAR = 20
const MIDDLE = 6_000_000
const DECIMALS = { price: 2, size: 4 } as const

/** The same numbers each time. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** The book of a market on a grid of prices, of which some are empty. */
class GridBook {
  readonly symbol: string
  readonly #random: () => number
  readonly #sizes: readonly [bids: number[], asks: number[]]
  #number = 100

  constructor(symbol: string, levels: number, random: () => number) {
    this.symbol = symbol
    this.#random = random
    const side = () => Array.from({ length: levels }, () => this.#size())
    this.#sizes = [side(), side()]
  }

  get whole(): ToldLevels {
    const of = (side: 0 | 1): ToldLevel[] =>
      this.#sizes[side].flatMap((size, at) => (size === 0 ? [] : [[priceOf(side, at), size] as const]))
    return { bids: of(0), asks: of(1) }
  }

  told(levels: ToldLevels, whole: ToldLevels, ts: number): ToldBook {
    return { symbol: this.symbol, number: this.#number, ts, levels, whole, decimals: DECIMALS }
  }

  /** New sizes at some prices; every sixth price becomes empty. */
  change(): ToldLevels {
    this.#number++
    const of = (side: 0 | 1): ToldLevel[] => {
      const sizes = this.#sizes[side]
      const places = new Set<number>()
      while (places.size < CHANGED) {
        const most = this.#random() < 0.8 ? Math.min(NEAR, sizes.length) : sizes.length
        places.add(Math.floor(this.#random() * most))
      }
      return [...places]
        .toSorted((a, b) => a - b)
        .map((at): ToldLevel => {
          const size = sizes[at] !== 0 && this.#random() < 1 / 6 ? 0 : this.#size()
          sizes[at] = size
          return [priceOf(side, at), size]
        })
    }
    return { bids: of(0), asks: of(1) }
  }

  #size(): number {
    return (1 + Math.floor(this.#random() * 99_999)) / 10_000
  }
}

function priceOf(side: 0 | 1, at: number): number {
  return (side === 0 ? MIDDLE - 1 - at : MIDDLE + at) / 100
}

/** What an exchange sends of its books: a snapshot of each market, and then changes of all markets in turn. */
export function bookFramesOf(
  exchange: SimulatedExchange,
  levels: number,
  count: number,
): {
  readonly snapshots: readonly Buffer[]
  readonly changes: readonly Buffer[]
} {
  const { books: told } = DIALECTS[exchange]
  const random = randomOf(1)
  const books = marketsOf(exchange).map(({ symbol }) => new GridBook(symbol, levels, random))
  const bytes = (frames: readonly object[]) => frames.map((frame) => Buffer.from(JSON.stringify(frame)))
  const wholes = books.map((book) => book.told(book.whole, book.whole, FIRST_TS))
  const snapshots = wholes.flatMap((whole) => bytes(told.snapshot?.(whole) ?? []))
  const changes = Array.from({ length: count }, (_, i) => {
    const book = books[i % books.length] as GridBook
    const changed = book.change()
    const whole = exchange === 'kraken' ? book.whole : changed
    return bytes(told.change(book.told(changed, whole, FIRST_TS + (i + 1) * SPACING)))
  })
  return { snapshots, changes: changes.flat() }
}
