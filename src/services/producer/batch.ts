import { encodeEvent } from '../../domain/event-codec.ts'
import {
  type Channel,
  type EventOf,
  type GapCause,
  hasLatestValue,
  type MarketEvent,
  marketKey,
  type Status,
  shardOf,
  type Trade,
} from '../../domain/events.ts'
import { asPast } from '../../domain/trade-window.ts'
import type { Meter } from '../../ports/log.ts'
import {
  type ConnectionChange,
  type LastTradeNamed,
  type Market,
  type ReenteringEvent,
  type Source,
  type SourceBatch,
  sourceOf,
} from '../../ports/source.ts'
import type { Gap, GapWatch } from './gap-watch.ts'
import type { Shard } from './shard.ts'

type TradeItem = ReenteringEvent & { readonly channel: 'trade' }

/** An event on its way into a fixed topic. */
export interface OutgoingEvent {
  readonly channel: Channel
  readonly event: EventOf[Channel]
  readonly market: string
  readonly value: Uint8Array
  readonly reentering: boolean
  /** Called when it lies in its topic for good. */
  readonly published: (() => void) | undefined
}

/** The events of each shard, channel by channel, that the broker has not acknowledged yet. */
export type ShardEvents = Map<number, Partial<Record<Channel, OutgoingEvent[]>>>

/**
 * A batch on its way into the fixed topics. Status events go first: the broker acknowledges a gap before the record after the gap is sent
 * (R6).
 */
export interface PublishAttempt {
  readonly data: SourceBatch
  readonly phases: readonly [status: ShardEvents, market: ShardEvents]
}

interface BatchContext {
  readonly source: Pick<Source, 'name' | 'memberOf'>
  readonly partitions: number
  readonly shards: ReadonlyMap<number, Shard>
  readonly gaps: GapWatch
  /**
   * Markets whose events the source sent for a former ownership, and still holds in its queue. Of these only trades after those of the owner
   * in between count. The next connection empties the set.
   */
  readonly kept: Set<string>
  /** The only shard that is judged, once more: the others have been, and what is said of the source itself is said. */
  readonly anew?: number
  /** Microseconds since the epoch. */
  readonly nowMicros: () => number
  readonly meter: Meter
  /** Hears of each gap that is flagged. */
  readonly onGap: (market: Market, gap: Gap) => void
  /** Hears of each trade whose id another trade of its market has. */
  readonly onConflict: (trade: Trade) => void
  /** Hears of each gap once it lies in the log. */
  readonly onGapFlagged: (gap: Status) => void
  /** Hears of each event that is left out because it is too large for a record. */
  readonly onOversized: (event: MarketEvent, bytes: number) => void
}

/** The most bytes of an event: half of what a record may have, and as much as a batch of records. */
const MOST_EVENT_BYTES = 512 * 1024
/** A trade with so few characters is never too large, whatever they are: nobody need measure it. */
const MOST_CHARACTERS = MOST_EVENT_BYTES / 8

/** All windows of a process may take so much together. Each has an equal share, and never fewer trades than a snapshot. */
const WINDOWS_BYTES = 64 * 1024 * 1024
const MOST_WINDOW_BYTES = 256 * 1024

/** Sorts a batch by shard and channel, leaves out trades that were published before (R5) and adds the gaps (R6). */
export function prepareBatch(data: SourceBatch, context: BatchContext): PublishAttempt {
  const { partitions, shards, gaps, kept, meter } = context
  const status: ShardEvents = new Map()
  const market: ShardEvents = new Map()

  /** A status event about a whole source has no market: any shard of this process may hold it (R7). */
  const placeOf = (key: string, { channel, event }: MarketEvent): number => {
    const k = shardOf(key, partitions)
    return channel !== 'status' || event.symbol !== undefined || shards.has(k)
      ? k
      : Math.min(...shards.keys())
  }
  const add = (item: ReenteringEvent): void => {
    const key = marketKey(item.event)
    const k = placeOf(key, item)
    if (!shards.has(k)) return
    const value = encodeEvent(item.event)
    if (value.length > MOST_EVENT_BYTES) {
      context.onOversized(item, value.length)
      return
    }
    const events = item.channel === 'status' ? status : market
    const ofShard = events.get(k) ?? {}
    events.set(k, ofShard)
    const list = ofShard[item.channel] ?? []
    ofShard[item.channel] = list
    list.push({
      channel: item.channel,
      event: item.event,
      market: key,
      value,
      reentering: item.reentering === true,
      published: item.published,
    })
  }
  /** Whether the owner in between has published a later value. */
  const isOutdated = ({ channel, event }: MarketEvent): boolean => {
    const key = marketKey(event)
    if (!hasLatestValue(channel) || !kept.has(key)) return false
    const latest = shards.get(shardOf(key, partitions))?.tails[channel].latest.get(key)
    if (latest === undefined) return false
    const { ts } = latest.event
    // A candle has the time of its beginning over all its life.
    return event.ts < ts || (channel === 'quote' && event.ts === ts)
  }
  const addStatus = (event: Status): void => add({ channel: 'status', event })

  const windows = [...shards.values()].reduce((sum, shard) => sum + shard.windows.size, 1)
  const share = Math.min(MOST_WINDOW_BYTES, WINDOWS_BYTES / windows)

  const addGap = (market: Market, gap: Gap | undefined): void => {
    if (gap === undefined) return
    meter.count('gaps_total')
    context.onGap(market, gap)
    const [flagged, ...others] = gapEvents(context, market, gap)
    const published = gap.filled ? {} : { published: () => context.onGapFlagged(flagged) }
    add({ channel: 'status', event: flagged, ...published })
    for (const event of others) addStatus(event)
  }

  const nameLast = (named: LastTradeNamed): void => {
    const key = marketKey(named)
    const shard = shards.get(shardOf(key, partitions))
    if (shard !== undefined) addGap(named, gaps.name(key, shard.k, shard.window(key), named))
  }

  const addTrade = (item: TradeItem): void => {
    const { event: trade, follows } = item
    const key = marketKey(trade)
    const shard = shards.get(shardOf(key, partitions))
    if (shard === undefined) return
    if (trade.id.length + key.length > MOST_CHARACTERS) {
      // What is refused moves no window and no gap (R28).
      context.onOversized({ channel: 'trade', event: trade }, encodeEvent(trade).length)
      return
    }
    const window = shard.window(key)
    const verdict = shard.judge(key, trade)
    if (item.reentering === true) {
      // The history of a source may tell the time of a trade less exactly than its stream has.
      if (item.isPast && verdict === 'conflict') {
        item.published?.()
        return
      }
      // The database may miss a trade that was published before. The store leaves out what it has (R6).
      if (verdict !== 'duplicate' && (!item.isPast || window.isAmongLatest(trade.ts)))
        shard.rememberAhead(key, asPast(trade), share)
      meter.count('reentering_total')
      add(item)
      return
    }
    if (verdict === 'duplicate') {
      gaps.repeat(key, shard.k, trade, window)
      meter.count('duplicates_dropped_total')
      return
    }
    if (kept.has(key) && trade.ts < (window.last?.ts ?? -1)) return
    if (verdict === 'conflict') context.onConflict(trade)
    if (verdict === 'maybe') meter.count('maybe_repeated_total')
    addGap(trade, gaps.close(key, shard.k, window, trade, follows))
    shard.rememberAhead(key, trade, share)
    add({ channel: 'trade', event: verdict === 'maybe' ? { ...trade, maybe: true } : trade })
  }

  for (const shard of shards.values()) {
    if (context.anew !== undefined && shard.k !== context.anew) continue
    for (const event of shard.tails.book.books?.takeDoubts() ?? []) add({ channel: 'book', event })
  }
  for (const item of data.items) {
    if (item.channel === 'connection') {
      if (item.mayHaveMissed) interruptBy(item, context)
      if (context.anew === undefined) addStatus(item.status)
    } else if (item.channel === 'last-trade') nameLast(item)
    else if (item.channel === 'trade') addTrade(item)
    else if (!isOutdated(item)) add(item)
  }
  return { data, phases: [status, market] }
}

