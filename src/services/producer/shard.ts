import type { Ownership } from '../../control/claim.ts'
import { EVENT_VERSION } from '../../domain/event-codec.ts'
import { CHANNELS, type Channel, type Trade } from '../../domain/events.ts'
import type { RecordHeaders } from '../../domain/record.ts'
import { TradeWindow } from '../../domain/trade-window.ts'
import type { Checkpoint } from './checkpoint.ts'

/** A record of a fixed topic, as far as deriving needs it. */
export interface PublishedRecord {
  readonly offset: number
  readonly exchange: string
  readonly symbol: string
  readonly value: Uint8Array
}

/** What the owner of a shard knows of its partition of one fixed topic. */
export interface Tail {
  /** Where this owner's marker lies; what is behind it was published under this epoch or is not ours. */
  readonly marker: number
  /** The offset that the next acknowledgement must begin at (R8). */
  expected: number
  /** Everything before is derived into every stream that is not behind, and acknowledged. */
  derivedTo: number
  /** What matches streams from `derivedTo` on. */
  pending: PublishedRecord[]
  /** What lies before was chosen by the streams of the time: a stream that comes now has to read it from the log. */
  chosenTo: number
  /** The latest record of each market, with which new streams of quotes, candles and books begin (R11). */
  readonly latest: Map<string, PublishedRecord>
}

/** A shard that this process owns: partition k of every fixed topic, under one epoch. */
export class Shard {
  readonly k: number
  readonly ownership: Ownership
  /** The checkpoint it was taken over with. */
  readonly restored: Checkpoint
  readonly tails: Record<Channel, Tail>
  readonly windows: Map<string, TradeWindow>
  /** Markets whose window has changed since it was last written with a checkpoint. */
  readonly changed = new Set<string>()
  /** Whether the windows know trades that are not acknowledged yet: a checkpoint must not hold such. */
  isAhead = false
  readonly headers: RecordHeaders
  readonly reentering: RecordHeaders
  readonly markerHeaders: RecordHeaders

  constructor(
    k: number,
    ownership: Ownership,
    restored: Checkpoint,
    markers: Record<Channel, number>,
    windows: Map<string, TradeWindow>,
  ) {
    this.k = k
    this.ownership = ownership
    this.restored = restored
    this.windows = windows
    this.tails = Object.fromEntries(
      CHANNELS.map((channel): [Channel, Tail] => {
        const marker = markers[channel]
        const derivedTo = restored.positions[channel] ?? 0
        const tail = { marker, expected: marker + 1, derivedTo, pending: [], chosenTo: 0, latest: new Map() }
        return [channel, tail]
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
   * The highest epoch among the records before `derivedTo`: this owner's own only once it has derived beyond its marker. Until then
   * records of former owners lie behind that position, and the next owner must still count them.
   */
  epochBefore(channel: Channel): number {
    const { derivedTo, marker } = this.tails[channel]
    return derivedTo > marker ? this.epoch : (this.restored.epochs[channel] ?? -1)
  }

  /** The time of the last trade of any market; -1 where there is none. */
  get lastTradeTs(): number {
    let last = -1
    for (const window of this.windows.values()) last = Math.max(last, window.last?.ts ?? -1)
    return last
  }

  /** Takes note of a trade that is about to be published; its window may take so many bytes. */
  rememberAhead(market: string, trade: Trade, mostBytes?: number): void {
    this.window(market).remember(trade, mostBytes)
    this.changed.add(market)
    this.isAhead = true
  }

  window(market: string): TradeWindow {
    let window = this.windows.get(market)
    if (window === undefined) {
      window = new TradeWindow()
      this.windows.set(market, window)
    }
    return window
  }
}
