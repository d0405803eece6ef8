import type { Channel, EventOf } from './events.ts'

/** What a stream makes of the events of one market in one period. A window is JSON: it stands in the checkpoint (R22). */
export interface WindowRule {
  /** The length of a period, in microseconds; periods count from the epoch. */
  readonly length: number
  /** How long a window stays open after its period, in microseconds of event time. */
  readonly lateness: number
  /** Periods that begin before have no windows, in microseconds: the stream has not all of their events. */
  readonly since: number
  /** What has windows of its own: a market, or the candles of one interval of it. */
  keyOf(event: EventOf[Channel]): string
  /** The time that puts an event into a period, in microseconds. `before`: how late it was before. */
  timeOf(event: EventOf[Channel], before: number): number
  /** `former`: the last window of the market before, where windows go on from each other. */
  begin(event: EventOf[Channel], former: unknown): unknown
  /** The window with one more event; the former window stays as it is. */
  add(window: unknown, event: EventOf[Channel]): unknown
  /** The event of a window that is closed. */
  close(
    window: unknown,
    market: { readonly exchange: string; readonly symbol: string; readonly start: number },
  ): EventOf[Channel]
  /** The window of a period without events, from that of the period before; left out where there is none. */
  readonly fill?: (former: unknown) => unknown
  /** A window goes on from the one before: the last one of each market is kept. */
  readonly isChained?: true
}

/** The windows of one market: those that are open, the earliest first, and the last one that was closed where others go on from it. */
interface MarketWindows {
  readonly key: string
  readonly exchange: string
  readonly symbol: string
  /** The highest time of its events, in microseconds; -1 where there is none. */
  readonly seen: number
  readonly open: readonly (readonly [start: number, window: unknown])[]
  readonly last?: readonly [start: number, window: unknown]
}

/** All windows of a stream in a shard, as JSON. */
export interface WindowsState {
  /** The highest tick, in microseconds; -1 where there is none. */
  readonly ticked: number
  readonly markets: readonly MarketWindows[]
}

/** Some events, taken by windows. Nothing of it holds until it is committed. */
export interface WindowStep {
  /** Takes an event in, and gives what it closes. */
  take(event: EventOf[Channel]): EventOf[Channel][]
  /** Takes in that it is so late in all markets, in microseconds, and gives what that closes. */
  tick(micros: number): EventOf[Channel][]
  /** How many events came after their windows had closed. */
  readonly late: number
  commit(): void
}

/** After a pause of more periods than this the pause has no empty windows: they could be millions. */
const MOST_EMPTY = 100

const NOTHING: WindowsState = { ticked: -1, markets: [] }

/** How late it is, as an event tells, in microseconds: one that is dated after its arrival tells its arrival (R21). */
export function eventTime(event: EventOf[Channel]): number {
  return 'recvTs' in event ? Math.min(event.ts, event.recvTs) : event.ts
}

/**
 * The open windows of a stream in a shard (R21). A window closes by a later event of its own market, or by a tick: what a source repeats of one
 * market after an interruption comes after what is new of another, and is not late for that. Which window closes where follows from the
 * log alone: whoever derives it again gets the same.
 */
export class OpenWindows {
  readonly #rule: WindowRule
  readonly #markets: Map<string, MarketWindows>
  #ticked: number
  /** No market is due earlier. */
  #dueAt: number
  #changes = 0

  constructor(rule: WindowRule, { ticked, markets } = NOTHING) {
    this.#rule = rule
    this.#ticked = ticked
    this.#markets = new Map(markets.map((market) => [market.key, market]))
    this.#dueAt = this.#earliestDue()
  }

