import { onAbort, untilAborted } from '../../async/abort.ts'
import { withDeadline } from '../../async/deadline.ts'
import { createSerializer } from '../../async/serialize.ts'
import { CONTROL_VERSION } from '../../control/record-format.ts'
import { toTapelineError } from '../../errors.ts'
import type { FetchedBatch, ProducerNotification, PublishOutcome, TopicAnswer } from '../../ports/pipeline.ts'
import type { Instrument, Market } from '../../ports/source.ts'
import { answerBackfills } from './backfill.ts'
import { createBatchTrace } from './batch-trace.ts'
import { createCheckpointWriter } from './checkpoint-writer.ts'
import { createSourceFetch } from './fetch.ts'
import { createListings } from './listings.ts'
import { createMarketSubscriptions } from './market-subscriptions.ts'
import { joinShards } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import { createPastPublisher } from './past-publisher.ts'
import { createDynamicPublisher } from './publish-dynamic.ts'
import { createFixedPublisher } from './publish-fixed.ts'
import { createReentry } from './reentry.ts'
import { createRepair } from './repair.ts'
import { followSeams } from './seams.ts'
import { createStandingStreams } from './standing.ts'
import { LOOK_EVERY_MS } from './ticks.ts'

/** The services of the producer machine. */
export interface ProducerServices {
  fetchData(waitMs: number, signal: AbortSignal): Promise<FetchedBatch>
  publishFixed(data: FetchedBatch, signal: AbortSignal): Promise<PublishOutcome>
  publishDynamic(signal: AbortSignal): Promise<PublishOutcome>
  createTopic(topicName: string, signal: AbortSignal): Promise<TopicAnswer>
  /** Takes note of streams that are ready or ended, and acknowledges (R11). */
  applyNotification(notification: ProducerNotification): void
  /** Calls back with what the coordinator tells, once the registry of this process shows it. */
  onNotification(listener: (notification: ProducerNotification) => void): () => void
  /** Calls back with batches that are to be published besides: dead letters and trades of the past, marked as entering again. */
  onReentry(listener: (batch: FetchedBatch) => void): () => void
  /** Calls back when a source that had failed delivers again, so that nobody waits for the end of a back-off. */
  onSourceBack(listener: () => void): void
  /** Calls one listener when the group has said which shards it gives: a step that failed for want of them may go at once. */
  onShardsAssigned(listener: () => void): void
  /** How many dynamic topics are set aside because they alone cannot be written. */
  topicsAside(): number
  /** Has the machine publish what the source still holds; resolves when nothing is left, or the signal aborts. */
  drain(signal: AbortSignal): Promise<void>
  /** The source is to be asked for some markets more, and for others no more. */
  changeMarkets(added: readonly Market[], gone: readonly Market[]): void
  /** An exchange lists these markets at present, and no others. */
  heardListing(instruments: readonly Instrument[]): void
  /** The shards that it owns at present. */
  shards(): readonly number[]
  /** Writes a last checkpoint and gives the shards back. */
  close(signal: AbortSignal): Promise<void>
}

/** How long one publish may take before its outcome counts as unknown. */
const PUBLISH_TIMEOUT_MS = 15_000
/** How long one derivation may take, reading included; each of its publishes has a deadline of its own. */
const DERIVE_TIMEOUT_MS = 30_000

