import { encodeEvent } from '../../domain/event-codec.ts'
import {
  CHANNELS,
  type Channel,
  type EventOf,
  type MarketEvent,
  marketKey,
  type Status,
  shardOf,
  type Trade,
} from '../../domain/events.ts'
import { eventTime } from '../../domain/open-windows.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { PublishOutcome } from '../../ports/pipeline.ts'
import { type Market, type SourceBatch, sourceOf } from '../../ports/source.ts'
import { type OutgoingEvent, type PublishAttempt, prepareBatch, type ShardEvents } from './batch.ts'
import type { BatchTrace } from './batch-trace.ts'
import { createFixedNotices } from './fixed-notices.ts'
import { type Acknowledged, createFixedWrites } from './fixed-writes.ts'
import { GapWatch } from './gap-watch.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import { createQuietMarkets } from './quiet-markets.ts'
import type { Routes } from './routes.ts'
import type { Shard } from './shard.ts'
import { keepLatest, setClock, setTick, type Tail } from './tail.ts'
import type { TakenShard } from './take-over.ts'
import { createTicks } from './ticks.ts'

export interface FixedPublisher {
  publish(data: SourceBatch, signal: AbortSignal): Promise<PublishOutcome>
  /** This process took a shard over from itself: what landed of the attempt in hand is not sent again. */
  reconcile(taken: TakenShard): void
  /**
   * This process took over a shard that others may have had, and subscribed to its markets anew. Of what the source sent before, in hand and
   * in the queue, only trades that follow the last published ones count. The gap says what is missing.
   */
  interrupt(taken: TakenShard, markets: readonly Market[]): void
  /** The shard is another process's now. */
  leave(k: number): void
}

