import type { Trade } from '../../../domain/events.ts'
import { idBefore, isBeyond, isNumericId } from '../../../domain/trade-identity.ts'
import type { Market, SourceItem } from '../../../ports/source.ts'

/** Ids that come out of order within so long are no hole. Microseconds, as all times here. */
const REORDER_US = 1_000_000
/** So long after the source named a later trade it is told, even if no trade of the market follows. */
const NAMED_US = 5_000_000
/** Trades of one market that wait after a hole; with more the hole counts at once. */
const MOST_HELD = 1_000
const MOST_REFUSED = 1_000

interface Named {
  readonly id: string
  readonly ts: number
  /** When the source named it first. */
  readonly since: number
  isTold: boolean
}

/** A trade, and of how many ids it is the last. */
interface Arrived {
  readonly trade: Trade
  readonly folded: number
}

interface Sequence {
  readonly market: Market
  /** The greatest id that was passed on or refused; undefined before the first of a connection. */
  last: string | undefined
  /** Trades after a hole, by rising id. */
  held: Arrived[]
  /** Ids after a hole that were refused: they are missing for a reason, which is counted. */
  readonly refused: Set<string>
  /** A later trade than any that came, by the word of the source. */
  named: Named | undefined
}

/**
 * Trades of a source whose ids rise by one in each market: passes them on with the id that each follows, so that the producer sees what is
 * missing (R29). A trade after a hole waits for up to a second, in case the missing ones are only late. What is refused makes no
 * hole (R28).
 */
export class TradeSequences {
  readonly #emit: (item: SourceItem) => void
  /** By symbol: a source of this kind has one exchange. */
  readonly #sequences = new Map<string, Sequence>()
  /** Those where something waits. */
  readonly #waiting = new Set<Sequence>()

  constructor(emit: (item: SourceItem) => void) {
    this.#emit = emit
  }

  /** Whether time will bring something. */
  get isWaiting(): boolean {
    return this.#waiting.size > 0
  }

  /** `folded`: of how many trades this one is the last and the sum, where the source folds them. */
  trade(trade: Trade, folded = 1): void {
    const sequence = this.#of(trade)
    const arrived = { trade, folded }
    if (!isNumericId(trade.id)) {
      this.#emit({ channel: 'trade', event: trade })
      return
    }
    const { last } = sequence
    if (last !== undefined && isBeyond(trade.id, last) && !this.#isNext(sequence, arrived)) {
      this.#hold(sequence, arrived)
      if (sequence.held.length > MOST_HELD || this.#isKnownHole(sequence, trade)) this.#release(sequence)
      return
    }
    this.#pass(sequence, arrived)
    this.#drain(sequence)
  }

  /** A trade that was refused. */
  refused(market: Market, id: string): void {
    if (!isNumericId(id)) return
    const sequence = this.#of(market)
    sequence.refused.add(id)
    if (sequence.refused.size > MOST_REFUSED) sequence.refused.delete([...sequence.refused][0] as string)
    this.#drain(sequence)
  }

  /** The source says what the last trade of a market is, at a time of its own. */
  names(market: Market, id: string, ts: number, recvTs: number): void {
    if (!isNumericId(id)) return
    const sequence = this.#of(market)
    const { last, named } = sequence
    if (last !== undefined && !isBeyond(id, last)) return
    if (named !== undefined && !isBeyond(id, named.id)) return
    // The first word of a later trade counts: what comes after it is told with it.
    sequence.named = { id, ts, since: named?.since ?? recvTs, isTold: false }
    this.#waiting.add(sequence)
  }

  /** Time has passed: passes on what has waited long enough. */
  elapse(now: number): void {
    if (this.#waiting.size === 0) return
    for (const sequence of this.#waiting) {
      const [first] = sequence.held
      if (first !== undefined && now - first.trade.recvTs >= REORDER_US) this.#release(sequence)
      if (sequence.named !== undefined && now - sequence.named.since >= NAMED_US) this.#tell(sequence)
      this.#settle(sequence)
    }
  }

  /** The connection has ended: nothing late will come. */
  ended(): void {
    for (const sequence of this.#waiting) this.#release(sequence)
    this.#waiting.clear()
    for (const sequence of this.#sequences.values()) {
      sequence.last = undefined
      sequence.refused.clear()
    }
  }

  /** Nothing more will come at all. */
  finish(): void {
    for (const sequence of this.#waiting) {
      this.#release(sequence)
      if (sequence.named !== undefined) this.#tell(sequence)
    }
    this.#waiting.clear()
  }

  /** The market is not asked for any more. */
  forget(symbol: string): void {
    const sequence = this.#sequences.get(symbol)
    if (sequence === undefined) return
    this.#release(sequence)
    this.#waiting.delete(sequence)
    this.#sequences.delete(symbol)
  }

  #of({ exchange, symbol }: Market): Sequence {
    let sequence = this.#sequences.get(symbol)
    if (sequence === undefined) {
      const market = { exchange, symbol }
      sequence = { market, last: undefined, held: [], refused: new Set(), named: undefined }
      this.#sequences.set(symbol, sequence)
    }
    return sequence
  }

  /** The id that a trade follows: the one before it, leaving out what was refused. */
  #before({ refused }: Sequence, { trade, folded }: Arrived): string | undefined {
    let before = idBefore(trade.id, folded)
    while (before !== undefined && refused.has(before)) before = idBefore(before)
    return before
  }

  #isNext(sequence: Sequence, arrived: Arrived): boolean {
    const before = this.#before(sequence, arrived)
    return sequence.last === undefined || before === undefined || !isBeyond(before, sequence.last)
  }

  /** Whether the source has said for long enough that there are trades before this one. */
  #isKnownHole({ named }: Sequence, { id, recvTs }: Trade): boolean {
    return named !== undefined && recvTs - named.since >= REORDER_US && isBeyond(id, named.id)
  }

  #hold(sequence: Sequence, arrived: Arrived): void {
    let at = sequence.held.length
    while (at > 0 && isBeyond((sequence.held[at - 1] as Arrived).trade.id, arrived.trade.id)) at--
    sequence.held.splice(at, 0, arrived)
    this.#waiting.add(sequence)
  }

  #pass(sequence: Sequence, arrived: Arrived): void {
    const { trade } = arrived
    const follows = this.#before(sequence, arrived)
    if (sequence.last === undefined || isBeyond(trade.id, sequence.last)) {
      sequence.last = trade.id
      for (const id of sequence.refused) if (!isBeyond(id, trade.id)) sequence.refused.delete(id)
      if (sequence.named !== undefined && !isBeyond(sequence.named.id, trade.id)) sequence.named = undefined
    }
    this.#emit({ channel: 'trade', event: trade, ...(follows !== undefined && { follows }) })
  }

  /** Passes on what follows without a hole. */
  #drain(sequence: Sequence): void {
    while (sequence.held[0] !== undefined && this.#isNext(sequence, sequence.held[0]))
      this.#pass(sequence, sequence.held.shift() as Arrived)
    this.#settle(sequence)
  }

  /** Passes on everything that is held, holes and all. */
  #release(sequence: Sequence): void {
    for (const arrived of sequence.held.splice(0)) this.#pass(sequence, arrived)
    this.#settle(sequence)
  }

  #tell({ market, named }: Sequence): void {
    if (named === undefined || named.isTold) return
    named.isTold = true
    this.#emit({ channel: 'last-trade', ...market, id: named.id, ts: named.ts })
  }

  #settle(sequence: Sequence): void {
    const { held, named } = sequence
    if (held.length === 0 && (named === undefined || named.isTold)) this.#waiting.delete(sequence)
  }
}
