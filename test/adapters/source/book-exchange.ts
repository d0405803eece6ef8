import type { SourceKind } from '../../../src/adapters/source/feed/source-kind.ts'
import { kindOf, SOURCES } from '../../../src/adapters/source/index.ts'
import { isoMicros } from '../../../src/domain/time.ts'
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

/** What goes wrong with one change on its way. `size`, `price`: another one of a level that stays possible; the others make the book one that cannot be. */
export const FAULTS = ['none', 'drop', 'repeat', 'swap', 'size', 'price', 'crossing', 'negative'] as const
export type Fault = (typeof FAULTS)[number]

/**
 * What becomes of a book with a fault. `right`: nothing is wrong with it. `doubt`: it is marked, and whole again with the next snapshot. `next`: it is right
 * again with the next frame. Else it is wrong until the level changes again, for this reason: nobody can tell.
 */
type Outcome = 'right' | 'doubt' | 'next' | { readonly unseen: string }

/** How one exchange tells of a book, and what its source is expected to notice. */
export interface BookExchange {
  readonly kind: SourceKind
  readonly symbol: string
  /** Only so many levels are told. */
  readonly told?: number
  /** Each frame has the whole book: one that is missing leaves no hole. */
  readonly isWhole?: true
  /** What is wrong shows with a later frame: by then readers have had it. */
  readonly isLate?: true
  /** Undefined where nothing but another snapshot ends what is unseen: one is asked for after so many milliseconds. */
  readonly refreshMs?: number
  readonly outcomes: Readonly<Record<Exclude<Fault, 'none'>, Outcome>>
  /** Undefined where snapshots come by REST. */
  readonly snapshot?: (book: TrueBook) => readonly object[]
  readonly rest?: (book: TrueBook) => object
  readonly update: (told: ToldBook) => readonly object[]
  /** What is answered to a frame before a snapshot. */
  readonly answers: (frame: Record<string, unknown>) => readonly object[]
  /** Whether a frame asks for the book. */
  readonly isAsked: (frame: Record<string, unknown>) => boolean
}

const SYMBOL = 'BTC-USDT'

type Expected = Pick<BookExchange, 'outcomes' | 'told' | 'isWhole' | 'isLate' | 'refreshMs'>

/** What no source lets pass. */
const IMPOSSIBLE = { crossing: 'doubt', negative: 'doubt' } as const

const unhashed = { unseen: 'its changes are numbered, but there is no checksum of what they leave' } as const

const NUMBERED: Expected = {
  outcomes: { drop: 'doubt', repeat: 'right', swap: 'doubt', size: unhashed, price: unhashed, ...IMPOSSIBLE },
}

const HASHED: Expected = {
  outcomes: { drop: 'doubt', repeat: 'right', swap: 'doubt', size: 'doubt', price: 'doubt', ...IMPOSSIBLE },
}

const WHOLE: Expected = {
  isWhole: true,
  // The best level of the spoilt frame is the best no more: its side is not sorted.
  outcomes: { drop: 'right', repeat: 'right', swap: 'right', size: 'next', price: 'doubt', ...IMPOSSIBLE },
}

const unnumbered = { unseen: 'its changes have neither a number nor a checksum' } as const

const EXPECTED: Readonly<Record<SimulatedExchange, Expected>> = {
  kraken: { ...HASHED, told: DEPTH },
  // A change names the one before: what is told again does not go on from the book.
  okx: { outcomes: { ...NUMBERED.outcomes, repeat: 'doubt' } },
  bybit: NUMBERED,
  binance: NUMBERED,
  gemini: NUMBERED,
  coinbase: {
    // What comes too early shows with what comes too late, by its time.
    isLate: true,
    refreshMs: 600_000,
    outcomes: {
      ...{ drop: unnumbered, repeat: 'right', swap: 'doubt', size: unnumbered, price: unnumbered },
      ...IMPOSSIBLE,
    },
  },
  bitstamp: WHOLE,
  // The checksum comes by itself, and two in a row must be wrong.
  bitfinex: { ...HASHED, told: 25, isLate: true },
}

const dateOf = (number: number) => (1_790_000_000_000 + number) * 1_000

/** The book after a change of these levels, as an exchange tells it. */
export function toldOf(book: TrueBook, levels: Levels): ToldBook {
  return {
    ...{ symbol: SYMBOL, number: book.number, ts: dateOf(book.number) },
    ...{ levels, whole: book.told, decimals: { price: 0, size: 0 } },
  }
}

const SIMULATED = Object.entries(EXPECTED).map(([name, expected]): BookExchange => {
  const exchange = name as SimulatedExchange
  const { books, asks, answer } = DIALECTS[exchange]
  const { snapshot, rest, change } = books
  return {
    ...{ kind: SOURCES[exchange], symbol: SYMBOL, ...expected, update: change },
    ...(snapshot && { snapshot: (book: TrueBook) => snapshot(toldOf(book, book.told)) }),
    ...(rest && { rest: (book: TrueBook) => rest.answer(toldOf(book, book.told)) }),
    answers: (frame) => (asks(frame) ? answer(frame, []) : []),
    isAsked(frame) {
      const request = asks(frame)
      return request?.op === 'subscribe' && request.topics.some(({ channel }) => channel === 'book')
    },
  }
})

/** All messages of a connection are numbered together, snapshots too. */
function advanced(): BookExchange {
  let snapshots = 0
  const frame = (type: 'snapshot' | 'update', { number, ts, levels }: ToldBook): object => {
    const rows = (side: string, told: readonly Level[]) =>
      told.map(([price, size]) => ({
        ...{ side, event_time: isoMicros(ts), price_level: String(price), new_quantity: String(size) },
      }))
    const updates = [...rows('bid', levels.bids), ...rows('offer', levels.asks)]
    return {
      ...{ channel: 'l2_data', timestamp: isoMicros(ts), sequence_num: number + snapshots },
      events: [{ type, product_id: SYMBOL, updates }],
    }
  }
  return {
    ...{ kind: SOURCES['coinbase-advanced'], symbol: SYMBOL, ...NUMBERED },
    snapshot(book) {
      snapshots++
      return [frame('snapshot', toldOf(book, book.told))]
    },
    update: (told) => [frame('update', told)],
    answers: () => [],
    isAsked: ({ type, channel }) => type === 'subscribe' && channel === 'level2',
  }
}

/** As ccxt's values stand in a recording: what it makes of an exchange's frames it says to nobody. */
function ccxtFrame({ ts, whole }: ToldBook): object {
  return { of: 'book', name: SYMBOL, data: { timestamp: ts / 1_000, ...whole } }
}

const { loadSockets: _, ...ccxtKind } = kindOf({ kind: 'ccxt', exchange: 'kucoin' })

const CCXT: BookExchange = {
  ...{ kind: ccxtKind, symbol: SYMBOL, ...WHOLE },
  snapshot: (book) => [ccxtFrame(toldOf(book, book.told))],
  update: (told) => [ccxtFrame(told)],
  answers: () => [],
  isAsked: ({ op, channels }) => op === 'subscribe' && Array.isArray(channels) && channels.includes('book'),
}

export const BOOK_EXCHANGES: readonly BookExchange[] = [...SIMULATED, advanced(), CCXT]