export async function createProducerServices(
  producer: ProducerParts,
  signal: AbortSignal,
): Promise<ProducerServices> {
  const { registry, bus, instance, log } = producer
  const inTurn = createSerializer()
  const ownership = await joinShards(producer, signal)
  const source = createSourceFetch(producer)
  const reentry = createReentry(producer, ownership)
  const past = createPastPublisher(producer)
  const repair = createRepair(producer, ownership, past)
  const backfills = answerBackfills(producer, ownership, past)
  const trace = createBatchTrace(producer)
  const fixed = createFixedPublisher(producer, ownership, trace, (gap) => repair.flagged(gap))
  const dynamic = createDynamicPublisher(producer, ownership, trace)
  const checkpoints = createCheckpointWriter(producer, ownership)
  const listings = createListings(producer, ownership, checkpoints)
  const standing = createStandingStreams(producer)
  const seams = followSeams(producer, ownership)
  const subscriptions = createMarketSubscriptions(producer.source, producer.markets, producer.partitions)
  let onAssigned = (): void => {}
  ownership.listen({
    taken(taken, mayHaveMissed) {
      const { k } = taken.shard
      if (mayHaveMissed) fixed.interrupt(taken, subscriptions.renew(k))
      else {
        fixed.reconcile(taken)
        subscriptions.follow(k)
      }
      if (mayHaveMissed) repair.taken(k)
      listings.taken(k)
    },
    lost: (shard) => checkpoints.writeLast(shard),
    left: (k) => {
      fixed.leave(k)
      subscriptions.leave(k)
      listings.leave(k)
    },
    assigned() {
      onAssigned()
      source.wake()
    },
  })
  /** Takes over what the group gave, then works under the deadline of a publish. */
  const ownShards = async <T>(
    stop: AbortSignal,
    timeoutMs: number,
    work: (deadline: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    await ownership.ensure(stop)
    return withDeadline(stop, timeoutMs, work)
  }
  /** Set while the producer drains: called when the source has nothing more. */
  let drained: (() => void) | undefined
  const unacknowledged = new WeakMap<ProducerNotification, string>()

  const acknowledge = (notificationId: string): void => {
    bus
      .send([{ v: CONTROL_VERSION, kind: 'ACKNOWLEDGE', instance, notificationId, role: 'producer' }])
      .catch((error: unknown) =>
        log.warn({ code: toTapelineError(error).code }, 'a notification was not acknowledged'),
      )
  }

  return {
    async fetchData(waitMs, stop) {
      const maySend = ownership.assigned && standing.stand()
      const most = ownership.routes.windowed.size > 0 ? LOOK_EVERY_MS : waitMs
      const batch = await source.next(drained ? 0 : Math.min(waitMs, most), maySend, stop)
      past.fetched(batch.items.length)
      if (drained === undefined || batch.items.length > 0) return batch
      drained()
      return untilAborted(new Promise<never>(() => {}), stop)
    },
    drain: (stop) =>
      new Promise((resolve) => {
        drained = resolve
        source.wake()
        onAbort(stop, resolve)
      }),
    publishFixed: (data, stop) =>
      inTurn(() =>
        ownShards(stop, PUBLISH_TIMEOUT_MS, async (deadline) => {
          const outcome = await fixed.publish(data, deadline)
          data.done?.()
          checkpoints.writeIfDue()
          return outcome
        }),
      ),
    publishDynamic: (stop) =>
      inTurn(() => ownShards(stop, DERIVE_TIMEOUT_MS, (deadline) => dynamic.publish(deadline))),
    createTopic: (topicName, stop) => standing.create(topicName, stop),
    applyNotification(notification) {
      ownership.routes.sync(ownership.shards.values())
      source.wake()
      const notificationId = unacknowledged.get(notification)
      if (notificationId !== undefined) acknowledge(notificationId)
    },
    onNotification(listener) {
      const stop = new AbortController()
      const off = bus.on('NOTIFY_PRODUCER', (record) => {
        const notification = { ready: record.ready, ended: record.ended }
        unacknowledged.set(notification, record.notificationId)
        withDeadline(stop.signal, PUBLISH_TIMEOUT_MS, (deadline) =>
          registry.reached(record.registryOffset, deadline),
        ).then(
          () => listener(notification),
          (error: unknown) =>
            log.warn(
              { code: toTapelineError(error, 'TIMEOUT').code },
              'a notification came before its registry',
            ),
        )
      })
      return () => {
        stop.abort()
        off()
      }
    },
    onSourceBack: (listener) => source.onBack(listener),
    onShardsAssigned: (listener) => {
      onAssigned = listener
    },
    topicsAside: () => ownership.routes.aside.size,
    changeMarkets: (added, gone) => subscriptions.change(added, gone),
    heardListing: (instruments) => listings.heard(instruments),
    shards: () => [...ownership.shards.keys()],
    onReentry(listener) {
      const take = (batch: FetchedBatch): void => {
        listener(batch)
        source.wake()
      }
      const offs = [reentry.listen(take), past.listen(take)]
      return () => {
        for (const off of offs) off()
      }
    },
    close: (stop) =>
      inTurn(async () => {
        seams.close()
        source.close()
        await Promise.all([repair.close(), backfills.close(), listings.close()])
        await reentry.close()
        await checkpoints.close(stop)
        await ownership.close()
      }),
  }
}
