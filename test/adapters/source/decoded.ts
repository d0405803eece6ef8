/** How a source is spoken to, and what it should read: written by the documentation of its exchange alone, without any code of the platform. */
export interface Decoder {
  /** The name of the source. */
  readonly source: string
  readonly symbols: readonly string[]
  /** So many frames ask for all of them. */
  readonly requests: number
  /** A conversation of some hundred frames, after the requests. */
  readonly frames: (random: () => number) => readonly string[]
  /** Reads one frame into what a reader should have. */
  readonly read: (text: string, into: Decoded) => void
  /**
   * Where all frames of a connection are numbered together: gives each its number, which `spoil` may change, and puts what follows the end of a connection into another
   * list. The last frame of each list but the last ends its connection.
   */
  readonly connections?: (
    texts: readonly string[],
    spoil: (text: string) => string,
  ) => readonly (readonly string[])[]
}

/** Sizes by price. */
export type Side = Map<number, number>

/** What a decoder has read, each by symbol. */
export class Decoded {
  readonly trades = new Map<string, string[]>()
  readonly quotes = new Map<string, string[]>()
  /** The states of the ten best levels of each side, without repeats. */
  readonly books = new Map<string, string[]>()
  readonly #levels = new Map<string, { bids: Side; asks: Side; last: number }>()

  trade(symbol: string, ...row: readonly unknown[]): void {
    push(this.trades, symbol, JSON.stringify(row))
  }

  /** A market that begins without offers has no quote yet. */
  quote(symbol: string, ...row: readonly unknown[]): void {
    if (this.quotes.has(symbol) || row.some((value) => value !== null))
      push(this.quotes, symbol, JSON.stringify(row))
  }

  of(symbol: string) {
    const levels = this.#levels.get(symbol) ?? { bids: new Map(), asks: new Map(), last: -1 }
    this.#levels.set(symbol, levels)
    return levels
  }

  /** A book has changed. */
  shown(symbol: string): void {
    const { bids, asks } = this.of(symbol)
    push(this.books, symbol, stateOf(best(bids, -1), best(asks, 1)))
  }
}

/** The state of a book, to compare. */
function stateOf(
  bids: readonly (readonly [number, number])[],
  asks: readonly (readonly [number, number])[],
): string {
  return JSON.stringify([bids, asks])
}

function push(lists: Map<string, string[]>, symbol: string, text: string): void {
  const list = lists.get(symbol) ?? []
  if (list.at(-1) !== text) list.push(text)
  lists.set(symbol, list)
}

/** The best levels of a side. */
export function best(side: Side, sign: 1 | -1, count = 10): [number, number][] {
  return [...side].sort(([a], [b]) => (a - b) * sign).slice(0, count)
}

/** Sets levels: a size of 0 removes one. */
export function set(side: Side, rows: readonly (readonly [unknown, unknown, ...unknown[]])[]): void {
  for (const [price, size] of rows)
    if (Number(size) === 0) side.delete(Number(price))
    else side.set(Number(price), Number(size))
}

/** Milliseconds of the first frame. */
const BEGIN = 1_790_000_000_000

/** A market that trades at random: bids below 100, asks above. */
export class World {
  readonly bids: Side = new Map()
  readonly asks: Side = new Map()
  readonly random: () => number
  #ms = BEGIN
  id = 1_000

  constructor(random: () => number) {
    this.random = random
    for (let i = 0; i < 20; i++) this.touch()
  }

  whole(below: number): number {
    return Math.floor(this.random() * below)
  }

  /** Later each time: what is told between two of them would be older than what was told before. */
  get ms(): number {
    this.#ms += 1 + this.whole(50)
    return this.#ms
  }

  price(isBid: boolean): number {
    return isBid ? 99.99 - this.whole(20) / 4 : 100.01 + this.whole(20) / 4
  }

  size(): number {
    return (1 + this.whole(1e6)) / 10 ** this.whole(5)
  }

  /** Changes a level: the side, and what an exchange says of it. A level that is not there may be removed. */
  touch(): readonly [isBid: boolean, price: number, size: number] {
    const isBid = this.random() < 0.5
    const [price, size] = [this.price(isBid), this.random() < 0.3 ? 0 : this.size()]
    set(isBid ? this.bids : this.asks, [[price, size]])
    return [isBid, price, size]
  }

  /** Some changes: the last one of a price counts. */
  changes(): { readonly bids: Side; readonly asks: Side } {
    const [bids, asks]: [Side, Side] = [new Map(), new Map()]
    for (let i = this.whole(4); i >= 0; i--) {
      const [isBid, price, size] = this.touch()
      ;(isBid ? bids : asks).set(price, size)
    }
    return { bids, asks }
  }
}

/** `[price, size]` of levels, as texts. */
export const rowsOf = (side: Side) => [...side].map(([price, size]) => [String(price), String(size)])

/** A world for each market. */
export function worldsOf(symbols: readonly string[], random: () => number): Map<string, World> {
  return new Map(symbols.map((symbol) => [symbol, new World(random)]))
}

/** So much happens in each of them. */
export const STEPS = 400

/** The markets of a conversation. */
export const SYMBOLS = ['BTC-USD', 'ETH-USD']