/**
 * Events may be missing before what follows: of one market, of those of one source among several, or of all. Where a shard is judged once more, what
 * follows was still sent for the former ownership.
 */
function interruptBy({ status, of, cause }: ConnectionChange, context: BatchContext): void {
  const { partitions, shards, gaps, kept, anew } = context
  const isJudged = (key: string): boolean => anew === undefined || shardOf(key, partitions) === anew
  const named = status.symbol === undefined ? of?.map(marketKey) : [marketKey(status)]
  const keys = named?.filter(isJudged)
  if (keys === undefined) {
    const since = lastTimes(shards.values(), gaps.isFirst)
    if (anew === undefined) gaps.interrupt(since, cause)
    else gaps.interruptShard(anew, isJudged, since.get(anew) ?? -1, cause ?? 'reconnect')
  } else if (status.symbol === undefined) gaps.interruptMarkets(lastTimesOf(keys, context), cause)
  else for (const key of keys) gaps.interruptMarket(key)
  if (anew === undefined) for (const key of keys ?? kept) kept.delete(key)
}

/** What a gap says to people, by its cause. */
const DETAILS: Readonly<Record<GapCause, string>> = {
  restart: 'the producer was away between these trades',
  reconnect: 'the source was away between these trades',
  overflow: 'the queue of the source was full between these trades',
  takeover: 'another process owned the shard between these trades',
  retention: 'records between these trades were removed before they were published',
  source: 'the source itself shows that trades between these two are missing',
}

function gapEvents(
  { source, nowMicros }: BatchContext,
  { exchange, symbol }: Market,
  gap: Gap,
): [flagged: Status, ...Status[]] {
  const { from, to, cause } = gap
  const market = { exchange, symbol }
  const common = { source: sourceOf(source, market), ...market, from, to, ts: nowMicros(), cause }
  const flagged = { ...common, state: 'gap', detail: DETAILS[cause] } as const
  if (!gap.filled) return [flagged]
  const detail = 'what the source gives goes on from the last trade published'
  return [flagged, { ...common, state: 'recovered', detail }]
}

/**
 * When trades may begin to be missing, by shard: after the last trade of any market of any shard, since all came over the same connection.
 * Without any trade: since the shard had its first owner. -1 where nothing tells.
 */
function lastTimes(shards: Iterable<Shard>, isFirst: boolean): Map<number, number> {
  const owned = [...shards]
  const last = Math.max(-1, ...owned.map((shard) => shard.lastTradeTs))
  return new Map(owned.map((shard) => [shard.k, last < 0 ? shard.ownedSince(isFirst) : last]))
}

/**
 * The same of the markets of one source among several, by market: after the last trade of any of them, since all came over the same
 * connection.
 */
function lastTimesOf(
  keys: readonly string[],
  { shards, partitions, gaps }: BatchContext,
): Map<string, number> {
  const owned = keys.flatMap((key) => {
    const shard = shards.get(shardOf(key, partitions))
    return shard === undefined ? [] : [{ key, shard }]
  })
  const last = Math.max(-1, ...owned.map(({ key, shard }) => shard.windows.get(key)?.last?.ts ?? -1))
  return new Map(
    owned.map(({ key, shard }) => [key, last < 0 ? shard.ownedSince(gaps.isFirstOf(key)) : last]),
  )
}
