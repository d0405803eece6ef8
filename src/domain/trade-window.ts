import type { Trade } from './events.ts'
import { Forgotten, type Interval } from './forgotten-trades.ts'
import { isBeyond, isNumericId, isSameContent, isSameTime, type TradeContent } from './trade-identity.ts'

/**
 * What a window says of a trade.
 * - `new`: it was not published before.
 * - `conflict`: it was not published before, and another trade has its id.
 * - `duplicate`: it was published before.
 * - `maybe`: nobody can tell, since its identity may be among the forgotten ones.
 */
export type Verdict = 'new' | 'conflict' | 'duplicate' | 'maybe'

/** A trade that enters again: however long ago it arrived, it says nothing of the time of a later one. */
export function asPast(trade: Trade): Trade {
  return { ...trade, recvTs: Number.POSITIVE_INFINITY }
}

/** A trade as far as a window knows it. */
export type KnownTrade = Pick<Trade, 'id' | 'price' | 'size' | 'ts'>

/** The last trade published: what a gap begins with. */
export interface LastTrade {
  readonly id: string
  readonly ts: number
}

/**
 * What a checkpoint has of a window. `ids`, `times`, `forgottenTs` and `lastTs` are those of version 1, with the same meaning, so that a process of
 * that version can read them. What that process writes has no prices and sizes.
 */
export interface WindowSnapshot {
  readonly v?: number | undefined
  /** The kept ids, oldest arrival first; an id may come twice. */
  readonly ids: readonly string[]
  readonly times: readonly number[]
  readonly prices?: readonly number[] | undefined
  readonly sizes?: readonly number[] | undefined
  /** Highest event time (us) among the trades no longer kept; -1 where all are kept. */
  readonly forgottenTs: number
  /** Event time (us) of the last trade published; -1 before the first. */
  readonly lastTs: number
  readonly lastId?: string | undefined
  /** The greatest numeric id. */
  readonly highest?: string | undefined
  /** Where the ids and times of trades no longer kept lie. */
  readonly forgotten?: { readonly ids: readonly Interval[]; readonly times: readonly Interval[] } | undefined
}

/** The version of the snapshot. */
export const WINDOW_VERSION = 2

/** How many trades a snapshot has, and a window at least. CryptoCompare repeats 20 on each subscribe. */
const SNAPSHOT_TRADES = 128
/** No source repeats more than so many trades of a market when it begins anew. */
const REPEATED_TRADES = SNAPSHOT_TRADES / 2
/** Trades that share their id with another one. */
const MOST_CONFLICTS = 512
/** What a trade takes in memory besides its id, about, in bytes (measured: 150 to 170). */
const TRADE_BYTES = 170
/** What a window may take, unless its owner says otherwise. */
const WINDOW_BYTES = 256 * 1024

const SECOND = 1_000_000
/** A time so much later than its arrival is odd: gaps count from the arrival instead. */
const ODD_AFTER = 60 * SECOND

/**
 * The last trades of one market (R5), so that a trade that comes twice is published once. Two trades are one by their identity (R28), never by their
 * age alone. When memory is full, the window forgets the oldest trades, and remembers where their ids and times lay: a trade elsewhere was
 * certainly not published before.
 */
export class TradeWindow {
  /** The first trade of each id, in the order of arrival. */
  readonly #known = new Map<string, TradeContent>()
  /** Further trades under an id that is known, by id, price, size and second; each list has the times. */
  readonly #conflicts = new Map<string, KnownTrade[]>()
  /** A ring of the ids that a snapshot has, and one of their times. */
  readonly #recent: string[] = []
  readonly #recentTs: number[] = []
  #next = 0
  /** Stays at the oldest trade that is known. */
  readonly #oldest = this.#known.entries()
  #bytes = 0
  /** What is not kept any more. */
  readonly #forgotten: Forgotten
  /** What a snapshot does not have. */
  readonly #aged: Forgotten
  #last: LastTrade | undefined
  #highest: string | undefined

  constructor(forgotten = new Forgotten()) {
    this.#forgotten = forgotten
    this.#aged = forgotten.copy()
  }

  static restore(snapshot: WindowSnapshot): TradeWindow {
    const { ids, times, prices, sizes, lastTs, lastId, highest } = snapshot
    const window = new TradeWindow(forgottenIn(snapshot))
    ids.forEach((id, i) => {
      const ts = times[i] ?? -1
      // Of version 1 the content is not known: the id alone decides.
      window.remember({
        ...{ id, ts, recvTs: ts },
        ...{ price: prices?.[i] ?? Number.NaN, size: sizes?.[i] ?? Number.NaN },
      })
    })
    if (lastTs >= 0 && lastId !== undefined) window.#last = { id: lastId, ts: lastTs }
    if (highest !== undefined) window.#highest = highest
    return window
  }

  /** The last trade published: the latest by its time, unless that time is odd. */
  get last(): LastTrade | undefined {
    return this.#last
  }

  /** The greatest numeric id published. */
  get highest(): string | undefined {
    return this.#highest
  }

  /** Whether everything up to the numeric id was published, as far as the order of ids says. */
  reaches(id: string): boolean {
    return this.#highest !== undefined && !isBeyond(id, this.#highest)
  }

