import { DYNAMIC_PREFIX } from '../../control/topics.ts'
import { isAbort, toTapelineError } from '../../errors.ts'
import type { PartitionRecords } from '../../ports/broker.ts'
import type { PublishOutcome } from '../../ports/pipeline.ts'
import { createCatchUp } from './catch-up.ts'
import { addLatest, type Derivation, type DerivedRecord, deriveLive } from './derive.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import { prepareTopics } from './prepare-topics.ts'
import { isDerivationDue } from './publish-fixed.ts'
import type { Route } from './routes.ts'

export interface DynamicPublisher {
  /** Derives what the fixed topics have in hand, then one piece for each stream that is behind. */
  publish(signal: AbortSignal): Promise<PublishOutcome>
}

/** Publishes to the dynamic topics what the fixed topics hold: each fixed record once, in order, for each stream (R4). */
export function createDynamicPublisher(parts: ProducerParts, ownership: ShardOwnership): DynamicPublisher {
  const { broker, topics, meter, now } = parts
  const { shards, routes } = ownership
  const catchUp = createCatchUp(parts, ownership)

  /** Publishes a derivation; resolves when every topic has acknowledged it. Streams whose topic is gone are dropped. */
  const send = async (derivation: Derivation, signal: AbortSignal): Promise<number> => {
    if (derivation.size === 0) return 0
    const markers = await prepareTopics(parts, ownership, [...derivation.keys()], signal)
    const entries: PartitionRecords[] = []
    let records = 0
    for (const [route, derived] of derivation) {
      const fresh = derived.filter((record) => isMissing(route, record))
      const begin = markers.get(route) ?? []
      if (fresh.length + begin.length === 0) continue
      records += fresh.length
      entries.push({
        topic: route.topic,
        partition: 0,
        records: [...begin, ...fresh.map(({ record }) => record)],
      })
    }
    const started = now()
    try {
      await broker.publish(entries, signal)
    } catch (error) {
      if (await dropDeleted(error, derivation, signal)) return send(derivation, signal)
      ownership.doubt([...shards.keys()])
      throw toTapelineError(error, 'BROKER_UNAVAILABLE')
    }
    meter.observe('broker_publish_seconds', (now() - started) / 1000, { topics: 'dynamic' })
    meter.count('derived_records_total', records)
    for (const route of markers.keys())
      for (const progress of route.progress.values()) progress.prepared = true
    return records
  }

  /** A topic that is gone was refused before anything was written: its streams are dropped, the others go again. */
  const dropDeleted = async (
    error: unknown,
    derivation: Derivation,
    signal: AbortSignal,
  ): Promise<boolean> => {
    if (isAbort(error) || toTapelineError(error).code !== 'TOPIC_UNKNOWN') return false
    const alive = new Set((await broker.listTopics(DYNAMIC_PREFIX, signal)).map(({ name }) => name))
    const gone = [...derivation.keys()].filter((route) => !alive.has(route.topic))
    for (const route of gone) {
      derivation.delete(route)
      routes.drop(route)
    }
    return gone.length > 0
  }

  const settleLive = (marks: ReadonlyMap<object, number>): void => {
    for (const shard of shards.values()) {
      for (const tail of Object.values(shard.tails)) {
        const upTo = marks.get(tail)
        if (upTo === undefined) continue
        tail.derivedTo = upTo
        tail.pending = []
      }
    }
  }

  return {
    async publish(signal) {
      const marks = new Map<object, number>()
      for (const shard of shards.values())
        for (const tail of Object.values(shard.tails)) marks.set(tail, tail.expected)
      const live = deriveLive(shards.values(), routes, topics)
      const begun = addLatest(live, shards, routes, topics)
      let records = await send(live, signal)
      settleLive(marks)
      for (const progress of begun) progress.latestDue = false

      for (const piece of await catchUp.next(signal)) {
        records += await send(piece.derivation, signal)
        piece.done()
      }
      for (const route of [...routes.unsettled]) routes.settle(route)
      const written = [...live.keys()].map((route) => route.topic)
      return { topics: written, records, dynamicWaiting: isDerivationDue(shards.values(), routes) }
    },
  }
}

/** Whether a topic does not hold a record yet. */
function isMissing(route: Route, { shard, offset }: DerivedRecord): boolean {
  return offset > (route.progress.get(shard.k)?.held ?? -1)
}
