import { CHANNELS, type Channel, hasLatestValue } from '../../domain/events.ts'
import { toTapelineError } from '../../errors.ts'
import type { PartitionRecords } from '../../ports/broker.ts'
import type { PublishOutcome } from '../../ports/pipeline.ts'
import type { SourceBatch } from '../../ports/source.ts'
import { GapWatch, type OutgoingEvent, type PublishAttempt, prepareBatch, type ShardEvents } from './batch.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import type { Routes } from './routes.ts'
import type { Shard } from './shard.ts'
import type { TakenShard } from './take-over.ts'

export interface FixedPublisher {
  publish(data: SourceBatch, signal: AbortSignal): Promise<PublishOutcome>
  /** Brings the attempt in hand level with a shard that was taken over: what landed is not sent again. */
  reconcile(taken: TakenShard): void
}

/**
 * Publishes batches to the fixed topics; a batch whose attempt failed goes on where the failure left it. `onPublished` hears
 * of events that lie in their topic for good.
 */
export function createFixedPublisher(
  parts: ProducerParts,
  ownership: ShardOwnership,
  onPublished: (events: readonly OutgoingEvent[]) => void,
): FixedPublisher {
  const { broker, source, partitions, topics, meter, now } = parts
  const { shards, routes } = ownership
  const gaps = new GapWatch()
  let attempt: PublishAttempt | undefined

  const reconcile: FixedPublisher['reconcile'] = ({ shard, landed }) => {
    for (const phase of attempt?.phases ?? []) {
      const ofShard = phase.get(shard.k)
      for (const channel of CHANNELS) onPublished(ofShard?.[channel]?.splice(0, landed[channel]) ?? [])
      for (const { event, market } of ofShard?.trade ?? []) {
        shard.window(market).remember((event as { id: string }).id, event.ts)
        shard.changed.add(market)
      }
    }
  }

  const send = async (phase: ShardEvents, signal: AbortSignal): Promise<Sent[]> => {
    const sends = collect(phase, shards, topics)
    if (sends.length === 0) return []
    const started = now()
    try {
      const acks = await broker.publish(
        sends.map(({ records }) => records),
        signal,
      )
      meter.observe('broker_publish_seconds', (now() - started) / 1000, { topics: 'fixed' })
      const acknowledged = sends.map((each, i) => ({ ...each, baseOffset: acks[i]?.baseOffset ?? -1 }))
      phase.clear()
      return acknowledged.filter((each) => accept(each))
    } catch (error) {
      // Even a refusal that wrote nothing is handled so: it is rare, and one way is easier to be sure of than two.
      ownership.doubt(new Set(sends.map(({ shard }) => shard.k)))
      throw toTapelineError(error, 'BROKER_UNAVAILABLE')
    }
  }

  /** Whether an acknowledgement begins where this owner must go on; any other means that a new owner came first (R8). */
  const accept = ({ shard, channel, baseOffset, events }: Sent): boolean => {
    const tail = shard.tails[channel]
    if (shards.get(shard.k) !== shard) return false
    if (baseOffset !== tail.expected) {
      ownership.yieldTo(shard.k)
      return false
    }
    tail.expected += events.length
    const wanted = keepForDeriving(shard, channel, events, baseOffset)
    if (!wanted && tail.pending.length === 0) tail.derivedTo = tail.expected
    return true
  }

  /** Keeps what streams want in hand; gives whether anything was kept. */
  const keepForDeriving = (
    shard: Shard,
    channel: Channel,
    events: readonly OutgoingEvent[],
    base: number,
  ): boolean => {
    const tail = shard.tails[channel]
    events.forEach(({ event, market, value, reentering }, i) => {
      if (reentering) return
      const record = { offset: base + i, exchange: event.exchange, symbol: event.symbol ?? '', value }
      if (hasLatestValue(channel)) tail.latest.set(market, record)
      if (routes.table.match(channel, record.exchange, record.symbol).length > 0) tail.pending.push(record)
    })
    return tail.pending.length > 0
  }

  return {
    reconcile,
    async publish(data, signal) {
      if (attempt?.data !== data) {
        const nowMicros = (): number => now() * 1000
        attempt = prepareBatch(data, { source: source.name, partitions, shards, gaps, nowMicros, meter })
      }
      const written = new Set<string>()
      let records = 0
      for (const phase of attempt.phases) {
        for (const { channel, events } of await send(phase, signal)) {
          onPublished(events)
          written.add(topics[channel])
          records += events.length
          meter.count('published_records_total', events.length, { channel })
        }
      }
      attempt = undefined
      return { topics: [...written], records, dynamicWaiting: isDerivationDue(shards.values(), routes) }
    },
  }
}

interface Sent {
  readonly shard: Shard
  readonly channel: Channel
  readonly events: readonly OutgoingEvent[]
  readonly baseOffset: number
}

/** The records of a phase, an entry for each partition. */
function collect(
  phase: ShardEvents,
  shards: ReadonlyMap<number, Shard>,
  topics: Readonly<Record<Channel, string>>,
): (Omit<Sent, 'baseOffset'> & { readonly records: PartitionRecords })[] {
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
        headers: reentering ? shard.reentering : shard.headers,
      }))
      sends.push({ shard, channel, events, records: { topic: topics[channel], partition: k, records } })
    }
  }
  return sends
}

/** Whether anything waits to be derived into dynamic topics. */
export function isDerivationDue(shards: Iterable<Shard>, routes: Routes): boolean {
  if (routes.unsettled.size > 0) return true
  for (const shard of shards)
    for (const channel of CHANNELS) if (shard.tails[channel].pending.length > 0) return true
  return false
}
