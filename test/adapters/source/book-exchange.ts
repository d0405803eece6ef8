import type { SourceKind } from '../../../src/adapters/source/feed/source-kind.ts'
import { SOURCES } from '../../../src/adapters/source/index.ts'
import type {
  ToldLevel as Level,
  ToldLevels as Levels,
  ToldBook,
} from '../../../src/simulator/exchanges/dialect.ts'
import { DIALECTS, type SimulatedExchange } from '../../../src/simulator/exchanges/index.ts'

/** So many levels of each side a service tells of, and a source shows. */
export const DEPTH = 10

/** A random book: an independent one, kept as plain maps. */
export class TrueBook {
  readonly #random: () => number
  readonly #bids = new Map<number, number>()
  readonly #asks = new Map<number, number>()
  /** Every state of the levels that are shown, as text. */
  readonly states = new Set<string>()
  /** How many changes it has had. */
  number = 100

  /** The levels that its exchange tells of. */
  readonly #told: number

  /** `told`: levels beyond so many are not named, and not that they are gone. */
  constructor(random: () => number, told = Number.POSITIVE_INFINITY) {
    this.#random = random
    this.#told = told
    for (let i = 0; i < 60; i++) this.#touch()
    this.states.add(stateOf(this.shown))
  }

  get shown(): Levels {
    return this.#best(DEPTH)
  }

  get told(): Levels {
    return this.#best(this.#told)
  }

  #best(depth: number): Levels {
    const best = (side: ReadonlyMap<number, number>, sign: number) =>
      [...side].sort(([a], [b]) => (a - b) * sign).slice(0, depth)
    return { bids: best(this.#bids, -1), asks: best(this.#asks, 1) }
  }

  /** Changes something; gives what a service says of it: levels that fall out of the depth are not named. */
  change(): Levels {
    const before = this.told
    this.#touch()
    const after = this.told
    this.states.add(stateOf(this.shown))
    const of = (side: 'bids' | 'asks') => {
      const all = side === 'bids' ? this.#bids : this.#asks
      const former = new Map(before[side])
      return [
        ...[...former.keys()].filter((price) => !all.has(price)).map((price): Level => [price, 0]),
        ...after[side].filter(([price, size]) => former.get(price) !== size),
      ]
    }
    const told = { bids: of('bids'), asks: of('asks') }
    if (told.bids.length + told.asks.length === 0) return this.change()
    this.number++
    return told
  }

  #touch(): void {
    const isBid = this.#random() < 0.5
    const [own, other] = isBid ? [this.#bids, this.#asks] : [this.#asks, this.#bids]
    const price = 1_000 + Math.floor(this.#random() * 15) * (isBid ? -1 : 1) + (isBid ? -1 : 1)
    if (other.has(price)) return
    if (this.#random() < 0.4) own.delete(price)
    else own.set(price, 1 + Math.floor(this.#random() * 9))
  }
}

export function stateOf({ bids, asks }: Levels): string {
  return JSON.stringify([bids, asks])
}

/** The book of an exchange. */
export function bookOf({ told }: BookExchange, random: () => number): TrueBook {
  return new TrueBook(random, told)
}

/** How one exchange tells of a book, as the simulator has it. */
export interface BookExchange {
  readonly kind: SourceKind
  /** What shows that an update is missing or spoilt; without it nothing does but a book that cannot be. */
  readonly shows: { readonly missing: boolean; readonly spoilt: boolean }
  readonly symbol: string
  /** Only so many levels are told. */
  readonly told?: number
  /** Each frame has the whole book: one that is missing leaves no hole. */
  readonly isWhole?: true
  /** What is wrong shows a little later: each change comes in several frames, and its checksum by itself. */
  readonly isLate?: true
  /** Undefined where snapshots come by REST. */
  readonly snapshot?: (book: TrueBook) => readonly object[]
  readonly rest?: (book: TrueBook) => object
  readonly update: (book: TrueBook, change: Levels) => readonly object[]
  /** What is answered to a frame before a snapshot. */
  readonly answers: (frame: Record<string, unknown>) => readonly object[]
  /** Whether a frame asks for the book. */
  readonly isAsked: (frame: Record<string, unknown>) => boolean
}

const SYMBOL = 'BTC-USDT'

type Shown = Pick<BookExchange, 'shows' | 'told' | 'isWhole' | 'isLate'>

const numbered = { shows: { missing: true, spoilt: false } } as const

const EXPECTED: Readonly<Partial<Record<SimulatedExchange, Shown>>> = {
  kraken: { told: DEPTH, shows: { missing: true, spoilt: true } },
  okx: numbered,
  bybit: numbered,
  binance: numbered,
  gemini: numbered,
  coinbase: { shows: { missing: false, spoilt: false } },
  bitstamp: { isWhole: true, shows: { missing: true, spoilt: false } },
  // Two checksums in a row must be wrong.
  bitfinex: { told: 25, isLate: true, shows: { missing: true, spoilt: true } },
}

const toldOf = (book: TrueBook, levels: Levels): ToldBook => ({
  ...{ symbol: SYMBOL, number: book.number, ts: (1_790_000_000_000 + book.number) * 1_000 },
  ...{ levels, whole: book.told, decimals: { price: 0, size: 0 } },
})

export const BOOK_EXCHANGES: readonly BookExchange[] = Object.entries(EXPECTED).map(
  ([name, expected]): BookExchange => {
    const exchange = name as SimulatedExchange
    const { books, asks, answer } = DIALECTS[exchange]
    const { snapshot, rest, change } = books
    return {
      ...{ kind: SOURCES[exchange], symbol: SYMBOL, ...expected },
      update: (book, levels) => change(toldOf(book, levels)),
      ...(snapshot && { snapshot: (book: TrueBook) => snapshot(toldOf(book, book.told)) }),
      ...(rest && { rest: (book: TrueBook) => rest.answer(toldOf(book, book.told)) }),
      answers: (frame) => (asks(frame) ? answer(frame, []) : []),
      isAsked(frame) {
        const request = asks(frame)
        return request?.op === 'subscribe' && request.topics.some(({ channel }) => channel === 'book')
      },
    }
  },
)
