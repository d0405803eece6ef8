import { readLevels } from '../feed/book-wire.ts'
import type { ExchangeWire, WireItem } from '../feed/exchange-wire.ts'
import type { FeedChannel } from '../feed/source-kind.ts'
import { parseJson } from '../feed/text.ts'
import { type Fields, fieldsOf, sideOf, textOf } from '../feed/wire-fields.ts'
import type { CcxtBook, CcxtTicker, CcxtTrade } from './library.ts'

/** What a `CcxtSocket` is asked for. */
export interface CcxtRequest {
  readonly op: 'subscribe' | 'unsubscribe'
  /** Our symbols. */
  readonly names: readonly string[]
  readonly channels: readonly FeedChannel[]
  readonly depth: number
}

/** What a `CcxtSocket` says: values of ccxt as they are, under our symbols. These frames are what `tapeline record` keeps. */
export type CcxtFrame =
  | { readonly of: 'trade'; readonly name: string; readonly data: CcxtTrade }
  | { readonly of: 'quote'; readonly name: string; readonly data: CcxtTicker }
  | {
      readonly of: 'book'
      readonly name: string
      readonly data: Pick<CcxtBook, 'timestamp' | 'bids' | 'asks'> | null
    }
  | { readonly of: 'refused'; readonly name: string; readonly words: string }
  | { readonly of: 'heartbeat' }

/** How the unified values of ccxt are read; the socket writes them. */
export function ccxtWire(exchange: string): ExchangeWire {
  const ids = new MadeIds()
  return {
    exchange,
    nameOf: (symbol) => symbol,
    mostNames: 100,
    // Nothing of this goes over a network.
    framesPerSecond: 1_000,
    // A snapshot comes with each change: ccxt keeps the book.
    books: { isWhole: true },
    ask: (op, names, channels, _request, depth) => [
      JSON.stringify({ op, names, channels, depth } satisfies CcxtRequest),
    ],
    read(text) {
      const { of, name, data, words } = fieldsOf(parseJson(text))
      switch (of) {
        case 'trade':
          return [readTrade(name, fieldsOf(data), ids)]
        case 'quote':
          return [readTicker(name, fieldsOf(data))]
        case 'book':
          return [readBook(name, fieldsOf(data))]
        case 'refused':
          return [{ kind: 'refused', name, words: textOf(words) }]
        case 'heartbeat':
          return [{ kind: 'heartbeat' }]
        default:
          return [{ kind: 'malformed' }]
      }
    },
  }
}

function readTrade(name: unknown, fields: Fields, ids: MadeIds): WireItem {
  const { id: told, side, price, amount: size, timestamp } = fields
  const id = ids.of(told, wordOf(name), wordOf(timestamp), [side, price, size].map(wordOf).join(':'))
  return {
    ...{ kind: 'trade', name, id, side: sideOf(side) ?? 'unknown' },
    ...{ price, size, ts: microsOf(timestamp) },
  }
}

/**
 * Some exchanges give no ids: what a trade says stands for it, and its number among equal ones of its millisecond (R5). Where an exchange gives them, a trade without one is
 * spoilt: with a made id it would be there twice.
 */
class MadeIds {
  #isGiven = false
  readonly #seen = new Map<string, { readonly timestamp: string; readonly counts: Map<string, number> }>()

  of(told: unknown, name: string, timestamp: string, said: string): unknown {
    if (told !== undefined && told !== null) this.#isGiven = true
    if (this.#isGiven) return told
    const known = this.#seen.get(name)
    const isSame = known !== undefined && known.timestamp === timestamp
    const last = isSame ? known : { timestamp, counts: new Map<string, number>() }
    this.#seen.set(name, last)
    const count = (last.counts.get(said) ?? 0) + 1
    last.counts.set(said, count)
    return `${timestamp}:${said}:${count}`
  }
}

/** A ticker is all that ccxt knows. Where it has neither side it says nothing of them; a missing one of two is empty. */
function readTicker(name: unknown, { bid, ask, bidVolume, askVolume, ...fields }: Fields): WireItem {
  const hasSides = bid !== undefined || ask !== undefined
  const { last, baseVolume: volume24h, timestamp } = fields
  const sides = { bid: bid ?? null, bidSize: bidVolume, ask: ask ?? null, askSize: askVolume }
  const ts = timestamp === undefined ? 'none' : microsOf(timestamp)
  return { kind: 'quote', name, update: { ...(hasSides && sides), last, volume24h }, ts }
}

function readBook(name: unknown, { bids, asks, timestamp }: Fields): WireItem {
  return {
    ...{ kind: 'book', name, snapshot: true, ts: microsOf(timestamp) },
    ...{ bids: readLevels(bids), asks: readLevels(asks) },
  }
}

/** Anything else has no text, and is refused by what reads it. */
function wordOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

function microsOf(millis: unknown): number | undefined {
  return typeof millis === 'number' && Number.isFinite(millis) ? Math.round(millis * 1_000) : undefined
}
