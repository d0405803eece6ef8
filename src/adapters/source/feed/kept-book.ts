import { CHECKSUMS, isChecksum } from '../../../domain/book-checksum.ts'
import type { BookLevels } from '../../../domain/book-levels.ts'
import { SEQUENCE_RULES } from '../../../domain/book-sequence.ts'
import type { BookDoubt } from '../../../domain/events.ts'
import { isSorted, type NewLevels, OrderBook } from '../../../domain/order-book.ts'
import { bookDifference } from './book-difference.ts'
import type { BookRules, WireBook } from './book-wire.ts'

/** Updates that wait for a snapshot by REST: as many as come in a minute, which is longer than any call takes. */
const MOST_WAITING = 600
/** So many repeats in a row are none: the exchange counts anew, and nothing that it tells of is seen. */
const MOST_REPEATED = 100
/** So many checksums in a row that come by themselves must be wrong: how some numbers are written is not known. */
const MOST_WRONG = 2

/** What became of a frame: a book that is whole again, a change of the levels that are shown, a doubt, or nothing that anyone sees. */
export type BookStep =
  | { readonly kind: 'snapshot' }
  | { readonly kind: 'change'; readonly change: BookLevels }
  | { readonly kind: 'doubt'; readonly doubt: BookDoubt }
  | { readonly kind: 'nothing' | 'repeated' | 'waits' }

const NOTHING: BookStep = { kind: 'nothing' }

const doubtOf = (doubt: BookDoubt): BookStep => ({ kind: 'doubt', doubt })

/** The book of one market under the rules of its exchange: valid from a snapshot up to the first doubt (R30). */
export class KeptBook {
  readonly #rules: BookRules
  readonly #book: OrderBook
  #isValid = false
  /** The number of the last update; undefined where the exchange has none. */
  #last: number | undefined
  /** Nothing was applied since the snapshot. */
  #isFirst = false
  /** When the last update was made, where no number tells their order. */
  #lastTs = 0
  #wrong = 0
  /** How many updates in a row were known already. */
  #repeated = 0
  /** Beyond these prices levels are there that nobody has told. */
  #horizon: { readonly bid: number; readonly ask: number } | undefined
  #waiting: WireBook[] = []

  constructor(rules: BookRules, depth: number) {
    this.#rules = rules
    this.#book = new OrderBook({ shown: depth, kept: rules.kept?.(depth) })
  }

  get isValid(): boolean {
    return this.#isValid
  }

  /** Whether updates wait for a snapshot by REST. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  get shown(): BookLevels {
    return this.#book.shown
  }

  /** Nobody may use it, up to the next snapshot. */
  invalidate(): void {
    this.#isValid = false
    this.#waiting = []
  }

  /** Takes a frame in. What gives a doubt makes the book invalid. */
  take(frame: WireBook): BookStep {
    const { bids, asks, snapshot } = frame
    if (bids === undefined || asks === undefined) return this.#doubt('unreadable')
    return snapshot ? this.#replace(frame, { bids, asks }) : this.#change(frame, { bids, asks })
  }

  /** Takes a snapshot by REST in, and what has waited for it. `waits`: it is older than what waits, and another one is needed. */
  takeRest(frame: WireBook): BookStep {
    const [first] = this.#waiting
    const { place } = frame
    if (frame.bids === undefined || frame.asks === undefined || place === undefined)
      return this.#doubt('unreadable')
    const from = first?.place?.previous ?? (first?.place?.first ?? place.last + 1) - 1
    if (from > place.last) return { kind: 'waits' }
    const waiting = this.#waiting
    const begun = this.take({ ...frame, snapshot: true })
    if (begun.kind !== 'snapshot') return begun
    for (const each of waiting) {
      const step = this.take(each)
      if (step.kind === 'doubt') return step
      // The snapshot is later than these.
      this.#repeated = 0
    }
    return begun
  }

