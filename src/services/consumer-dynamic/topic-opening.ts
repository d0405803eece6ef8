import { onAbort } from '../../async/abort.ts'
import { doubled } from '../../async/back-off.ts'
import { withDeadline } from '../../async/deadline.ts'
import { delay } from '../../async/timers.ts'
import { presenceError, presenceOf } from '../../control/topic-presence.ts'
import { type TapelineError, toTapelineError } from '../../errors.ts'
import type { Broker, Reader, TopicDescription } from '../../ports/broker.ts'
import type { Log } from '../../ports/log.ts'
import { learnMemories } from './learn-memory.ts'
import { rewindOthers } from './other-log.ts'
import type { FollowedTopic } from './topic-hub.ts'

/** How many topics are opened together: one look, one reader. After a failure each goes with so many times fewer. */
const MOST_TOGETHER = 100
const FEWER = 10
/** How many such openings are under way at once. */
const MOST_UNDER_WAY = 8
/**
 * How long an opening may take: of many together, of which one may hold up the others; and of a single topic, where each failure doubles it. It begins
 * from scratch each time, so that a slow broker would never get it done within the same time.
 */
const OPEN_TOGETHER_MS = 2_000
const FIRST_OPEN_MS = 5_000
const LONGEST_OPEN_MS = 40_000
const SHORTEST_REST_MS = 200
const LONGEST_REST_MS = 5_000

interface OpeningParts {
  readonly broker: Broker
  readonly log: Log
  readonly stop: AbortSignal
  /** A topic that somebody wants. */
  readonly followed: (topic: string) => FollowedTopic | undefined
  /** The shared reader at present. */
  readonly reader: () => Reader
}

/** Opens topics for the shared reader, and tries until it can: together at first, after a failure with fewer, at last each by itself. */
interface TopicOpening {
  /** Has a topic opened, or opened again where the reader lost it. */
  add(followed: FollowedTopic): void
  remove(followed: FollowedTopic): void
  /** The failure of the attempt under way or of the next one; undefined where the topic is read by then, or nobody wants it. */
  outcome(topic: string, signal: AbortSignal): Promise<TapelineError | undefined>
  close(): Promise<void>
}

/** A topic that waits to be opened. */
interface Waiting {
  readonly followed: FollowedTopic
  /** With how many it goes, itself among them. */
  most: number
  failures: number
  retryAt: number
  isUnderWay: boolean
  /** Somebody asked for it once more during an attempt: the outcome of the attempt may not hold any more. */
  isAgain: boolean
  readonly listeners: Set<(failure: TapelineError | undefined) => void>
}

