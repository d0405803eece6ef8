import type { GapCause, Trade } from '../../domain/events.ts'
import { followsId, isBeyond, isNumericId } from '../../domain/trade-identity.ts'
import type { TradeWindow } from '../../domain/trade-window.ts'
import type { LastTradeNamed } from '../../ports/source.ts'

/** A gap of a market: event times of the last trade before it and of the first after it (R6). */
export interface Gap {
  readonly from: number
  readonly to: number
  /** Nothing is missing: what the source repeated reaches back to the last trade published, or the next id follows that trade. */
  readonly filled: boolean
  readonly cause: GapCause
}

/** Where a market stands since the last interruption. */
interface Market {
  /** The interruption after which it had its first trade; -1 where it has had an interruption of its own since. */
  seen: number
  cause: GapCause
  /** The last trade published came again. */
  isRepeated: boolean
  /** A trade came that shows that something is missing, but was too old to end the gap. */
  isTorn: boolean
  /** Up to this id the source has named what is missing, and it is flagged. */
  named: string | undefined
}

/** Follows interruptions: a market's first trade after one closes its gap. What a source shows to be missing is a gap at once (R29). */
export class GapWatch {
  /** Rises with each interruption of the whole source. */
  #interruption = 0
  /** Whether any source has been there. */
  #hasBegun = false
  #cause: GapCause = 'restart'
  readonly #markets = new Map<string, Market>()
  /** Why a shard that came since the last interruption may have missed events. */
  readonly #shardCauses = new Map<number, GapCause>()
  /**
   * Since when a market of the shard that has had no trade may miss some, by shard: the time of the last trade of any market at the first
   * interruption, -1 where nothing told. A later interruption ends no gap that is due since an earlier one.
   */
  readonly #lastTs = new Map<number, number>()
  /** The same by market, where there are several sources: what one gives says nothing of the others. */
  readonly #sinceOf = new Map<string, number>()

  /** Whether the source has not been there yet. */
  get isFirst(): boolean {
    return !this.#hasBegun
  }