  /** Takes a checksum in that comes by itself. */
  check(checksum: number): BookStep {
    if (!this.#isValid || this.#isChecksum(checksum)) {
      this.#wrong = 0
      return NOTHING
    }
    return ++this.#wrong < MOST_WRONG ? NOTHING : this.#doubt('checksum')
  }

  #replace(frame: WireBook, levels: NewLevels): BookStep {
    const { isWhole, isUnsorted } = this.#rules
    const last = frame.place?.last
    if (isWhole && this.#isValid && last !== undefined && last <= (this.#last ?? -1)) return this.#repeat()
    if (!isUnsorted && !isSorted(levels)) return this.#doubt('unsorted')
    const before = isWhole && this.#isValid ? this.#book.shown : undefined
    this.#book.replace(levels)
    this.#last = last
    this.#isFirst = true
    this.#lastTs = frame.ts ?? 0
    this.#wrong = 0
    this.#repeated = 0
    this.#waiting = []
    this.#horizon = frame.isCut
      ? { bid: levels.bids.at(-1)?.price ?? 0, ask: levels.asks.at(-1)?.price ?? Number.POSITIVE_INFINITY }
      : undefined
    const fault = this.#faultOf(frame)
    if (fault !== undefined) return this.#doubt(fault)
    this.#isValid = true
    return before === undefined ? { kind: 'snapshot' } : changeOf(bookDifference(before, this.#book.shown))
  }

  #change(frame: WireBook, levels: NewLevels): BookStep {
    if (!this.#isValid) return this.#hold(frame)
    const verdict = this.#verdict(frame)
    if (verdict === 'gap') return this.#doubt('sequence')
    if (verdict === 'drop') return this.#repeat()
    this.#repeated = 0
    const change = this.#book.change(levels)
    this.#last = frame.place?.last ?? this.#last
    this.#isFirst = false
    this.#lastTs = frame.ts ?? this.#lastTs
    const fault = this.#faultOf(frame)
    return fault === undefined ? changeOf(change) : this.#doubt(fault)
  }

  #repeat(): BookStep {
    return ++this.#repeated < MOST_REPEATED ? { kind: 'repeated' } : this.#doubt('sequence')
  }

  #verdict({ place, ts }: WireBook): 'apply' | 'drop' | 'gap' {
    const { sequence } = this.#rules
    // Without numbers the time tells at least what comes late.
    if (sequence === undefined) return ts !== undefined && ts < this.#lastTs ? 'gap' : 'apply'
    if (place === undefined || this.#last === undefined) return 'gap'
    return SEQUENCE_RULES[sequence](place, this.#last, this.#isFirst)
  }

  #hold(frame: WireBook): BookStep {
    if (this.#rules.rest === undefined) return NOTHING
    // The snapshot to come is later than the oldest.
    if (this.#waiting.length >= MOST_WAITING) this.#waiting.shift()
    this.#waiting.push(frame)
    return { kind: 'waits' }
  }

  #faultOf({ checksum }: WireBook): BookDoubt | undefined {
    if (this.#book.isCrossed) return 'crossed'
    if (this.#isBeyondHorizon) return 'unknown'
    return checksum !== undefined && !this.#isChecksum(checksum) ? 'checksum' : undefined
  }

  get #isBeyondHorizon(): boolean {
    if (this.#horizon === undefined) return false
    const { bid, ask } = this.#book.deepest
    return bid === undefined || ask === undefined || bid < this.#horizon.bid || ask > this.#horizon.ask
  }

  #isChecksum(checksum: number): boolean {
    const { checksum: name } = this.#rules
    return name === undefined || isChecksum(name, this.#book.hashes(CHECKSUMS[name].depth), checksum)
  }

  #doubt(doubt: BookDoubt): BookStep {
    this.invalidate()
    return doubtOf(doubt)
  }
}

function changeOf(change: BookLevels): BookStep {
  return change.bids.length + change.asks.length === 0 ? NOTHING : { kind: 'change', change }
}
