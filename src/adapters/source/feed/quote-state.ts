import type { Quote } from '../../../domain/events.ts'
import { readAmount, readNumber, readPrice } from './values.ts'

/** What is known of a market's prices; absent where nothing is known, or where nobody offers. */
export type QuoteFields = Pick<Quote, 'bid' | 'bidSize' | 'ask' | 'askSize' | 'last' | 'volume24h'>

/** What an update says of one side of the market. */
interface SideUpdate {
  /** `none`: nobody offers. Absent where the update does not say. */
  readonly price?: number | 'none'
  readonly size?: number
}

/** What an update says, as the frame has it: each field in whatever form, and absent where it says nothing. */
export interface QuoteUpdate {
  readonly bid?: unknown
  readonly bidSize?: unknown
  readonly ask?: unknown
  readonly askSize?: unknown
  readonly last?: unknown
  readonly volume24h?: unknown
}

/**
 * When an update was made, where the service says so: its time in microseconds, and its number among those of one time, or among all where
 * there is no time.
 */
interface UpdateOrder {
  readonly ts?: number | undefined
  readonly sequence?: number | undefined
}

interface Side {
  readonly price: number
  readonly size: number | undefined
}

interface Prices {
  readonly bid: Side | undefined
  readonly ask: Side | undefined
  readonly last: number | undefined
  readonly volume24h: number | undefined
}

const NOTHING_KNOWN: Prices = { bid: undefined, ask: undefined, last: undefined, volume24h: undefined }

/**
 * The latest known quote of one market, merged from updates that name only what changed. A field that cannot be read costs that
 * field alone: what was known of it stays.
 */
export class QuoteState {
  #prices = NOTHING_KNOWN
  /** What was said last: equal prices are no news, also after `forget`. */
  #said = NOTHING_KNOWN
  #ts: number | undefined
  #sequence: number | undefined

  /** The time of the latest update that told one, in microseconds. */
  get ts(): number | undefined {
    return this.#ts
  }

  /**
   * Forgets the prices: what the service sends next is all that is known. After a hole a side may be empty that was not, and a service may
   * number its updates anew.
   */
  forget(): void {
    this.#prices = NOTHING_KNOWN
    if (this.#ts === undefined) this.#sequence = undefined
  }

  /**
   * Merges an update. Gives all fields known now; `unchanged` where they were said before; `older` where the update was made
   * before the last one: it changes nothing then.
   */
  merge(update: QuoteUpdate, order: UpdateOrder): QuoteFields | 'unchanged' | 'older' {
    if (this.#isOlder(order)) return 'older'
    this.#ts = order.ts ?? this.#ts
    this.#sequence = order.sequence ?? this.#sequence
    const before = this.#prices
    this.#prices = {
      bid: mergedSide(before.bid, readSide(update.bid, update.bidSize)),
      ask: mergedSide(before.ask, readSide(update.ask, update.askSize)),
      last: readPrice(update.last) ?? before.last,
      volume24h: readAmount(update.volume24h) ?? before.volume24h,
    }
    if (isSame(this.#prices, this.#said)) return 'unchanged'
    this.#said = this.#prices
    return fieldsOf(this.#prices)
  }

  #isOlder({ ts, sequence }: UpdateOrder): boolean {
    if (ts !== undefined && this.#ts !== undefined && ts !== this.#ts) return ts < this.#ts
    return sequence !== undefined && this.#sequence !== undefined && sequence < this.#sequence
  }
}

/** A side without orders is told as a price of 0, as null, as an empty text, or as a size of 0. */
function readSide(price: unknown, size: unknown): SideUpdate {
  const amount = readAmount(size)
  if (amount === 0 || price === null || price === '' || readNumber(price) === 0) return { price: 'none' }
  const read = readPrice(price)
  return { ...(read !== undefined && { price: read }), ...(amount !== undefined && { size: amount }) }
}

/** A size belongs to its price: another price without a size has none that is known. */
function mergedSide(before: Side | undefined, { price, size }: SideUpdate): Side | undefined {
  if (price === 'none') return undefined
  if (price === undefined) return before && (size === undefined ? before : { ...before, size })
  return { price, size: size ?? (price === before?.price ? before.size : undefined) }
}

function isSame(a: Prices, b: Prices): boolean {
  return (
    a.bid?.price === b.bid?.price &&
    a.bid?.size === b.bid?.size &&
    a.ask?.price === b.ask?.price &&
    a.ask?.size === b.ask?.size &&
    a.last === b.last &&
    a.volume24h === b.volume24h
  )
}

function fieldsOf({ bid, ask, last, volume24h }: Prices): QuoteFields {
  return {
    ...(bid && { bid: bid.price }),
    ...(bid?.size !== undefined && { bidSize: bid.size }),
    ...(ask && { ask: ask.price }),
    ...(ask?.size !== undefined && { askSize: ask.size }),
    ...(last !== undefined && { last }),
    ...(volume24h !== undefined && { volume24h }),
  }
}