export function createTopicOpening({
  broker,
  log,
  stop,
  followed: followedNow,
  reader,
}: OpeningParts): TopicOpening {
  const waiting = new Map<string, Waiting>()
  const underWay = new Set<Promise<void>>()
  let timer: AbortController | undefined
  let isAdvanceDue = false

  const settle = (each: Waiting, failure: TapelineError | undefined): void => {
    for (const listener of each.listeners) listener(failure)
    each.listeners.clear()
  }

  const succeed = (each: Waiting): void => {
    const { followed, failures } = each
    each.isUnderWay = false
    if (each.isAgain) {
      each.isAgain = false
      return
    }
    // A topic that was left and wanted again meanwhile waits for an opening of its own.
    if (waiting.get(followed.topic) === each) waiting.delete(followed.topic)
    if (failures > 0) log.info({ topic: followed.topic }, 'a dynamic topic is read again')
    settle(each, undefined)
  }

  /** Of many one may be the fault, or all were too many for the time: the next try is with fewer, and at once. */
  const failTogether = (batch: readonly Waiting[], thrown: unknown): void => {
    const failure = toTapelineError(thrown, 'BROKER_UNAVAILABLE')
    const { code, message: reason } = failure
    log.warn({ topics: batch.length, code, reason }, 'dynamic topics cannot be read together yet')
    for (const each of batch) {
      each.most = Math.max(1, Math.floor(batch.length / FEWER))
      each.isUnderWay = false
      each.isAgain = false
      settle(each, failure)
    }
  }

  const fail = (each: Waiting, thrown: unknown): void => {
    each.most = 1
    const failure = toTapelineError(thrown, 'BROKER_UNAVAILABLE')
    const { topic } = each.followed
    each.isUnderWay = false
    each.isAgain = false
    each.retryAt = performance.now() + doubled(SHORTEST_REST_MS, LONGEST_REST_MS, each.failures)
    if (each.failures++ === 0)
      log.warn({ topic, code: failure.code, reason: failure.message }, 'a dynamic topic cannot be read yet')
    settle(each, failure)
  }

  /** Reads on where the reader was, or from the end where the topic was not read yet. */
  const place = async (
    ready: readonly { readonly each: Waiting; readonly description: TopicDescription }[],
    signal: AbortSignal,
  ): Promise<void> => {
    const fresh = ready.filter(({ each }) => !each.followed.isRead)
    const ends = new Map(fresh.map(({ description: { name, offsets } }) => [name, offsets[0]?.end ?? 0]))
    const learned = await learnMemories({ broker, log }, ends, signal)
    const again = ready.filter(({ each }) => each.followed.isRead)
    await rewindOthers(
      { broker, log },
      again.map(({ each: { followed }, description }) => ({ followed, description })),
      signal,
    )
    // Records may arrive before the assignment is answered.
    for (const { each } of fresh) each.followed.begin(ends, learned)
    const current = reader()
    try {
      await current.assign(
        ready.map(({ each: { followed } }) => ({
          ...{ topic: followed.topic, partition: 0, offset: followed.nextOffset },
        })),
        signal,
      )
    } catch (error) {
      for (const { each } of fresh) each.followed.nextOffset = -1
      throw error
    }
    for (const { each } of fresh) {
      each.followed.isRead = true
      for (const listener of each.followed.listeners) listener.begin(each.followed)
    }
    for (const { each } of ready) {
      each.followed.isReplaced = false
      // A reader that was opened meanwhile has been given nothing of this.
      each.isAgain ||= current !== reader()
      succeed(each)
    }
    const left = ready.map(({ each }) => each.followed).filter((each) => followedNow(each.topic) !== each)
    if (left.length > 0)
      await current.unassign(
        left.map(({ topic }) => ({ topic, partition: 0 })),
        signal,
      )
    for (const { topic } of left) {
      // Wanted again, and perhaps assigned before it was left.
      const again = followedNow(topic)
      if (again !== undefined) add(again)
    }
  }

  const open = async (batch: readonly Waiting[], signal: AbortSignal): Promise<void> => {
    const described = new Map(
      (
        await broker.describeTopics(
          batch.map(({ followed }) => followed.topic),
          signal,
        )
      ).map((description) => [description.name, description]),
    )
    const ready: { each: Waiting; description: TopicDescription }[] = []
    for (const each of batch) {
      const { followed } = each
      const description = described.get(followed.topic)
      const presence = presenceOf({ topicId: followed.topicId, isOver: false }, description?.id)
      if (description !== undefined && presence === 'there') {
        ready.push({ each, description })
        continue
      }
      if (presence === 'replaced' && followed.isRead && !followed.isReplaced) {
        followed.isReplaced = true
        followed.reset(followed.nextOffset, 'the topic was deleted and made anew by somebody else')
      }
      fail(each, presenceError(followed.topic, presence))
    }
    if (ready.length > 0) await place(ready, signal)
  }

  const openTogether = async (batch: readonly Waiting[]): Promise<void> => {
    const [{ failures = 0 } = {}] = batch
    const timeoutMs = batch.length > 1 ? OPEN_TOGETHER_MS : doubled(FIRST_OPEN_MS, LONGEST_OPEN_MS, failures)
    try {
      await withDeadline(stop, timeoutMs, (deadline) => open(batch, deadline))
    } catch (error) {
      const failed = batch.filter(({ isUnderWay }) => isUnderWay)
      if (batch.length > 1) failTogether(failed, error)
      else for (const each of failed) fail(each, error)
    }
  }

  /** The next topics to open: as many together as have not failed so. */
  const next = (): Waiting[] => {
    const batch: Waiting[] = []
    for (const each of waiting.values()) {
      if (each.isUnderWay || each.retryAt > performance.now()) continue
      if (each.most !== (batch[0]?.most ?? each.most)) continue
      if (batch.push(each) >= each.most) break
    }
    return batch
  }

  const advance = (): void => {
    timer?.abort()
    while (!stop.aborted && underWay.size < MOST_UNDER_WAY) {
      const batch = next()
      if (batch.length === 0) break
      for (const each of batch) each.isUnderWay = true
      const work: Promise<void> = openTogether(batch).finally(() => {
        underWay.delete(work)
        advance()
      })
      underWay.add(work)
    }
    rest()
  }

  /** Goes on when the first of those that rest has rested. */
  const rest = (): void => {
    if (stop.aborted || underWay.size >= MOST_UNDER_WAY) return
    const due = [...waiting.values()].filter(({ isUnderWay }) => !isUnderWay).map(({ retryAt }) => retryAt)
    if (due.length === 0) return
    timer = new AbortController()
    const ms = Math.max(
      1,
      Math.min(LONGEST_REST_MS, due.reduce((a, b) => Math.min(a, b)) - performance.now()),
    )
    delay(ms, AbortSignal.any([timer.signal, stop])).then(advance, () => undefined)
  }

  const add = (followed: FollowedTopic): void => {
    const known = waiting.get(followed.topic)
    if (known?.followed === followed) {
      known.isAgain = known.isUnderWay
      return
    }
    const state = {
      most: MOST_TOGETHER,
      failures: 0,
      retryAt: 0,
      isUnderWay: false,
      isAgain: false,
      listeners: new Set<never>(),
    }
    waiting.set(followed.topic, { followed, ...state })
    if (isAdvanceDue || underWay.size >= MOST_UNDER_WAY) return
    isAdvanceDue = true
    // What is asked for in one go is opened together.
    queueMicrotask(() => {
      isAdvanceDue = false
      advance()
    })
  }

  return {
    add,
    remove(followed) {
      const each = waiting.get(followed.topic)
      if (each?.followed !== followed) return
      waiting.delete(followed.topic)
      settle(each, undefined)
    },
    outcome(topic, signal) {
      const each = waiting.get(topic)
      if (each === undefined)
        return signal.aborted ? Promise.reject(signal.reason) : Promise.resolve(undefined)
      return new Promise((resolve, reject) => {
        const listener = (failure: TapelineError | undefined): void => {
          off()
          resolve(failure)
        }
        each.listeners.add(listener)
        const off = onAbort(signal, () => {
          each.listeners.delete(listener)
          reject(signal.reason)
        })
      })
    },
    async close() {
      await Promise.all(underWay)
    },
  }
}
