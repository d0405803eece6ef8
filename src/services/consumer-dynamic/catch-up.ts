import { doubled } from '../../async/back-off.ts'
import { withDeadline } from '../../async/deadline.ts'
import { pause } from '../../async/timers.ts'
import { presenceError, presenceOf } from '../../control/topic-presence.ts'
import { findTopic } from '../../control/topics.ts'
import { copyMemory, emptyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { Broker } from '../../ports/broker.ts'
import type { Log, Meter } from '../../ports/log.ts'
import { learnMemories } from './learn-memory.ts'
import type { Subscription } from './subscription.ts'
import { toTopicBatches } from './topic-batches.ts'
import type { TopicFeed, TopicHub } from './topic-hub.ts'

const POLL = { maxRecords: 2_000, waitMs: 100 } as const
/** A socket gets more once it has no more than this waiting. */
const LOW_BYTES = 512 * 1024
/** How long the broker may take to say where a topic is. */
const LOOK_MS = 5_000
const SHORTEST_REST_MS = 200
const LONGEST_REST_MS = 5_000

interface CatchUpParts {
  readonly broker: Broker
  readonly hub: TopicHub
  readonly log: Log
  readonly meter: Meter
}

/**
 * Serves a subscription from the log until it has got all that the shared reader handed out, at the pace of its socket. It ends
 * when the subscription is live, or over.
 */
export async function catchUp(subscription: Subscription, delivery: CatchUpParts): Promise<void> {
  const { log } = delivery
  let failures = 0
  while (!subscription.ended.aborted && subscription.state === 'behind') {
    try {
      await readOn(subscription, delivery)
    } catch (error) {
      if (subscription.ended.aborted) return
      const { code } = toTapelineError(error)
      if (failures === 0)
        log.warn({ stream: subscription.lease.id, code }, 'catching up failed, trying again')
      const restMs = doubled(SHORTEST_REST_MS, LONGEST_REST_MS, failures++)
      await pause(restMs, subscription.ended)
    }
  }
}

/** Reads on until the subscription is live. Raises TOPIC_MISSING and TOPIC_REPLACED, which time or the registry ends. */
async function readOn(subscription: Subscription, delivery: CatchUpParts): Promise<void> {
  const { broker, hub } = delivery
  const { ended } = subscription
  const { topic } = subscription.lease
  const feed = await hub.opened(topic, ended)
  await withDeadline(ended, LOOK_MS, (deadline) => checkPlace(subscription, feed, delivery, deadline))
  if (subscription.joinLive(feed)) return
  const { offset, memory: known } = subscription.behindFrom()
  const learned = known ?? (await learnMemories(broker, new Map([[topic, offset]]), ended)).get(topic)
  const memory = learned ?? emptyMemory()
  const reader = await broker.openReader(ended)
  try {
    await reader.assign([{ topic, partition: 0, offset }], ended)
    const { rewinds } = feed
    while (feed.rewinds === rewinds && !subscription.joinLive(feed)) {
      for (const fetch of await reader.poll(POLL, ended)) {
        // Only the registry ends a stream: what the broker shows of the topic decides how it goes on.
        switch (fetch.kind) {
          case 'deleted':
            throw new TapelineError('TOPIC_MISSING', `the broker does not show the topic ${topic}`)
          case 'truncated':
            reset(subscription, delivery, fetch.earliest, GONE, memory)
            break
          case 'undecodable':
            reset(subscription, delivery, fetch.nextOffset, UNREADABLE, memory)
            break
          case 'records':
            await serve(subscription, delivery, fetch, memory)
        }
      }
    }
    if (feed.rewinds !== rewinds && subscription.nextOffset > feed.rewoundTo)
      reset(subscription, delivery, feed.rewoundTo, LOST_END, feed.memory)
  } finally {
    await reader.close(ended)
  }
}

const GONE = 'the history behind the cursor is gone: retention has removed it'
const UNREADABLE = 'records in front of this place cannot be read'
const LOST_END = 'the log lost its end'
const BEYOND =
  'the cursor lies beyond the end of the stream: its log has lost its end, or is not the one that it was made of'

async function serve(
  subscription: Subscription,
  { meter }: CatchUpParts,
  fetch: Parameters<typeof toTopicBatches>[0],
  memory: ReaderMemory,
): Promise<void> {
  const { endpoint, ended } = subscription
  for (const batch of toTopicBatches(fetch, subscription.nextOffset, memory)) {
    const events = subscription.send(batch, new Map())
    meter.count('delivered_events_total', events)
    if (batch.reset !== null) meter.count('delivery_resets_total')
    if (endpoint.pendingBytes > LOW_BYTES) await endpoint.drained(LOW_BYTES, ended)
  }
}

/** Looks whether the topic is still the one that the lease has, and whether it reaches as far as the application has read. */
async function checkPlace(
  subscription: Subscription,
  feed: TopicFeed,
  delivery: CatchUpParts,
  signal: AbortSignal,
): Promise<void> {
  const { topic, topicId } = subscription.lease
  const shown = await findTopic(delivery.broker, topic, signal)
  const presence = presenceOf({ topicId, isOver: false }, shown?.id)
  const { nextOffset } = subscription
  if (presence === 'replaced' && !subscription.knowsReplaced) {
    subscription.knowsReplaced = true
    reset(subscription, delivery, nextOffset, REPLACED, feed.memory)
  }
  const failure = presenceError(topic, presence)
  if (failure !== undefined) throw failure
  const end = shown?.offsets[0]?.end
  if (end !== undefined && nextOffset > end) reset(subscription, delivery, end, BEYOND, emptyMemory())
}

const REPLACED = 'the topic was deleted and made anew by somebody else'

/** What lies before `next` and was not got is gone: the application is told, and gets what is left. */
function reset(
  subscription: Subscription,
  { meter }: CatchUpParts,
  next: number,
  reason: string,
  memory: ReaderMemory,
): void {
  const { topic, topicId } = subscription.lease
  const after = copyMemory(memory)
  subscription.send(
    { topic, topicId, from: subscription.nextOffset, next, after, events: [], reset: reason },
    new Map(),
  )
  meter.count('delivery_resets_total')
}
