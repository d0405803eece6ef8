import { encodeEvent } from '../../domain/event-codec.ts'
import {
  type Channel,
  type EventOf,
  type MarketEvent,
  marketKey,
  type Status,
  shardOf,
  type Trade,
} from '../../domain/events.ts'
import type { Meter } from '../../ports/log.ts'
import type { SourceBatch } from '../../ports/source.ts'
import type { Shard } from './shard.ts'

/** An event on its way into a fixed topic. */
export interface OutgoingEvent {
  readonly channel: Channel
  readonly event: EventOf[Channel]
  readonly market: string
  readonly value: Uint8Array
  readonly reentering: boolean
}

/** The events of one shard, channel by channel, that still wait for their acknowledgement. */
export type ShardEvents = Map<number, Partial<Record<Channel, OutgoingEvent[]>>>

/**
 * A batch on its way into the fixed topics. Status events go first: a gap is acknowledged before the first record that
 * follows it is published (R6).
 */
export interface PublishAttempt {
  readonly data: SourceBatch
  readonly phases: readonly [status: ShardEvents, market: ShardEvents]
}

/** Counts connections of the source: a market's first trade after each closes its gap. */
export class GapWatch {
  #connection = 0
  readonly #seen = new Map<string, number>()
  readonly #overlapping = new Set<string>()
  /** Markets that were subscribed to while the connection stood: nothing was missed there before their first trade. */
  readonly #joined = new Set<string>()
  #lastTs = -1

  /** Events may have been missed; `lastTs` is the time of the last trade published of any market, -1 where there is none. */
  resume(lastTs: number): void {
    this.#connection++
    this.#overlapping.clear()
    this.#joined.clear()
    this.#lastTs = lastTs
  }

  /** Events of one market alone may have been missed: it was subscribed to anew. */
  resumeMarket(market: string): void {
    this.#seen.delete(market)
    this.#overlapping.delete(market)
    this.#joined.add(market)
  }

  /** A trade that was known came again: what the source repeats reaches back to what was published. */
  overlap(market: string): void {
    if (this.#seen.get(market) !== this.#connection) this.#overlapping.add(market)
  }

  /**
   * The first new trade of a market on this connection: gives the gap before it, or undefined where there is none.
   * A market without a trade before counts from the last trade of any market.
   */
  close(
    market: string,
    lastTs: number,
    ts: number,
  ): { from: number; to: number; filled: boolean } | undefined {
    if (this.#seen.get(market) === this.#connection) return undefined
    this.#seen.set(market, this.#connection)
    const from = lastTs >= 0 || this.#joined.has(market) ? lastTs : this.#lastTs
    if (from < 0) return undefined
    return { from: Math.min(from, ts), to: Math.max(from, ts), filled: this.#overlapping.has(market) }
  }
}

interface BatchParts {
  readonly source: string
  readonly partitions: number
  readonly shards: ReadonlyMap<number, Shard>
  readonly gaps: GapWatch
  /** Microseconds since the epoch. */
  readonly nowMicros: () => number
  readonly meter: Meter
}

/** Sorts a batch by shard and channel, leaves out trades that were published before (R5) and adds the gaps (R6). */
export function prepareBatch(data: SourceBatch, parts: BatchParts): PublishAttempt {
  const { partitions, shards, gaps, meter } = parts
  const status: ShardEvents = new Map()
  const market: ShardEvents = new Map()

  const add = (item: MarketEvent, reentering: boolean): void => {
    const key = marketKey(item.event)
    const k = shardOf(key, partitions)
    const shard = shards.get(k)
    if (shard === undefined) return
    const events = item.channel === 'status' ? status : market
    const ofShard = events.get(k) ?? {}
    events.set(k, ofShard)
    const list = ofShard[item.channel] ?? []
    ofShard[item.channel] = list
    list.push({
      channel: item.channel,
      event: item.event,
      market: key,
      value: encodeEvent(item.event),
      reentering,
    })
  }
  const addStatus = (event: Status): void => add({ channel: 'status', event }, false)

  const addTrade = (trade: Trade, enters: boolean): void => {
    const key = marketKey(trade)
    const shard = shards.get(shardOf(key, partitions))
    if (shard === undefined) return
    const window = shard.window(key)
    const verdict = window.judge(trade.id, trade.ts)
    if (enters) {
      // What was published before may be missing in the database all the same: the store leaves out what it has (R6).
      if (verdict === 'new') {
        window.remember(trade.id, trade.ts)
        shard.changed.add(key)
      }
      meter.count('reentering_total')
      add({ channel: 'trade', event: trade }, true)
      return
    }
    if (verdict === 'duplicate') {
      gaps.overlap(key)
      meter.count('duplicates_dropped_total')
      return
    }
    if (verdict === 'new') {
      const gap = gaps.close(key, window.lastTs, trade.ts)
      if (gap) {
        meter.count('gaps_total')
        for (const event of gapEvents(parts, trade, gap)) addStatus(event)
      }
    } else meter.count('reentering_total')
    window.remember(trade.id, trade.ts)
    shard.changed.add(key)
    add({ channel: 'trade', event: trade }, verdict === 'reentering')
  }

  for (const item of data.items) {
    if (item.channel === 'connection') {
      if (item.resumed && item.status.symbol !== undefined) gaps.resumeMarket(marketKey(item.status))
      else if (item.resumed) gaps.resume(lastTradeTs(shards.values()))
      addStatus(item.status)
    } else if (item.channel === 'trade') addTrade(item.event, item.reentering === true)
    else add(item, item.reentering === true)
  }
  return { data, phases: [status, market] }
}

function gapEvents(
  { source, nowMicros }: BatchParts,
  trade: Trade,
  gap: { readonly from: number; readonly to: number; readonly filled: boolean },
): Status[] {
  const { exchange, symbol } = trade
  const common = { source, exchange, symbol, from: gap.from, to: gap.to, ts: nowMicros() }
  const detail = 'the source or the producer was away between these trades'
  if (!gap.filled) return [{ ...common, state: 'gap', detail }]
  return [
    { ...common, state: 'gap', detail },
    {
      ...common,
      state: 'recovered',
      detail: 'what the source repeats reaches back to the last trade published',
    },
  ]
}

function lastTradeTs(shards: Iterable<Shard>): number {
  let last = -1
  for (const shard of shards)
    for (const window of shard.windows.values()) last = Math.max(last, window.lastTs)
  return last
}
