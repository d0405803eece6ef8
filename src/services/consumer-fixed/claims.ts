import { NEVER, withAbort } from '../../async/abort.ts'
import { withDeadline } from '../../async/deadline.ts'
import { createSerializer } from '../../async/serialize.ts'
import { findTopic } from '../../control/topics.ts'
import { partitionKey } from '../../domain/record.ts'
import { toTapelineError } from '../../errors.ts'
import type { PollOptions, TopicPartition } from '../../ports/broker.ts'
import type { FixedFetch } from '../../ports/pipeline.ts'
import type { Claim, ClaimTarget } from '../../ports/store.ts'
import { type Claiming, Holding } from '../holding/holding.ts'
import { findLostEnds } from './lost-end.ts'
import type { ConsumerFixedParts } from './parts.ts'
import { createReading } from './reading.ts'

/** The offsets of the group are for the usual tools only: they may be late, and nobody waits for them. */
const COMMIT_EVERY_MS = 1_000
const COMMIT_TIMEOUT_MS = 2_000
/** How long the database may take to answer a claim. */
const CLAIM_TIMEOUT_MS = 15_000

/** The partitions that this process stores, each under a claim in the database, and the reader over them (R8). */
export interface Claims {
  /** How many partitions are held. */
  readonly size: number
  /** Claims what the group gives and this process does not hold; a poll under way ends with what it has. */
  ensure(signal: AbortSignal): Promise<void>
  /** What lies after the positions of the reader. A partition begins at the database's offset when it is claimed. */
  poll(options: PollOptions, signal: AbortSignal): Promise<readonly FixedFetch[]>
  get(topic: string, partition: number): Claim | undefined
  /** Takes note of claims that a write has advanced. */
  advance(claims: readonly Claim[]): void
  /** Nobody knows what the database holds of these, or it is not what the batch follows: they are claimed and read anew. */
  doubt(partitions: readonly TopicPartition[]): void
  /** Other processes store these now. */
  yieldTo(partitions: readonly TopicPartition[]): void
  /** How many records of the held partitions the database does not have yet. */
  countUnstored(signal: AbortSignal): Promise<number>
  close(signal: AbortSignal): Promise<void>
}

export async function joinFixedTopics(consumer: ConsumerFixedParts, signal: AbortSignal): Promise<Claims> {
  const { broker, names, store, nowMicros, log, meter } = consumer
  const nowMs = (): number => nowMicros() / 1_000
  const lose = (topic: string): void => {
    const detail = `the fixed topic ${topic} is gone: it is waited for, and what was not stored of it is lost`
    log.error({ topic, code: 'TOPIC_UNKNOWN' }, detail)
    consumer.raiseAlert(`gone:${topic}`, 'TOPIC_UNKNOWN', detail)
    // They are claimed again once a topic has this name, under the identity of that topic.
    for (const [key, claim] of holding.held) if (claim.topic === topic) holding.doubt(key)
  }
  const reading = createReading(consumer, lose)
  const inTurn = createSerializer()
  /** Ends the poll under way, so that the next one reads what was just claimed. */
  let polling: AbortController | undefined
  let isCommitDue = false
  let committedAt = 0
  let committing: Promise<void> | undefined

  const holding = new Holding<string, Claim>({
    ...{ broker, group: names.groups.consumersFixed, topics: Object.values(consumer.topics), now: nowMs },
    keyOf: partitionKey,
    remember: () => undefined,
    release: (claim) => reading.stop(claim),
    left({ topic, partition }, next) {
      if (next === 'unowned') meter.gauge('consumer_lag_records', 0, { topic, partition: String(partition) })
    },
    assigned: () => polling?.abort(),
  })
  await holding.join(signal)

  const claimInStore = async ({
    partitions,
    signal: stop,
    succeed,
  }: Claiming<string, Claim>): Promise<void> => {
    const targets: ClaimTarget[] = []
    for (const [topic, ofTopic] of Map.groupBy(partitions, (each) => each.topic)) {
      const known = await findTopic(broker, topic, stop)
      if (known) targets.push(...ofTopic.map(({ partition }) => ({ topic, topicId: known.id, partition })))
    }
    if (targets.length === 0) return
    const claimed = await withDeadline(stop, CLAIM_TIMEOUT_MS, (deadline) => store.claim(targets, deadline))
    const lost = await withDeadline(stop, CLAIM_TIMEOUT_MS, (deadline) =>
      findLostEnds(broker, claimed, deadline),
    )
    const held = claimed.filter((claim) => succeed(partitionKey(claim), claim))
    for (const claim of held) reading.start(claim, lost.get(partitionKey(claim)))
    log.info({ partitions: held.length }, 'partitions claimed in the database')
  }

  const commit = async (stop: AbortSignal): Promise<void> => {
    isCommitDue = false
    committedAt = nowMs()
    const positions = [...holding.held.values()].map(({ topic, partition, nextOffset }) => ({
      topic,
      partition,
      offset: nextOffset,
    }))
    try {
      await withDeadline(stop, COMMIT_TIMEOUT_MS, (deadline) => holding.commit(positions, deadline))
    } catch (error) {
      log.debug({ code: toTapelineError(error).code }, 'the group offsets were not written')
    }
  }

  const commitIfDue = (): void => {
    if (!isCommitDue || committing !== undefined || nowMs() - committedAt < COMMIT_EVERY_MS) return
    committing = commit(NEVER).finally(() => {
      committing = undefined
    })
  }

  return {
    get size() {
      return holding.held.size
    },
    ensure(stop) {
      if (holding.due.length === 0) return Promise.resolve()
      polling?.abort()
      return consumer.duringBroker(stop, (either) => inTurn(() => holding.claim(either, claimInStore)))
    },
    poll: (options, stop) =>
      inTurn(async () => {
        stop.throwIfAborted()
        commitIfDue()
        await holding.claim(stop, claimInStore)
        return withAbort(stop, async (ending) => {
          polling = ending
          try {
            return await reading.poll(options, ending.signal)
          } catch (error) {
            if (stop.aborted || !ending.signal.aborted) throw error
            return []
          } finally {
            polling = undefined
          }
        })
      }),
    get: (topic, partition) => holding.held.get(partitionKey({ topic, partition })),
    advance(advanced) {
      isCommitDue = true
      for (const claim of advanced) {
        const key = partitionKey(claim)
        // A newer claim has another fence, and knows better.
        if (holding.held.get(key)?.fence === claim.fence) holding.advance(key, claim)
      }
      commitIfDue()
    },
    doubt(partitions) {
      for (const each of partitions) holding.doubt(partitionKey(each))
    },
    yieldTo(partitions) {
      for (const { topic, partition } of partitions) {
        log.warn({ topic, partition, code: 'FENCED' }, 'another process stores the partition now')
        holding.yield(partitionKey({ topic, partition }))
      }
    },
    async countUnstored(stop) {
      let count = 0
      for (const [topic, ofTopic] of Map.groupBy(holding.held.values(), (claim) => claim.topic)) {
        const known = await findTopic(broker, topic, stop)
        for (const { partition, nextOffset } of ofTopic)
          count += Math.max(0, (known?.offsets[partition]?.end ?? 0) - nextOffset)
      }
      return count
    },
    async close(stop) {
      await committing
      if (isCommitDue) await commit(stop)
      polling?.abort()
      await inTurn(() => reading.close())
      await holding.leave()
    },
  }
}
