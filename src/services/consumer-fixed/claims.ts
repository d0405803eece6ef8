import { delay } from '../../async/timers.ts'
import { withDeadline } from '../../control/deadline.ts'
import { findTopic } from '../../control/topics.ts'
import { toTapelineError } from '../../errors.ts'
import type { GroupMember, PollOptions, Reader } from '../../ports/broker.ts'
import type { FixedFetch } from '../../ports/pipeline.ts'
import type { Claim, ClaimTarget } from '../../ports/store.ts'
import { type AssignedPartition, Assignment, partitionKey } from '../assignment.ts'
import { createSerializer } from '../serialize.ts'
import type { ConsumerFixedParts } from './parts.ts'

/** The offsets of the group are for the usual tools only: they may be late, and hold nobody up. */
const COMMIT_EVERY_MS = 1_000
const COMMIT_TIMEOUT_MS = 2_000
/** How long the database may take to answer a claim. */
const CLAIM_TIMEOUT_MS = 15_000
const CLOSE_MS = 2_000

/** The partitions that this process stores, each under a claim in the database, and the reader over them (R8). */
export interface Claims {
  /** How many partitions are held. */
  readonly size: number
  /** Claims what the group gave and is not held; a poll under way ends with what it has. */
  ensure(signal: AbortSignal): Promise<void>
  /** What lies behind the positions of the reader; where a partition was claimed it begins at the database's offset. */
  poll(options: PollOptions, signal: AbortSignal): Promise<readonly FixedFetch[]>
  get(topic: string, partition: number): Claim | undefined
  /** Takes note of claims that a write has advanced. */
  advance(claims: readonly Claim[]): void
  /** What the database holds of these is unknown, or is not what follows in the batch: they are claimed and read anew. */
  doubt(partitions: readonly AssignedPartition[]): void
  /** Other processes store these now. */
  yieldTo(partitions: readonly AssignedPartition[]): void
  /** How many records of the held partitions are not stored yet. */
  countUnstored(signal: AbortSignal): Promise<number>
  close(signal: AbortSignal): Promise<void>
}