/** Publishes batches to the fixed topics. After a failed attempt a batch goes on where the failure left it. */
export function createFixedPublisher(
  producer: ProducerParts,
  ownership: ShardOwnership,
  trace: BatchTrace,
  onGapFlagged: (gap: Status) => void,
): FixedPublisher {
  const { source, partitions, topics, meter, now } = producer
  const { shards, routes } = ownership
  const gaps = new GapWatch()
  const quietMarkets = createQuietMarkets(shards, gaps, now)
  const kept = new Set<string>()
  let attempt: PublishAttempt | undefined
  const ticks = createTicks(producer, shards, routes)
  const notices = createFixedNotices(producer)
  const { write, accept } = createFixedWrites(producer, ownership)

  /** A topic does not take a trade: flags the gap before what follows in the attempt (R6). */
  const flagMissing = (k: number, { exchange, symbol, ts }: Trade): void => {
    const detail = 'a trade was larger than its topic takes, and was left out'
    const [phase] = attempt?.phases ?? []
    if (phase === undefined) return
    meter.count('gaps_total')
    notices.gap({ exchange, symbol }, { from: ts, to: ts, cause: 'overflow', filled: false })
    const nowMicros = now() * 1000
    const market = { exchange, symbol }
    const common = { source: sourceOf(source, market), ...market, from: ts, to: ts, ts: nowMicros }
    const event: EventOf['status'] = { ...common, state: 'gap', cause: 'overflow', detail }
    const ofShard = phase.get(k) ?? {}
    phase.set(k, ofShard)
    ofShard.status ??= []
    ofShard.status.push({
      channel: 'status',
      event,
      market: marketKey(event),
      value: encodeEvent(event),
      reentering: false,
      published: undefined,
    })
  }

  /**
   * Takes out of a phase what its topic refuses as too large, and gives whether there was any. Such a record is certainly not stored. So what
   * landed in front of it is still the beginning of what is in hand.
   */
  const setAside = (phase: ShardEvents, values: readonly (Uint8Array | null)[]): boolean => {
    const refused = new Set(values)
    let isAny = false
    for (const [k, ofShard] of phase) {
      for (const channel of CHANNELS) {
        const events = ofShard[channel] ?? []
        const large = events.filter(({ value }) => refused.has(value))
        if (large.length === 0) continue
        isAny = true
        ofShard[channel] = events.filter(({ value }) => !refused.has(value))
        for (const { event, value } of large) {
          notices.oversized({ channel, event } as MarketEvent, value.length)
          if (channel === 'trade') flagMissing(k, event as Trade)
        }
      }
    }
    return isAny
  }

  const isOf =
    (k: number) =>
    (market: string): boolean =>
      shardOf(market, partitions) === k

  const prepare = (data: SourceBatch, anew?: number): PublishAttempt => {
    const nowMicros = (): number => Math.round(now() * 1000)
    return prepareBatch(data, {
      ...{ source, partitions, shards, gaps, kept, nowMicros, meter },
      ...(anew !== undefined && { anew }),
      onGap: notices.gap,
      onConflict: notices.conflict,
      onGapFlagged,
      onOversized: notices.oversized,
    })
  }

  /** Takes what landed out of the attempt; gives what is left of the shard, phase by phase. */
  const settleLanded = ({ shard, landed }: TakenShard) =>
    (attempt?.phases ?? []).map((phase) => {
      const ofShard = phase.get(shard.k) ?? {}
      for (const channel of CHANNELS) tellPublished(ofShard[channel]?.splice(0, landed[channel]) ?? [])
      return ofShard
    })

  const reconcile: FixedPublisher['reconcile'] = (taken) => {
    for (const { trade = [] } of settleLanded(taken))
      for (const { event, market } of trade) taken.shard.rememberAhead(market, event as EventOf['trade'])
  }

  const interrupt: FixedPublisher['interrupt'] = (taken, markets) => {
    const { shard } = taken
    const isOfShard = isOf(shard.k)
    settleLanded(taken)
    const last = shard.lastTradeTs
    gaps.interruptShard(shard.k, isOfShard, last < 0 ? shard.ownedSince(true) : last)
    for (const market of markets) kept.add(marketKey(market))
    if (attempt === undefined) return
    // The owner in between has published trades: what is in hand is judged by them.
    const items = attempt.data.items.filter((item) => {
      if (item.channel === 'connection') return true
      if (item.channel === 'last-trade') return isOfShard(marketKey(item))
      return !item.reentering && isOfShard(marketKey(item.event))
    })
    const anew = markets.length > 0 ? prepare({ items }, shard.k).phases : []
    for (const [i, phase] of attempt.phases.entries()) {
      phase.delete(shard.k)
      const ofShard = anew[i]?.get(shard.k)
      if (ofShard) phase.set(shard.k, ofShard)
    }
  }

  const send = async (phase: ShardEvents, signal: AbortSignal): Promise<Sent[]> => {
    const sends = collect(phase, shards, topics, trace.publishing)
    for (const k of phase.keys())
      if (shards.has(k) && !sends.some(({ shard }) => shard.k === k)) phase.delete(k)
    if (sends.length === 0) return []
    const started = now()
    try {
      const acknowledged = await write(sends, signal)
      meter.observe('broker_publish_seconds', (now() - started) / 1000, { topics: 'fixed' })
      for (const { shard } of sends) phase.delete(shard.k)
      return acknowledged.filter((each) => accept(each, each.events.length, keepForDeriving(each)))
    } catch (error) {
      // Also after a refusal that wrote nothing: it is rare, and one way is easier to trust than two.
      const isSetAside =
        error instanceof TapelineError && error.code === 'RECORD_TOO_LARGE' && setAside(phase, error.values)
      ownership.doubt(new Set(sends.map(({ shard }) => shard.k)))
      if (isSetAside) return []
      throw toTapelineError(error, 'BROKER_UNAVAILABLE')
    }
  }

  /** Says how late it is where nothing else does, and open windows of streams wait for it (R21). */
  const tick = async (signal: AbortSignal): Promise<void> => {
    const due = ticks.due()
    if (due.length === 0) return
    try {
      for (const each of await write(due, signal)) {
        accept(each, 1, (tail, offset) => {
          setTick(tail, { offset, tick: each.tick })
        })
      }
    } catch (error) {
      ownership.doubt(new Set(due.map(({ shard }) => shard.k)))
      throw toTapelineError(error, 'BROKER_UNAVAILABLE')
    }
  }

  const keepForDeriving =
    ({ channel, events }: Sent) =>
    (tail: Tail, base: number): void => {
      events.forEach(({ event, market, value, reentering }, i) => {
        if (reentering) return
        setClock(tail, eventTime(event))
        const record = { offset: base + i, market, event, value }
        keepLatest(tail, channel, record)
        if (routes.matching(channel, event).length > 0) tail.pending.push(record)
        else tail.chosenTo = record.offset + 1
      })
    }

  return {
    reconcile,
    interrupt,
    leave(k) {
      gaps.forget(isOf(k))
      for (const market of kept) if (isOf(k)(market)) kept.delete(market)
    },
    async publish(data, signal) {
      if (ownership.isSuspended && data.items.length > 0) {
        throw suspension()
      }
      if (attempt?.data !== data) {
        attempt = prepare(data)
        trace.begin(data)
        ticks.follow(data.items)
      }
      const { phases } = attempt
      const written = new Set<string>()
      let records = 0
      const take = ({ channel, events }: Sent): void => {
        notices.hops(channel, events)
        tellPublished(events)
        written.add(topics[channel])
        records += events.length
        meter.count('published_records_total', events.length, { channel })
      }
      for (;;) {
        // A shard may be in doubt by now: what is in hand of it waits until this process takes it over anew.
        await ownership.ensure(signal)
        const due = phases.find((phase) => [...phase.keys()].some((k) => shards.has(k)))
        if (due === undefined) break
        for (const sent of await send(due, signal)) take(sent)
      }
      if (ownership.isSuspended && phases.some((phase) => phase.size > 0)) throw suspension()
      await tick(signal)
      attempt = undefined
      for (const shard of shards.values()) shard.isAhead = false
      quietMarkets.forgetIfDue()
      trace.published({ topics: [...written], records })
      return { topics: [...written], records, dynamicWaiting: isDerivationDue(shards.values(), routes) }
    },
  }
}

function tellPublished(events: readonly OutgoingEvent[]): void {
  for (const { published } of events) published?.()
}

function suspension(): TapelineError {
  return new TapelineError('BROKER_UNAVAILABLE', 'the broker gives this process no shard at present')
}

interface Sent extends Acknowledged {
  readonly events: readonly OutgoingEvent[]
}

/** The records of a phase, an entry for each partition. */
function collect(
  phase: ShardEvents,
  shards: ReadonlyMap<number, Shard>,
  topics: Readonly<Record<Channel, string>>,
  traced: BatchTrace['publishing'],
): Omit<Sent, 'baseOffset'>[] {
  const sends = []
  for (const [k, ofShard] of phase) {
    const shard = shards.get(k)
    if (shard === undefined) continue
    for (const channel of CHANNELS) {
      const events = ofShard[channel]
      if (!events?.length) continue
      const records = events.map(({ market, value, reentering }) => ({
        key: market,
        value,
        headers: traced(reentering ? shard.reentering : shard.headers),
      }))
      sends.push({ shard, channel, events, records: { topic: topics[channel], partition: k, records } })
    }
  }
  return sends
}

/** Whether anything waits to be derived into dynamic topics. */
export function isDerivationDue(shards: Iterable<Shard>, routes: Routes): boolean {
  if (routes.isCatchUpDue()) return true
  for (const shard of shards)
    for (const channel of CHANNELS) if (shard.tails[channel].pending.length > 0) return true
  return false
}
