import type { Ownership } from '../../control/claim.ts'
import { EVENT_VERSION } from '../../domain/event-codec.ts'
import { CHANNELS, type Channel, type EventOf, hasLatestValue, type Trade } from '../../domain/events.ts'
import type { RecordHeaders } from '../../domain/record.ts'
import { finerTimes } from '../../domain/trade-identity.ts'
import { TradeWindow, type Verdict } from '../../domain/trade-window.ts'
import { BookTrails } from './book-trails.ts'
import type { Checkpoint, FixedLog } from './checkpoint.ts'
import type { SavedWindows } from './saved-windows.ts'

/** Stands among the markets for all forgotten ones; no market has a name without a colon. */
const FORGOTTEN_MARKETS = '*'

/** How far the time of a trade may lie after the broker's time at which it was published, in microseconds: clocks differ. */
const MOST_SKEW = 60_000_000

/** A record of a fixed topic, as far as deriving needs it. */
export interface PublishedRecord {
  readonly offset: number
  /** The record's key. */
  readonly market: string
  readonly event: EventOf[Channel]
  readonly value: Uint8Array
}

/** A marker of a fixed topic that says how late it is: the windows of streams close by it (R21). */
export interface Tick {
  readonly offset: number
  /** Microseconds of event time. */
  readonly tick: number
}

/** How late it is in a fixed partition. */
interface EventClock {
  /** The highest event time, in microseconds; -1 where there is none. */
  time: number
  /** How long nothing higher has come since, in milliseconds, as far as this process was there to see it. */
  quietMs: number
  /** The last tick, in microseconds; -1 where there is none. */
  ticked: number
}

/** An owner of a shard, as a fixed partition tells it. */
interface Owner {
  readonly epoch: number
  /** What a stream holds at or behind this offset of an owner before is of a log that is gone. */
  readonly offset: number
  /** Where its marker lies: behind `offset` where a former ownership wrote in the place of a lost end until it saw the loss. */
  readonly marker: number
}

/** What the owner of a shard knows of its partition of one fixed topic. */
export interface Tail {
  /** Where this owner's marker lies. Records after it are this owner's, or not ours. */
  readonly marker: number
  /** Where owners begin, each of a higher epoch than the one before, as far as the take-over has read, or its checkpoint says. */
  readonly owners: Owner[]
  /** The offset that the next acknowledgement must begin at (R8). */
  expected: number
  /** Every stream that is not behind has everything before, and the broker has acknowledged it. */
  derivedTo: number
  /** The records from `derivedTo` on that match streams, and the ticks between them. */
  pending: (PublishedRecord | Tick)[]
  readonly clock: EventClock
  /** Earlier records were chosen by the streams of their time: a stream that comes now reads them from the log. */
  chosenTo: number
  /** The latest record of each market, with which new streams of quotes, candles and books begin (R11). */
  readonly latest: Map<string, PublishedRecord>
  /** The same of books, which are more than their last record; undefined for other channels. */
  readonly books: BookTrails | undefined
  /** Records of the last minute before the checkpoint, as far as the take-over has read, and when they were published. */
  readonly before: (Pick<PublishedRecord, 'offset' | 'event'> & { readonly at: number })[]
  /** The first record of the last minute before the checkpoint, as far as the take-over has read; undefined where there is none. */
  recentFrom: number | undefined
  /** Where the topic ended at the last look for quiet markets. */
  lookedTo: number
}

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
  #unknownTo: number
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
      CHANNELS.map((channel): [Channel, Tail] => {
        const marker = markers[channel]
        const derivedTo = restored.positions[channel] ?? 0
        const expected = marker + 1
        const latest = new Map<string, PublishedRecord>()
        const late = new Map(logs[channel].markers)
        const owners = (logs[channel].owners ?? []).map(
          ([epoch, offset]): Owner => ({ epoch, offset, marker: late.get(epoch) ?? offset }),
        )
        const nothing = {
          owners,
          pending: [],
          clock: { time: -1, quietMs: 0, ticked: -1 },
          chosenTo: 0,
          latest,
          books: channel === 'book' ? new BookTrails() : undefined,
          before: [],
          recentFrom: undefined,
          lookedTo: 0,
        }
        return [channel, { marker, expected, derivedTo, ...nothing }]
      }),
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
    return Math.max(begun, this.restored.epochs[channel] ?? -1)
  }

  /**
   * The highest epoch at an offset, as far as the take-over has learned: that of the last owner whose marker lies there or before. A late record of a
   * former owner counts for nobody after it, and there may be thousands of these.
   */
  epochAt(channel: Channel, offset: number): number {
    const begun = this.tails[channel].owners.findLast(({ marker }) => marker <= offset)?.epoch ?? -1
    const { positions, epochs } = this.restored
    return offset < (positions[channel] ?? 0) ? begun : Math.max(begun, epochs[channel] ?? -1)
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

/** Takes note of the latest record of a market. */
export function keepLatest(tail: Tail, channel: Channel, record: PublishedRecord): void {
  if (hasLatestValue(channel)) tail.latest.set(record.market, record)
  tail.books?.take(record)
}

/** Takes note of how late it is in a fixed partition, in microseconds. */
export function setClock({ clock }: Tail, micros: number): void {
  if (micros <= clock.time) return
  clock.time = micros
  clock.quietMs = 0
}

/** Takes note of a tick. */
export function setTick(tail: Tail, { offset, tick }: Tick): void {
  tail.clock.ticked = Math.max(tail.clock.ticked, tick)
  setClock(tail, tick)
  tail.pending.push({ offset, tick })
}

/** Values that came since the last look stay, however old they say they are. */
function forgetLatest(tail: Tail, beforeTs: number): void {
  for (const [market, { offset, event }] of tail.latest) {
    if (offset >= tail.lookedTo || event.ts >= beforeTs) continue
    tail.latest.delete(market)
    tail.books?.forget(market)
  }
  tail.lookedTo = tail.expected
}