export async function joinFixedTopics(parts: ConsumerFixedParts, signal: AbortSignal): Promise<Claims> {
  const { broker, names, store, nowMicros, log, meter } = parts
  const nowMs = (): number => nowMicros() / 1_000
  const assignment = new Assignment(nowMs)
  const claims = new Map<string, Claim>()
  /** In which generation of the assignment each was claimed. */
  const claimedIn = new Map<string, number>()
  /** Its partitions are claimed again once there is a topic of this name, under the identity that it has then. */
  const lose = (topic: string): void => {
    const detail = `the fixed topic ${topic} is gone: it is waited for, and what was not stored of it is lost`
    log.error({ topic, code: 'TOPIC_UNKNOWN' }, detail)
    parts.raiseAlert(`gone:${topic}`, 'TOPIC_UNKNOWN', detail)
    for (const claim of [...claims.values()]) if (claim.topic === topic) release(claim)
  }
  const reading = createReading(parts, lose)
  const inTurn = createSerializer()
  /** Ends the poll under way, so that what was just claimed is read. */
  let polling: AbortController | undefined
  let isCommitDue = false
  let committedAt = 0
  let committing: Promise<void> | undefined

  const release = ({ topic, partition }: AssignedPartition): void => {
    claims.delete(partitionKey(topic, partition))
    reading.stop({ topic, partition })
  }

  const member: GroupMember = await broker.joinGroup(
    {
      group: names.groups.consumersFixed,
      topics: Object.values(parts.topics),
      onAssignment: async (partitions) => {
        for (const lost of assignment.set(partitions)) {
          release(lost)
          meter.gauge('consumer_lag_records', 0, {
            topic: lost.topic,
            partition: String(lost.partition),
          })
        }
        polling?.abort()
      },
    },
    signal,
  )

  const missing = (): readonly AssignedPartition[] =>
    assignment.list().filter(({ topic, partition }) => !claims.has(partitionKey(topic, partition)))

  const claimMissing = async (stop: AbortSignal): Promise<void> => {
    const wanted = missing()
    if (wanted.length === 0) return
    const { generation } = assignment
    const targets: ClaimTarget[] = []
    for (const [topic, ofTopic] of Map.groupBy(wanted, (each) => each.topic)) {
      const known = await findTopic(broker, topic, stop)
      if (known) targets.push(...ofTopic.map(({ partition }) => ({ topic, topicId: known.id, partition })))
    }
    if (targets.length === 0) return
    const taken = await withDeadline(stop, CLAIM_TIMEOUT_MS, (deadline) => store.claim(targets, deadline))
    // The group may have moved on in the meantime.
    const held = taken.filter(({ topic, partition }) => assignment.has(topic, partition))
    for (const claim of held) {
      const key = partitionKey(claim.topic, claim.partition)
      claims.set(key, claim)
      claimedIn.set(key, generation)
      reading.start(claim)
    }
    log.info({ partitions: held.length }, 'partitions claimed in the database')
  }

  const commit = async (stop: AbortSignal): Promise<void> => {
    isCommitDue = false
    committedAt = nowMs()
    const positions = [...claims.values()].map(({ topic, partition, nextOffset }) => ({
      topic,
      partition,
      offset: nextOffset,
    }))
    try {
      await withDeadline(stop, COMMIT_TIMEOUT_MS, (deadline) => member.commit(positions, deadline))
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
      return claims.size
    },
    ensure(stop) {
      if (missing().length === 0) return Promise.resolve()
      polling?.abort()
      return parts.duringBroker(stop, (either) => inTurn(() => claimMissing(either)))
    },
    poll: (options, stop) =>
      inTurn(async () => {
        stop.throwIfAborted()
        commitIfDue()
        await claimMissing(stop)
        const ending = new AbortController()
        const onAbort = (): void => ending.abort(stop.reason)
        stop.addEventListener('abort', onAbort, { once: true })
        polling = ending
        try {
          return await reading.poll(options, ending.signal)
        } catch (error) {
          if (stop.aborted || !ending.signal.aborted) throw error
          return []
        } finally {
          polling = undefined
          stop.removeEventListener('abort', onAbort)
        }
      }),
    get: (topic, partition) => claims.get(partitionKey(topic, partition)),
    advance(advanced) {
      isCommitDue = true
      for (const claim of advanced) {
        const key = partitionKey(claim.topic, claim.partition)
        // One that was claimed anew since has another fence, and knows better.
        if (claims.get(key)?.fence === claim.fence) claims.set(key, claim)
      }
      commitIfDue()
    },
    doubt(partitions) {
      for (const each of partitions) release(each)
    },
    yieldTo(partitions) {
      for (const each of partitions) {
        const { topic, partition } = each
        log.warn({ topic, partition, code: 'FENCED' }, 'another process stores the partition now')
        assignment.yield(each, claimedIn.get(partitionKey(topic, partition)) ?? -1)
        release(each)
      }
    },
    async countUnstored(stop) {
      let count = 0
      for (const [topic, ofTopic] of Map.groupBy(claims.values(), (claim) => claim.topic)) {
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
      await member.leave()
    },
  }
}

const NEVER = new AbortController().signal

/** The reader of the claimed partitions, and where it stands in each. */
interface Reading {
  /** Reads a partition from its claim on. */
  start(claim: Claim): void
  stop(partition: AssignedPartition): void
  poll(options: PollOptions, signal: AbortSignal): Promise<readonly FixedFetch[]>
  close(): Promise<void>
}

function createReading({ broker, log, meter }: ConsumerFixedParts, lose: (topic: string) => void): Reading {
  let reader: Reader | undefined
  const positions = new Map<string, { readonly topic: string; readonly partition: number; offset: number }>()
  /** Partitions in which the reader stands elsewhere than it should. */
  const moved = new Set<string>()
  let dropped: AssignedPartition[] = []

  /** Puts the reader where it should be. */
  const settle = async (signal: AbortSignal): Promise<Reader> => {
    reader ??= await broker.openReader(signal)
    const gone = dropped
    dropped = []
    if (gone.length > 0) await reader.unassign(gone, signal)
    const targets = [...moved].flatMap((key) => positions.get(key) ?? [])
    for (const [topic, own] of Map.groupBy(targets, (target) => target.topic)) {
      try {
        await reader.assign(
          own.map((target) => ({ ...target })),
          signal,
        )
      } catch (error) {
        // One that is gone holds up no other.
        if (toTapelineError(error).code !== 'TOPIC_UNKNOWN') throw error
        lose(topic)
      }
    }
    moved.clear()
    return reader
  }

  /** After a poll that failed nobody knows where the reader stands: a new one begins where the last good poll ended. */
  const discard = async (): Promise<void> => {
    const former = reader
    reader = undefined
    dropped = []
    for (const key of positions.keys()) moved.add(key)
    await former?.close(AbortSignal.timeout(CLOSE_MS)).catch((error: unknown) => {
      log.debug({ code: toTapelineError(error).code }, 'a reader did not close')
    })
  }

  return {
    start({ topic, partition, nextOffset }) {
      const key = partitionKey(topic, partition)
      positions.set(key, { topic, partition, offset: nextOffset })
      moved.add(key)
      dropped = dropped.filter((each) => partitionKey(each.topic, each.partition) !== key)
    },
    stop(partition) {
      const key = partitionKey(partition.topic, partition.partition)
      if (positions.delete(key)) dropped.push(partition)
      moved.delete(key)
    },
    async poll(options, signal) {
      const result: FixedFetch[] = []
      if (positions.size === 0) {
        await delay(options.waitMs, signal)
        return result
      }
      try {
        const before = new Map(positions)
        const current = await settle(signal)
        for (const fetch of await current.poll(options, signal)) {
          if (fetch.kind === 'deleted') {
            lose(fetch.topic)
            continue
          }
          const key = partitionKey(fetch.topic, fetch.partition)
          const position = positions.get(key)
          // Given up during the poll, or claimed anew: what was read belongs to the former position.
          if (position === undefined || before.get(key) !== position) continue
          result.push({ ...fetch, from: position.offset })
          position.offset = fetch.kind === 'truncated' ? fetch.earliest : fetch.nextOffset
          if (fetch.kind === 'truncated') continue
          const labels = { topic: fetch.topic, partition: String(fetch.partition) }
          meter.gauge('consumer_lag_records', fetch.endOffset - fetch.nextOffset, labels)
        }
      } catch (error) {
        await discard()
        throw error
      }
      return result
    },
    async close() {
      await reader?.close(AbortSignal.timeout(CLOSE_MS))
    },
  }
}
