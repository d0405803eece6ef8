import { withDeadline } from '../../async/deadline.ts'
import { deadlineAfter, pause } from '../../async/timers.ts'
import { logInterruption } from '../../control/interruption.ts'
import { copyMemory, emptyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import { isAbort, TapelineError, toTapelineError } from '../../errors.ts'
import type { Broker, PartitionFetch, Reader } from '../../ports/broker.ts'
import type { Log } from '../../ports/log.ts'
import type { StreamBatch } from '../../ports/pipeline.ts'
import { type Learned, learnMemories } from './learn-memory.ts'
import { toTopicBatches } from './topic-batches.ts'
import { createTopicOpening } from './topic-opening.ts'

const POLL = { maxRecords: 5_000, waitMs: 500 } as const
const RETRY_MS = 200
const CLOSE_MS = 2_000
/** How long the records in front of a place may take. */
const LEARN_MS = 5_000

/** Where the shared reader stands in a topic. */
export interface TopicFeed {
  readonly topic: string
  readonly topicId: string
  /** Batches that listeners get from now on begin here. */
  readonly nextOffset: number
  readonly memory: ReaderMemory
  /** Whether records in front of where it began could not be read: who has read them remembers more. */
  readonly isRotten: boolean
  /** How often the log has lost its end, where it went on the last time, and what a reader remembers there. */
  readonly rewinds: number
  readonly rewoundTo: number
  readonly rewoundMemory: ReaderMemory
  /** Whether the topic was made anew by others: nothing more is read. */
  readonly isReplaced: boolean
}

/** Who reads a topic. */
export interface TopicListener {
  take(batch: StreamBatch): void
  /** The topic is read from now on; called at once where it is read already. */
  begin(feed: TopicFeed): void
}

export interface TopicHub {
  /**
   * Reads a topic for a listener until the listener leaves; from the topic's end where nobody reads it yet. Waits for a topic that the broker
   * does not show.
   */
  follow(topic: string, topicId: string, listener: TopicListener): void
  /** Where the reader stands in a topic; undefined until the topic is open. */
  feed(topic: string): TopicFeed | undefined
  /** Resolves when the reader reads the topic. */
  opened(topic: string, signal: AbortSignal): Promise<TopicFeed>
  /** Resolves when each of the topics is read, is left, or has failed to open once more; gives the failures. */
  settled(topics: readonly string[], signal: AbortSignal): Promise<readonly TapelineError[]>
  /** Ends reading a topic for a listener; the last one closes it. */
  leave(topic: string, listener: TopicListener): void
  close(): Promise<void>
}

/** A topic that listeners want. */
export class FollowedTopic implements TopicFeed {
  readonly topic: string
  readonly topicId: string
  readonly listeners = new Set<TopicListener>()
  nextOffset = -1
  /** Whether the shared reader reads it: once known to listeners, its place never goes back to nothing. */
  isRead = false
  memory: ReaderMemory = emptyMemory()
  isRotten = false
  rewinds = 0
  rewoundTo = 0
  rewoundMemory: ReaderMemory = emptyMemory()
  isReplaced = false

  constructor(topic: string, topicId: string) {
    this.topic = topic
    this.topicId = topicId
  }

  /** Whether it is known where to read: records may arrive before the reader has answered. */
  get isPlaced(): boolean {
    return this.nextOffset >= 0
  }

  /** It is read from its end on. */
  begin(ends: ReadonlyMap<string, number>, learned: ReadonlyMap<string, Learned>): void {
    this.nextOffset = ends.get(this.topic) ?? 0
    const { memory = emptyMemory(), isRotten = false } = learned.get(this.topic) ?? {}
    this.memory = memory
    this.isRotten = isRotten
  }

  /** Tells all listeners that what they have not got is gone for good; reading goes on at `next`. */
  reset(next: number, reason: string): void {
    const { topic, topicId, nextOffset: from, memory } = this
    this.nextOffset = next
    this.#tell({ topic, topicId, from, next, after: copyMemory(memory), events: [], reset: reason })
  }

  /** The log has lost its end, and goes on at `next`: what lay there, and what a reader remembers of it, may come again. */
  rewind(next: number, { memory, isRotten }: Learned, reason: string): void {
    this.rewinds++
    this.rewoundTo = next
    this.rewoundMemory = copyMemory(memory)
    this.memory = memory
    this.isRotten = isRotten
    this.reset(next, reason)
  }

  take(fetch: PartitionFetch & { kind: 'records' }): void {
    for (const batch of toTopicBatches(fetch, this.nextOffset, this.memory)) {
      this.nextOffset = batch.next
      this.#tell(batch)
    }
  }

  #tell(batch: StreamBatch): void {
    for (const listener of this.listeners) listener.take(batch)
  }
}

