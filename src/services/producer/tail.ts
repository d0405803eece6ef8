import { type Channel, type EventOf, hasLatestValue } from '../../domain/events.ts'
import { BookTrails } from './book-trails.ts'
import type { FixedLog } from './checkpoint.ts'

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
  /** What a stream holds at or after this offset of a former owner is of a log that is gone. */
  readonly offset: number
  /** Where its marker lies: after `offset` where a former ownership wrote in the place of a lost end until it saw the loss. */
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

/**
 * What is known at the take-over, before anything is read: where the own marker lies, how far the checkpoint has derived, and what it says of the
 * topic.
 */
export function beginTail(channel: Channel, marker: number, derivedTo: number, log: FixedLog): Tail {
  const markers = new Map(log.markers)
  return {
    marker,
    owners: (log.owners ?? []).map(([epoch, offset]) => ({
      epoch,
      offset,
      marker: markers.get(epoch) ?? offset,
    })),
    expected: marker + 1,
    derivedTo,
    pending: [],
    clock: { time: -1, quietMs: 0, ticked: -1 },
    chosenTo: 0,
    latest: new Map(),
    books: channel === 'book' ? new BookTrails() : undefined,
    before: [],
    recentFrom: undefined,
    lookedTo: 0,
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

/**
 * Forgets latest values from before a time, in microseconds. Values that came since the last look stay, however old they say they are.
 */
export function forgetLatest(tail: Tail, beforeTs: number): void {
  for (const [market, { offset, event }] of tail.latest) {
    if (offset >= tail.lookedTo || event.ts >= beforeTs) continue
    tail.latest.delete(market)
    tail.books?.forget(market)
  }
  tail.lookedTo = tail.expected
}