  /**
   * Whether a trade of this time would be among the last ones that a source repeats. Those of the past are not remembered: they would take the place of
   * later ones.
   */
  isAmongLatest(ts: number): boolean {
    let later = 0
    for (const each of this.#recentTs) if (each > ts) later++
    return later < REPEATED_TRADES
  }

  /** An empty window that has forgotten what this one has forgotten. */
  successor(): TradeWindow {
    return new TradeWindow(this.#forgotten.copy())
  }

  /** Forgets all trades of a window, remembering where they lay. */
  bury(window: TradeWindow): void {
    for (const forgotten of [this.#forgotten, this.#aged]) {
      for (const [id, { ts }] of window.#known) forgotten.add(id, ts)
      for (const { id, ts } of [...window.#conflicts.values()].flat()) forgotten.add(id, ts)
      forgotten.addAll(window.#forgotten)
    }
  }

  judge(trade: KnownTrade): Verdict {
    const first = this.#known.get(trade.id)
    if (first !== undefined) {
      // NaN: restored without its content.
      if (Number.isNaN(first.price) || isSameContent(first, trade)) return 'duplicate'
      for (const second of [0, -1, 1])
        for (const other of this.#conflicts.get(conflictKey(trade, second)) ?? [])
          if (isSameTime(other.ts, trade.ts)) return 'duplicate'
    }
    if (this.#forgotten.mayHave(trade)) return 'maybe'
    return first === undefined ? 'new' : 'conflict'
  }

  /** Takes note of a trade that was published; `mostBytes` is what the window may take. */
  remember(trade: KnownTrade & { readonly recvTs: number }, mostBytes = WINDOW_BYTES): void {
    const { id, price, size, ts } = trade
    const first = this.#known.get(id)
    if (first === undefined) {
      this.#known.set(id, { price, size, ts })
      this.#bytes += TRADE_BYTES + id.length
      this.#age(id, ts)
      while (this.#bytes > mostBytes && this.#known.size > SNAPSHOT_TRADES) this.#forgetOldest()
    } else if (this.judge(trade) === 'duplicate') return
    else this.#addConflict({ id, price, size, ts })

    const isLatest = this.#last === undefined || ts >= this.#last.ts || this.#last.ts > trade.recvTs
    if (isLatest) this.#last = { id, ts: Math.min(ts, trade.recvTs + ODD_AFTER) }
    if (isNumericId(id) && (this.#highest === undefined || isBeyond(id, this.#highest))) this.#highest = id
  }

  snapshot(): WindowSnapshot {
    const recent = [...this.#recent.slice(this.#next), ...this.#recent.slice(0, this.#next)]
    const trades: KnownTrade[] = recent.flatMap((id) => {
      const content = this.#known.get(id)
      return content === undefined ? [] : { id, ...content }
    })
    trades.push(...[...this.#conflicts.values()].flat())
    const hasContent = !trades.some(({ price }) => Number.isNaN(price))
    const { ids, times } = this.#aged
    return {
      v: WINDOW_VERSION,
      ids: trades.map(({ id }) => id),
      times: trades.map(({ ts }) => ts),
      ...(hasContent && {
        prices: trades.map(({ price }) => price),
        sizes: trades.map(({ size }) => size),
      }),
      forgottenTs: times.list.at(-1)?.[1] ?? -1,
      lastTs: this.#last?.ts ?? -1,
      lastId: this.#last?.id,
      highest: this.#highest,
      forgotten: { ids: ids.list, times: times.list },
    }
  }

  /** Puts an id among those of the snapshot, and the one that was there longest out of it. */
  #age(id: string, ts: number): void {
    const aged = this.#recent[this.#next]
    if (aged !== undefined) this.#aged.add(aged, this.#recentTs[this.#next] as number)
    this.#recent[this.#next] = id
    this.#recentTs[this.#next] = ts
    this.#next = (this.#next + 1) % SNAPSHOT_TRADES
  }

  #forgetOldest(): void {
    const oldest = this.#oldest.next()
    if (oldest.done) return
    const [id, { ts }] = oldest.value
    this.#known.delete(id)
    this.#bytes -= TRADE_BYTES + id.length
    this.#forgotten.add(id, ts)
  }

  #addConflict(trade: KnownTrade): void {
    const key = conflictKey(trade, 0)
    this.#conflicts.set(key, [...(this.#conflicts.get(key) ?? []), trade])
    if (this.#conflicts.size <= MOST_CONFLICTS) return
    const [oldest, trades] = this.#conflicts.entries().next().value as [string, KnownTrade[]]
    this.#conflicts.delete(oldest)
    for (const { id, ts } of trades) {
      this.#forgotten.add(id, ts)
      this.#aged.add(id, ts)
    }
  }
}

/**
 * What a snapshot says of forgotten trades. Version 1 has their highest time alone: where it lies beyond all that is kept it is
 * that of an odd one, and the others are as old as the oldest kept, at most as new as the newest.
 */
function forgottenIn({ forgotten, forgottenTs, times }: WindowSnapshot): Forgotten {
  if (forgotten !== undefined) return new Forgotten(forgotten.ids, forgotten.times)
  if (forgottenTs < 0) return new Forgotten()
  const newest = Math.max(-1, ...times)
  const all: Interval = [0, Number.MAX_VALUE]
  return new Forgotten(
    [all],
    [
      [0, Math.min(forgottenTs, newest) + SECOND],
      [forgottenTs - SECOND, forgottenTs + SECOND],
    ],
  )
}

function conflictKey({ id, price, size, ts }: KnownTrade, seconds: number): string {
  return `${Math.floor(ts / SECOND) + seconds}:${price}:${size}:${id}`
}
