import type { Ownership } from '../../control/claim.ts'
import { EVENT_VERSION } from '../../domain/event-codec.ts'
import { CHANNELS, type Channel, type Trade } from '../../domain/events.ts'
import type { RecordHeaders } from '../../domain/record.ts'
import { finerTimes } from '../../domain/trade-identity.ts'
import { TradeWindow, type Verdict } from '../../domain/trade-window.ts'
import type { Checkpoint, FixedLog } from './checkpoint.ts'
import type { SavedWindows } from './saved-windows.ts'
import { beginTail, forgetLatest, type Tail } from './tail.ts'

/** Stands among the markets for all forgotten ones; no market has a name without a colon. */
const FORGOTTEN_MARKETS = '*'

/** How far the time of a trade may lie after the broker's time at which it was published, in microseconds: clocks differ. */
const MOST_SKEW = 60_000_000

/** What happened to a partition of a fixed topic, so that earlier positions do not hold any more. */
export type LostLog =
  | { readonly code: 'TOPIC_REPLACED'; readonly reason: string }
  /** It has lost its end from `at` on. */
  | { readonly code: 'OFFSET_OUT_OF_RANGE'; readonly reason: string; readonly at: number }

/** A shard that this process owns: partition k of every fixed topic, under one epoch. */
export class Shard {
  readonly k: number
  readonly ownership: Ownership
  /** The checkpoint at the take-over. */
  readonly restored: Checkpoint
  readonly tails: Record<Channel, Tail>
  readonly windows: Map<string, TradeWindow>
  /** The fixed topics that its positions are of. */
  readonly logs: Readonly<Record<Channel, FixedLog>>
  /** The fixed topics that are not what they were at the checkpoint. */
  readonly lost: ReadonlyMap<Channel, LostLog>
  /** The windows of streams at the take-over, by stream. */
  readonly savedWindows: ReadonlyMap<string, SavedWindows>
  /** Markets whose window has changed since the last checkpoint that has it. */
  readonly changed = new Set<string>()
  /** Markets that somebody asked for since the last `forgetMarkets`. */
  readonly #asked = new Set<string>()
  /** When an owner first took the shard over, by the broker's clock, as far as the log tells: microseconds. */
  readonly #takenAt = { own: Number.POSITIVE_INFINITY, others: Number.POSITIVE_INFINITY }
  /** Whether the windows know trades that the broker has not acknowledged yet: no checkpoint may have these. */
  isAhead = false
  /** Behind the last checkpoint that this process knows: no later one has a lower offset, unless their topic has lost its end. */
  checkpointsEnd = 0
  #unknownTo: number
  /** The highest epochs in front of where logs went on that have lost their ends. */
  readonly #epochsInFront = new Map<Channel, number>()
  readonly headers: RecordHeaders
  readonly reentering: RecordHeaders
  readonly markerHeaders: RecordHeaders

  constructor(
    k: number,
    ownership: Ownership,
    restored: Checkpoint,
    markers: Record<Channel, number>,
    windows: Map<string, TradeWindow>,
    logs: Readonly<Record<Channel, FixedLog>>,
    lost: ReadonlyMap<Channel, LostLog> = new Map(),
    savedWindows: ReadonlyMap<string, SavedWindows> = new Map(),
  ) {
    this.k = k
    this.ownership = ownership
    this.restored = restored
    this.windows = windows
    this.logs = logs
    this.lost = lost
    this.savedWindows = savedWindows
    this.#unknownTo = restored.unknownTo ?? -1
    this.tails = Object.fromEntries(
      CHANNELS.map((channel) => [
        channel,
        beginTail(channel, markers[channel], restored.positions[channel] ?? 0, logs[channel]),
      ]),
    ) as Record<Channel, Tail>
    this.headers = { v: EVENT_VERSION, kind: 'event', shard: k, epoch: ownership.epoch }
    this.reentering = { ...this.headers, reentering: true }
    this.markerHeaders = { ...this.headers, kind: 'marker' }
  }

  get epoch(): number {
    return this.ownership.epoch
  }

  /**
   * The highest epoch among the records before `derivedTo`. It is this owner's own once it has derived beyond its marker. Until then records of
   * former owners lie after `derivedTo`, and the next owner must still count them. A hole may have taken it beyond the markers of some.
   */
  epochBefore(channel: Channel): number {
    const { derivedTo, marker } = this.tails[channel]
    if (derivedTo > marker) return this.epoch
    const begun = this.tails[channel].owners.findLast((owner) => owner.marker < derivedTo)?.epoch ?? -1
    return Math.max(begun, this.#restoredEpoch(channel))
  }

  /** Takes note of the highest epoch in front of where the log of a channel went on: that of the checkpoint may be of a marker that was lost. */
  noteInFront(channel: Channel, epoch: number): void {
    this.#epochsInFront.set(channel, epoch)
  }

  #restoredEpoch(channel: Channel): number {
    return this.#epochsInFront.get(channel) ?? this.restored.epochs[channel] ?? -1
  }