  /** The time that closes the next window, in microseconds; infinite where none is open. Never later, and exact where it lies before `asked`. */
  dueBefore(asked: number): number {
    if (this.#dueAt < asked) this.#dueAt = this.#earliestDue()
    return this.#dueAt
  }

  /** How late it is at least, in microseconds; -1 where nobody knows. */
  get latest(): number {
    return [...this.#markets.values()].reduce((latest, { seen }) => Math.max(latest, seen), this.#ticked)
  }

  /** How often its state has changed. */
  get changes(): number {
    return this.#changes
  }

  get state(): WindowsState {
    return { ticked: this.#ticked, markets: [...this.#markets.values()] }
  }

  begin(): WindowStep {
    const rule = this.#rule
    const changed = new Map<string, MarketWindows>()
    let ticked = this.#ticked
    let late = 0
    const marketOf = (key: string): MarketWindows | undefined => changed.get(key) ?? this.#markets.get(key)

    /** Closes what is due of a market at a time. */
    const close = (market: MarketWindows, micros: number): readonly Closed[] => {
      if (dueOf(rule, market) > micros) return []
      const { left, windows } = closeDue(rule, market, micros)
      changed.set(market.key, left)
      return windows
    }

    return {
      get late() {
        return late
      },
      take(event) {
        const key = rule.keyOf(event)
        const { exchange, symbol = '' } = event
        const former = marketOf(key) ?? { key, exchange, symbol, seen: -1, open: [] }
        const before = Math.max(former.seen, ticked)
        const start = Math.floor(rule.timeOf(event, before) / rule.length) * rule.length
        const isLate = start >= rule.since && start + rule.length + rule.lateness <= before
        if (isLate) late++
        const open = isLate || start < rule.since ? former.open : withEvent(rule, former, start, event)
        const market = { ...former, open, seen: Math.max(former.seen, eventTime(event)) }
        changed.set(key, market)
        return close(market, Math.max(market.seen, ticked)).map(({ event: closed }) => closed)
      },
      tick: (micros) => {
        ticked = Math.max(ticked, micros)
        const keys = new Set([...this.#markets.keys(), ...changed.keys()])
        const closed = [...keys].flatMap((key) => close(marketOf(key) as MarketWindows, ticked))
        return closed.toSorted(byTimeAndMarket).map(({ event }) => event)
      },
      commit: () => {
        if (changed.size > 0 || ticked !== this.#ticked) this.#changes++
        const hasTicked = ticked !== this.#ticked
        this.#ticked = ticked
        for (const [key, market] of changed) {
          this.#markets.set(key, market)
          this.#dueAt = Math.min(this.#dueAt, dueOf(rule, market))
        }
        // After a tick nobody asks any more how late it is in a market that is level with it.
        const isOver = ({ open, last, seen }: MarketWindows): boolean =>
          open.length === 0 && last === undefined && seen <= ticked
        if (hasTicked)
          for (const [key, market] of this.#markets) if (isOver(market)) this.#markets.delete(key)
      },
    }
  }

  #earliestDue(): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const market of this.#markets.values()) earliest = Math.min(earliest, dueOf(this.#rule, market))
    return earliest
  }
}

/** The time that closes the next window of a market. */
function dueOf({ length, lateness, fill }: WindowRule, { open, last }: MarketWindows): number {
  const next = last === undefined || fill === undefined ? Number.POSITIVE_INFINITY : last[0] + length
  return Math.min(open[0]?.[0] ?? Number.POSITIVE_INFINITY, next) + length + lateness
}

function withEvent(
  rule: WindowRule,
  { open, last }: MarketWindows,
  start: number,
  event: EventOf[Channel],
): MarketWindows['open'] {
  const at = open.findIndex(([other]) => other >= start)
  const found = at < 0 ? undefined : open[at]
  if (found?.[0] === start) return open.with(at, [start, rule.add(found[1], event)])
  const place = at < 0 ? open.length : at
  const former = (open[place - 1] ?? last)?.[1]
  return open.toSpliced(place, 0, [start, rule.begin(event, former)])
}

interface Closed {
  readonly start: number
  readonly market: string
  readonly event: EventOf[Channel]
}

function byTimeAndMarket(a: Closed, b: Closed): number {
  return a.start - b.start || (a.market < b.market ? -1 : 1)
}

/** Closes what is due of a market at a time, with the empty windows in between. */
function closeDue(
  rule: WindowRule,
  market: MarketWindows,
  micros: number,
): { readonly left: MarketWindows; readonly windows: readonly Closed[] } {
  const { length, lateness, fill, isChained } = rule
  const { key, exchange, symbol, seen } = market
  const windows: Closed[] = []
  const isDue = (start: number): boolean => start + length + lateness <= micros
  let last = market.last
  const close = (start: number, window: unknown): void => {
    windows.push({ start, market: key, event: rule.close(window, { exchange, symbol, start }) })
    if (fill !== undefined || isChained) last = [start, window]
  }
  /** Closes the empty windows up to a period that is not empty, or is still open. */
  const fillUpTo = (end: number): void => {
    if (fill === undefined || last === undefined) return
    const [first, former] = last
    const missing = (end - first) / length - 1
    if (missing > MOST_EMPTY) last = [end - length, former]
    else for (let start = first + length; start < end; start += length) close(start, fill(former))
  }
  let at = 0
  for (const [start, window] of market.open) {
    if (!isDue(start)) break
    fillUpTo(start)
    close(start, window)
    at++
  }
  const open = market.open.slice(at)
  const firstOpen = Math.floor((micros - lateness) / length) * length
  fillUpTo(Math.min(open[0]?.[0] ?? Number.POSITIVE_INFINITY, firstOpen))
  return { left: { key, exchange, symbol, seen, open, ...(last && { last }) }, windows }
}