  /** All markets may have missed events. `lastTs`: of each shard that this process owns. The first time it is a restart. */
  interrupt(lastTs: ReadonlyMap<number, number>, cause: GapCause = 'reconnect'): void {
    this.#cause = this.isFirst ? 'restart' : cause
    this.#hasBegun = true
    this.#interruption++
    this.#shardCauses.clear()
    for (const market of this.#markets.values()) {
      market.isRepeated = false
      market.isTorn = false
    }
    for (const [k, ts] of lastTs) keepFirst(this.#lastTs, k, ts)
  }

  /** Whether the source of a market has not been there yet, where there are several. */
  isFirstOf(key: string): boolean {
    return !this.#sinceOf.has(key)
  }

  /** The markets of one source among several may have missed events. `since`: as `lastTs`, by market. */
  interruptMarkets(since: ReadonlyMap<string, number>, cause: GapCause = 'reconnect'): void {
    this.#hasBegun = true
    for (const [key, ts] of since) {
      this.interruptMarket(key, cause)
      keepFirst(this.#sinceOf, key, ts)
    }
  }

  /** The markets of one shard may have missed events: it was another process's, or nobody's, where no other cause is given. */
  interruptShard(
    k: number,
    isOfShard: (market: string) => boolean,
    lastTs: number,
    cause: GapCause = this.isFirst ? 'restart' : 'takeover',
  ): void {
    keepFirst(this.#lastTs, k, lastTs)
    this.#shardCauses.set(k, cause)
    for (const [key, market] of this.#markets) {
      if (!isOfShard(key)) continue
      interrupt(market, cause)
      // What was flagged of it may have been in hand.
      market.named = undefined
    }
  }

  /** One market may have missed events: the source subscribed to it while the connection stood. */
  interruptMarket(key: string, cause: GapCause = 'reconnect'): void {
    const market = this.#markets.get(key)
    if (market !== undefined) interrupt(market, market.seen < 0 ? market.cause : cause)
  }

  /** Forgets markets: their shard is another process's now. */
  forget(isGone: (market: string) => boolean): void {
    for (const key of this.#markets.keys()) if (isGone(key)) this.#markets.delete(key)
  }

  /** Forgets markets without a window, unless one had a trade since the last interruption. */
  forgetQuiet(isKnown: (market: string) => boolean): void {
    for (const [key, { seen }] of this.#markets)
      if (seen !== this.#interruption && !isKnown(key)) this.#markets.delete(key)
  }

  /** A trade that was known came again. */
  repeat(key: string, k: number, trade: Trade, { last }: TradeWindow): void {
    if (trade.id !== last?.id) return
    const market = this.#market(key, k)
    if (market.seen !== this.#interruption) market.isRepeated = true
  }

  /**
   * A new trade: gives the gap before it, or undefined where there is none. `follows`: the id of the trade before, where the source tells. A
   * market without a last trade counts from the last one of any market of its shard.
   */
  close(key: string, k: number, window: TradeWindow, trade: Trade, follows?: string): Gap | undefined {
    const market = this.#market(key, k)
    const { last, highest } = window
    const isHole = follows !== undefined && highest !== undefined && !window.reaches(follows)
    if (market.seen === this.#interruption) {
      const isFlagged =
        follows !== undefined && market.named !== undefined && !isBeyond(follows, market.named)
      if (!isHole || isFlagged || last === undefined) return undefined
      const [from, to] = [Math.min(last.ts, trade.ts), Math.max(last.ts, trade.ts)]
      return { from, to, filled: false, cause: 'source' }
    }
    const since = this.#sinceOf.get(key) ?? -1
    const from = last?.ts ?? (since >= 0 ? since : (this.#lastTs.get(k) ?? -1))
    const isNext = highest !== undefined && followsId(trade.id, highest)
    const isWhole = follows !== undefined && highest !== undefined ? !isHole : market.isRepeated || isNext
    const filled = isWhole && !market.isTorn
    const cause = market.seen < 0 ? market.cause : this.#cause
    // An older trade than the last one does not follow it: the gap waits for one that does, unless nothing is missing.
    if (trade.ts < from && last !== undefined && !filled) {
      market.isTorn ||=
        isHole || (isNumericId(trade.id) && highest !== undefined && !window.reaches(trade.id))
      return undefined
    }
    market.seen = this.#interruption
    if (from < 0 || trade.ts < from) return undefined
    return { from, to: trade.ts, filled, cause }
  }

  /**
   * The source names a later trade than the last one published, and none has come for a while: gives the gap, which ends at the time of the
   * source's word. A market without a published trade has no gap.
   */
  name(key: string, k: number, window: TradeWindow, named: LastTradeNamed): Gap | undefined {
    const market = this.#market(key, k)
    const { last, highest } = window
    if (last === undefined || highest === undefined || window.reaches(named.id) || named.ts < last.ts)
      return undefined
    if (market.named !== undefined && !isBeyond(named.id, market.named)) return undefined
    market.named = named.id
    return { from: last.ts, to: named.ts, filled: false, cause: 'source' }
  }

  /** An unknown market has had an interruption in any case: its shard came, or nobody watched it. */
  #market(key: string, k: number): Market {
    let market = this.#markets.get(key)
    if (market === undefined) {
      const cause = this.#shardCauses.get(k) ?? this.#cause
      market = { seen: -1, cause, isRepeated: false, isTorn: false, named: undefined }
      this.#markets.set(key, market)
    }
    return market
  }
}

function interrupt(market: Market, cause: GapCause): void {
  market.seen = -1
  market.cause = cause
  market.isRepeated = false
  market.isTorn = false
}

/** Keeps the earliest time that is known; -1 is none. */
function keepFirst<Key>(times: Map<Key, number>, key: Key, ts: number): void {
  const known = times.get(key) ?? -1
  if (known < 0 || (ts >= 0 && ts < known)) times.set(key, ts)
}
