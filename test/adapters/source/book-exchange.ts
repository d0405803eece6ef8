import { crc32 } from 'node:zlib'
import { binance } from '../../../src/adapters/source/binance/source.ts'
import { bybit } from '../../../src/adapters/source/bybit/source.ts'
import { coinbase } from '../../../src/adapters/source/coinbase/source.ts'
import type { SourceKind } from '../../../src/adapters/source/feed/source-kind.ts'
import { kraken } from '../../../src/adapters/source/kraken/source.ts'
import { okx } from '../../../src/adapters/source/okx/source.ts'

type Level = readonly [price: number, size: number]

interface Levels {
  readonly bids: readonly Level[]
  readonly asks: readonly Level[]
}

/** So many levels of each side a service tells of, and a source shows. */
export const DEPTH = 10

/** A random book: an independent one, kept as plain maps. */
class TrueBook {
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

/** How one exchange tells of a book: written by its documentation. */
export interface BookExchange {
  readonly kind: SourceKind
  /** What shows that an update is missing or spoilt; without it nothing does but a book that cannot be. */
  readonly shows: { readonly missing: boolean; readonly spoilt: boolean }
  readonly symbol: string
  /** Only so many levels are told. */
  readonly told?: number
  /** Undefined where snapshots come by REST. */
  readonly snapshot?: (book: TrueBook) => object
  readonly rest?: (book: TrueBook) => object
  readonly update: (book: TrueBook, change: Levels) => object
  /** Whether a frame asks for the book. */
  readonly isAsked: (frame: Record<string, unknown>) => boolean
}

const texts = (levels: readonly Level[]) => levels.map(([price, size]) => [String(price), String(size)])
const millis = (book: TrueBook) => 1_790_000_000_000 + book.number
const iso = (book: TrueBook) => new Date(millis(book)).toISOString()

function krakenFrame(type: string, book: TrueBook, { bids, asks }: Levels): object {
  const rows = (levels: readonly Level[]) => levels.map(([price, qty]) => ({ price, qty }))
  const { shown } = book
  const all = [...shown.asks, ...shown.bids].map(([price, size]) => `${price}${size}`)
  const data = {
    ...{ symbol: 'BTC/USDT', bids: rows(bids), asks: rows(asks) },
    ...{ checksum: crc32(all.join('')), timestamp: iso(book) },
  }
  return { channel: 'book', type, data: [data] }
}

const okxFrame = (action: string, book: TrueBook, prevSeqId: number, { bids, asks }: Levels) => ({
  arg: { channel: 'books', instId: 'BTC-USDT' },
  action,
  data: [
    {
      ...{ bids: texts(bids), asks: texts(asks), ts: String(millis(book)), checksum: 0 },
      ...{ prevSeqId, seqId: book.number },
    },
  ],
})

const bybitFrame = (type: string, book: TrueBook, { bids, asks }: Levels) => ({
  ...{ topic: 'orderbook.50.BTCUSDT', ts: millis(book), type, cts: millis(book) },
  data: { s: 'BTCUSDT', b: texts(bids), a: texts(asks), u: book.number, seq: book.number },
})

const argsOf = (frame: Record<string, unknown>) => JSON.stringify(frame['args'] ?? '')

export const BOOK_EXCHANGES: readonly BookExchange[] = [
  {
    kind: kraken,
    told: DEPTH,
    shows: { missing: true, spoilt: true },
    symbol: 'BTC-USDT',
    snapshot: (book) => krakenFrame('snapshot', book, book.told),
    update: (book, change) => krakenFrame('update', book, change),
    isAsked: ({ method, params }) =>
      method === 'subscribe' && (params as { channel: string }).channel === 'book',
  },
  {
    kind: okx,
    shows: { missing: true, spoilt: false },
    symbol: 'BTC-USDT',
    snapshot: (book) => okxFrame('snapshot', book, -1, book.told),
    update: (book, change) => okxFrame('update', book, book.number - 1, change),
    isAsked: (frame) => frame['op'] === 'subscribe' && argsOf(frame).includes('"books"'),
  },
  {
    kind: bybit,
    shows: { missing: true, spoilt: false },
    symbol: 'BTC-USDT',
    snapshot: (book) => bybitFrame('snapshot', book, book.told),
    update: (book, change) => bybitFrame('delta', book, change),
    isAsked: (frame) => frame['op'] === 'subscribe' && argsOf(frame).includes('orderbook.50'),
  },
  {
    kind: binance,
    shows: { missing: true, spoilt: false },
    symbol: 'BTC-USDT',
    rest: (book) => ({
      lastUpdateId: book.number,
      bids: texts(book.told.bids),
      asks: texts(book.told.asks),
    }),
    update: (book, { bids, asks }) => ({
      stream: 'btcusdt@depth@100ms',
      data: {
        ...{ e: 'depthUpdate', E: millis(book) * 1_000, s: 'BTCUSDT', U: book.number, u: book.number },
        ...{ b: texts(bids), a: texts(asks) },
      },
    }),
    isAsked: ({ method }) => method === 'SUBSCRIBE',
  },
  {
    kind: coinbase,
    shows: { missing: false, spoilt: false },
    symbol: 'BTC-USDT',
    snapshot: (book) => ({
      ...{ type: 'snapshot', product_id: 'BTC-USDT', time: iso(book) },
      ...{ bids: texts(book.told.bids), asks: texts(book.told.asks) },
    }),
    update: (book, { bids, asks }) => ({
      ...{ type: 'l2update', product_id: 'BTC-USDT', time: iso(book) },
      changes: [...texts(bids).map((row) => ['buy', ...row]), ...texts(asks).map((row) => ['sell', ...row])],
    }),
    isAsked: ({ type, channels }) =>
      type === 'subscribe' && JSON.stringify(channels).includes('level2_batch'),
  },
]