  /**
   * The highest epoch at an offset, as far as the take-over has learned: that of the last owner whose marker lies there or before. A late record of a
   * former owner counts for nobody after it, and there may be thousands of these.
   */
  epochAt(channel: Channel, offset: number): number {
    const begun = this.tails[channel].owners.findLast(({ marker }) => marker <= offset)?.epoch ?? -1
    return offset < (this.restored.positions[channel] ?? 0)
      ? begun
      : Math.max(begun, this.#restoredEpoch(channel))
  }

  /** The highest epoch of an owner before this one, by its markers in a fixed topic; -1 where there was none. */
  formerEpoch(channel: Channel): number {
    const former = this.tails[channel].owners.findLast(({ epoch }) => epoch < this.epoch)?.epoch ?? -1
    return Math.max(former, this.restored.epochs[channel] ?? -1)
  }

  /** Where owners begin, this one where the log went on that has lost its end, or is another one: epoch and offset. */
  ownersOf(channel: Channel): [epoch: number, offset: number][] {
    const found = this.lost.get(channel)
    const wentOnAt = found === undefined ? Number.POSITIVE_INFINITY : 'at' in found ? found.at : 0
    return this.tails[channel].owners.map(({ epoch, offset }) => [
      epoch,
      epoch === this.epoch ? Math.min(offset, wentOnAt) : offset,
    ])
  }

  /** Where the markers of owners lie that begin before them: epoch and offset. */
  markersOf(channel: Channel): [epoch: number, offset: number][] {
    const begins = new Map(this.ownersOf(channel))
    const { owners } = this.tails[channel]
    return owners.flatMap(({ epoch, marker }) =>
      marker === begins.get(epoch) ? [] : [[epoch, marker] as [number, number]],
    )
  }

  /** The time of the last trade of any market; -1 where there is none. */
  get lastTradeTs(): number {
    let last = -1
    for (const window of this.windows.values()) last = Math.max(last, window.last?.ts ?? -1)
    return last
  }

  /** Takes note of an owner in the log: whether that was this process, and since when, in microseconds. */
  noteOwner(isOwn: boolean, ts: number): void {
    const whose = isOwn ? 'own' : 'others'
    this.#takenAt[whose] = Math.min(this.#takenAt[whose], ts)
  }

  /**
   * Since when trades may be missing of a shard that has published none: its first owner may have got some. -1 where nobody can miss any: at
   * the first start (`isFirst`), without an owner before.
   */
  ownedSince(isFirst: boolean): number {
    const { own, others } = this.#takenAt
    const since = isFirst && others === Number.POSITIVE_INFINITY ? others : Math.min(own, others)
    return since === Number.POSITIVE_INFINITY ? -1 : since
  }

  /** Trades of up to this event time, in microseconds, may have been published without a window that knows them; -1: none. */
  get unknownTo(): number {
    return this.#unknownTo
  }

  /** Trades are gone unread that were published before `ts`: microseconds, by the broker's clock. */
  missTrades(ts: number): void {
    this.#unknownTo = Math.max(this.#unknownTo, ts + MOST_SKEW)
  }

  /** Whether a trade was published before (R5). */
  judge(market: string, trade: Trade): Verdict {
    const verdict = this.window(market).judge(trade)
    const [earliest] = finerTimes(trade.ts)
    return verdict !== 'duplicate' && earliest <= this.#unknownTo ? 'maybe' : verdict
  }

  /** Takes note of a trade before it is published. `mostBytes`: what its window may take. */
  rememberAhead(market: string, trade: Trade, mostBytes?: number): void {
    this.window(market).remember(trade, mostBytes)
    this.changed.add(market)
    this.isAhead = true
  }

  window(market: string): TradeWindow {
    this.#asked.add(market)
    let window = this.windows.get(market)
    if (window === undefined) {
      window = this.windows.get(FORGOTTEN_MARKETS)?.successor() ?? new TradeWindow()
      this.windows.set(market, window)
    }
    return window
  }

  /**
   * Forgets markets whose last trade is older than `beforeTs`, and latest values that are as old. Keeps a market that somebody asked for since
   * the last call. If a source repeats a trade of a forgotten market, nobody can tell it from a new one (R5).
   */
  forgetMarkets(beforeTs: number): void {
    const buried = this.windows.get(FORGOTTEN_MARKETS) ?? new TradeWindow()
    for (const [market, window] of this.windows) {
      const isQuiet = market !== FORGOTTEN_MARKETS && (window.last?.ts ?? -1) < beforeTs
      if (!isQuiet || this.#asked.has(market)) continue
      buried.bury(window)
      this.windows.delete(market)
      this.changed.add(market).add(FORGOTTEN_MARKETS)
    }
    if (this.changed.has(FORGOTTEN_MARKETS)) this.windows.set(FORGOTTEN_MARKETS, buried)
    this.#asked.clear()
    for (const channel of CHANNELS) forgetLatest(this.tails[channel], beforeTs)
  }
}