/** The one reader of dynamic topics in a process, shared by the actors of all applications (R12). */
export async function openTopicHub(broker: Broker, log: Log): Promise<TopicHub> {
  const stop = new AbortController()
  const topics = new Map<string, FollowedTopic>()
  let reader: Reader = await broker.openReader(stop.signal)
  const opening = createTopicOpening({
    ...{ broker, log, stop: stop.signal },
    followed: (topic) => topics.get(topic),
    reader: () => reader,
  })

  const report = (what: string, topic?: string) => (error: unknown) => {
    if (!isAbort(error)) log.warn({ topic, code: toTapelineError(error).code }, what)
  }

  const interruption = logInterruption(log, {
    began: 'dynamic topics cannot be read, trying again',
    ended: 'dynamic topics are read again',
  })

  /** What a reader remembers in front of the place where a log goes on that has lost its end. */
  const learn = async (topic: string, end: number): Promise<Learned> => {
    const learned = await withDeadline(stop.signal, LEARN_MS, (deadline) =>
      learnMemories({ broker, log }, new Map([[topic, end]]), deadline),
    )
    return learned.get(topic) ?? { memory: emptyMemory(), isRotten: false }
  }

  const distribute = async (fetch: PartitionFetch): Promise<void> => {
    const followed = topics.get(fetch.topic)
    if (!followed?.isPlaced) return
    switch (fetch.kind) {
      case 'deleted':
        // The broker says so at present. Only the registry ends a stream.
        opening.add(followed)
        return
      case 'truncated': {
        const { topic, position, earliest } = fetch
        if (earliest >= position)
          followed.reset(earliest, `records up to ${earliest - 1} were removed before they were read`)
        else
          followed.rewind(
            earliest,
            await learn(topic, earliest),
            `the log lost its records from ${earliest} on`,
          )
        return
      }
      case 'undecodable':
        followed.reset(fetch.nextOffset, `records up to ${fetch.nextOffset - 1} cannot be read`)
        return
      case 'records':
        followed.take(fetch)
    }
  }

  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        for (const fetch of await reader.poll(POLL, stop.signal)) await distribute(fetch)
        interruption.end()
      } catch (error) {
        if (stop.signal.aborted) return
        interruption.begin(error)
        await pause(RETRY_MS, stop.signal)
        await reopen().catch(interruption.begin)
      }
    }
  }

  /** After a poll that failed nobody knows where the reader stands: a new one is given all topics again. */
  const reopen = async (): Promise<void> => {
    await reader.close(deadlineAfter(CLOSE_MS)).catch(report('a reader did not close'))
    reader = await broker.openReader(stop.signal)
    for (const followed of topics.values()) opening.add(followed)
  }
  const running = run()

  const feed = (topic: string): FollowedTopic | undefined => {
    const followed = topics.get(topic)
    return followed?.isRead ? followed : undefined
  }

  return {
    follow(topic, topicId, listener) {
      const followed = topics.get(topic) ?? new FollowedTopic(topic, topicId)
      topics.set(topic, followed)
      followed.listeners.add(listener)
      if (followed.isRead) listener.begin(followed)
      else opening.add(followed)
    },
    feed,
    async opened(topic, signal) {
      while (true) {
        const known = feed(topic)
        if (known !== undefined) return known
        if (!topics.has(topic)) throw new TapelineError('TOPIC_UNKNOWN', `nobody reads ${topic} any more`)
        await opening.outcome(topic, signal)
      }
    },
    async settled(names, signal) {
      const wanted = names.filter((topic) => topics.has(topic) && feed(topic) === undefined)
      const failures = await Promise.all(wanted.map((topic) => opening.outcome(topic, signal)))
      return failures.filter((failure) => failure !== undefined)
    },
    leave(topic, listener) {
      const followed = topics.get(topic)
      if (!followed?.listeners.delete(listener) || followed.listeners.size > 0) return
      topics.delete(topic)
      opening.remove(followed)
      reader
        .unassign([{ topic, partition: 0 }], stop.signal)
        .catch(report('a topic could not be left', topic))
    },
    async close() {
      stop.abort()
      await Promise.all([running, opening.close()])
      await reader.close(deadlineAfter(CLOSE_MS))
    },
  }
}
