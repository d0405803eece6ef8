import { delay } from '../../async/timers.ts'
import { withDeadline } from '../../control/deadline.ts'
import type { PlatformNames } from '../../control/names.ts'
import { findTopic } from '../../control/topics.ts'
import { copyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import { isAbort, TapelineError, toTapelineError } from '../../errors.ts'
import type { Broker, PartitionFetch, Reader, TopicDescription } from '../../ports/broker.ts'
import type { Log } from '../../ports/log.ts'
import type { StreamBatch } from '../../ports/pipeline.ts'
import { learnMemory } from './learn-memory.ts'
import { toTopicBatches } from './topic-batches.ts'

const POLL = { maxRecords: 5_000, waitMs: 500 } as const
const RETRY_MS = 200
const CLOSE_MS = 2_000
/** How long opening a topic may take before it is tried again. */
const OPEN_MS = 15_000
const UNKNOWN_WAIT_MS = 2_000

/** Where the shared reader stands in a topic. */
export interface TopicFeed {
  readonly topic: string
  readonly topicId: string
  /** Batches that listeners get from now on begin here. */
  readonly nextOffset: number
  readonly memory: ReaderMemory
}

export interface TopicHub {
  /** Reads a topic for a listener, from its end where nobody reads it yet. Raises TOPIC_UNKNOWN. */
  open(topic: string, listener: (batch: StreamBatch) => void, signal: AbortSignal): Promise<TopicFeed>
  /** Where a topic is read at present; undefined where it is not. */
  feed(topic: string): TopicFeed | undefined
  /** Ends reading a topic for a listener; the last one closes it. */
  leave(topic: string, listener: (batch: StreamBatch) => void): void
  close(): Promise<void>
}

interface OpenTopic {
  topic: string
  topicId: string
  nextOffset: number
  memory: ReaderMemory
  readonly listeners: Set<(batch: StreamBatch) => void>
}

/** The one reader of dynamic topics in a process, shared by the actors of all applications (R12). */
export async function openTopicHub(broker: Broker, names: PlatformNames, log: Log): Promise<TopicHub> {
  const stop = new AbortController()
  const topics = new Map<string, OpenTopic>()
  const opening = new Map<string, Promise<OpenTopic>>()
  let reader: Reader = await broker.openReader(stop.signal)

  const report = (what: string, topic?: string) => (error: unknown) => {
    if (!isAbort(error)) log.warn({ topic, code: toTapelineError(error).code }, what)
  }

  const begin = async (topic: string, signal: AbortSignal): Promise<OpenTopic> => {
    const description = await awaitTopic(broker, topic, signal)
    const end = description.offsets[0]?.end ?? 0
    const memory = await learnMemory(broker, topic, end, signal)
    const open = { topic, topicId: description.id, nextOffset: end, memory, listeners: new Set<never>() }
    topics.set(topic, open)
    try {
      await reader.assign([{ topic, partition: 0, offset: end }], signal)
    } catch (error) {
      topics.delete(topic)
      throw error
    }
    return open
  }

  const beginInTime = (topic: string, signal: AbortSignal): Promise<OpenTopic> =>
    withDeadline(signal, OPEN_MS, (deadline) => begin(topic, deadline))

  /** Goes on behind a hole, of which all listeners hear. */
  const resume = (open: OpenTopic, next: number, reset: string): void => {
    const { topic, topicId, listeners, memory, nextOffset: from } = open
    open.nextOffset = next
    const batch = { topic, topicId, from, next, after: copyMemory(memory), events: [], reset }
    for (const listener of listeners) listener(batch)
  }

  const distribute = (fetch: PartitionFetch): void => {
    const open = topics.get(fetch.topic)
    if (!open) return
    switch (fetch.kind) {
      case 'deleted':
        topics.delete(fetch.topic)
        return
      case 'truncated':
        resume(open, fetch.earliest, `records up to ${fetch.earliest - 1} were removed before they were read`)
        return
      case 'undecodable':
        resume(open, fetch.nextOffset, `records up to ${fetch.nextOffset - 1} cannot be read`)
        return
      case 'records':
        for (const batch of toTopicBatches(fetch, open.nextOffset, open.memory)) {
          open.nextOffset = batch.next
          for (const listener of open.listeners) listener(batch)
        }
    }
  }

  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        for (const fetch of await reader.poll(POLL, stop.signal)) distribute(fetch)
      } catch (error) {
        if (stop.signal.aborted) return
        report('dynamic topics cannot be read, trying again')(error)
        await reopenUntilDone()
      }
    }
  }

  /** A reader that could not be given all its topics would leave some unread, and nobody would notice. */
  const reopenUntilDone = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        await delay(RETRY_MS, stop.signal)
        await reopen()
        log.info({ topics: topics.size }, 'dynamic topics are read again')
        return
      } catch (error) {
        log.debug({ code: toTapelineError(error).code }, 'dynamic topics cannot be opened again yet')
      }
    }
  }

  const reopen = async (): Promise<void> => {
    await reader.close(AbortSignal.timeout(CLOSE_MS)).catch(report('a reader did not close'))
    reader = await broker.openReader(stop.signal)
    const alive = new Set((await broker.listTopics(names.dynamic, stop.signal)).map(({ name }) => name))
    for (const topic of topics.keys()) if (!alive.has(topic)) topics.delete(topic)
    await reader.assign(
      [...topics.values()].map(({ topic, nextOffset }) => ({ topic, partition: 0, offset: nextOffset })),
      stop.signal,
    )
  }
  const running = run()

  return {
    async open(topic, listener, signal) {
      let open = topics.get(topic)
      if (open === undefined || opening.has(topic)) {
        const pending = opening.get(topic) ?? beginInTime(topic, signal).finally(() => opening.delete(topic))
        opening.set(topic, pending)
        open = await pending
      }
      open.listeners.add(listener)
      return open
    },
    feed: (topic) => (opening.has(topic) ? undefined : topics.get(topic)),
    leave(topic, listener) {
      const open = topics.get(topic)
      if (!open) return
      open.listeners.delete(listener)
      if (open.listeners.size > 0) return
      topics.delete(topic)
      reader
        .unassign([{ topic, partition: 0 }], stop.signal)
        .catch(report('a topic could not be left', topic))
    },
    async close() {
      stop.abort()
      await running
      await reader.close(AbortSignal.timeout(CLOSE_MS))
    },
  }
}

/** A topic that was made just now may not be known to every server of the broker yet. Raises TOPIC_UNKNOWN. */
async function awaitTopic(broker: Broker, topic: string, signal: AbortSignal): Promise<TopicDescription> {
  for (let waited = 0; ; waited += RETRY_MS) {
    const description = await findTopic(broker, topic, signal)
    if (description) return description
    if (waited >= UNKNOWN_WAIT_MS) throw new TapelineError('TOPIC_UNKNOWN', `there is no topic ${topic}`)
    await delay(RETRY_MS, signal)
  }
}
