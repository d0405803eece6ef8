import { startTimer } from '../../async/timers.ts'
import { findTopic } from '../../control/topics.ts'
import { emptyMemory } from '../../domain/reader-rules.ts'
import { toTapelineError } from '../../errors.ts'
import type { Broker, PartitionFetch } from '../../ports/broker.ts'
import type { Log, Meter } from '../../ports/log.ts'
import type { StreamBatch } from '../../ports/pipeline.ts'
import { learnMemory } from './learn-memory.ts'
import type { Subscription } from './subscription.ts'
import { toTopicBatches } from './topic-batches.ts'
import type { TopicHub } from './topic-hub.ts'

const POLL = { maxRecords: 2_000, waitMs: 100 } as const
/** A socket gets more once it has no more than this waiting. */
const LOW_BYTES = 512 * 1024
const RETRY_MS = 500

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
export async function catchUp(subscription: Subscription, parts: CatchUpParts): Promise<void> {
  const { log } = parts
  while (!subscription.ended.aborted && subscription.state === 'behind') {
    try {
      await readOn(subscription, parts)
    } catch (error) {
      if (subscription.ended.aborted) return
      const { code } = toTapelineError(error)
      log.warn({ stream: subscription.lease.id, code }, 'catching up failed, trying again')
      await waitUnlessEnded(subscription)
    }
  }
}

async function readOn(subscription: Subscription, { broker, hub, meter }: CatchUpParts): Promise<void> {
  const { topic } = subscription.lease
  const feed = hub.feed(topic)
  if (feed === undefined) return
  await checkCursor(subscription, broker)
  if (subscription.joinLive(feed)) return
  const { offset, memory: known } = subscription.behindFrom()
  const memory = known ?? (await learnMemory(broker, topic, offset, subscription.ended))
  const reader = await broker.openReader(subscription.ended)
  try {
    await reader.assign([{ topic, partition: 0, offset }], subscription.ended)
    while (!subscription.joinLive(hub.feed(topic) ?? feed)) {
      for (const fetch of await reader.poll(POLL, subscription.ended)) {
        if (fetch.kind === 'deleted') return subscription.end()
        const batches =
          fetch.kind === 'records'
            ? toTopicBatches(fetch, subscription.nextOffset, memory)
            : [resetBatch(subscription, fetch, memory)]
        for (const batch of batches) {
          const events = subscription.send(batch, new Map())
          meter.count('delivered_events_total', events)
          if (batch.reset !== null) meter.count('delivery_resets_total')
          if (subscription.endpoint.pendingBytes > LOW_BYTES) {
            await subscription.endpoint.drained(LOW_BYTES, subscription.ended)
          }
        }
      }
    }
  } finally {
    await reader.close(subscription.ended)
  }
}

/** A cursor beyond the end comes from a log that was longer: what it stood for is gone, and it would wait for ever. */
async function checkCursor(subscription: Subscription, broker: Broker): Promise<void> {
  const { topic, topicId } = subscription.lease
  const end = (await findTopic(broker, topic, subscription.ended))?.offsets[0]?.end
  const { nextOffset } = subscription
  if (end === undefined || nextOffset <= end) return
  const memory = emptyMemory()
  const reset = 'the cursor lies beyond the end of the stream: its log is not the one that it was made of'
  subscription.send(
    { topic, topicId, from: nextOffset, next: end, after: memory, events: [], reset },
    new Map(),
  )
}

/** Retention has passed the cursor, or nobody can read what comes next: the application is told, and gets what is left. */
function resetBatch(
  { lease, nextOffset }: Subscription,
  fetch: PartitionFetch & { kind: 'truncated' | 'undecodable' },
  memory: StreamBatch['after'],
): StreamBatch {
  const [reset, next] =
    fetch.kind === 'truncated'
      ? ['the history behind the cursor is gone: retention has removed it', fetch.earliest]
      : [`records up to ${fetch.nextOffset - 1} cannot be read`, fetch.nextOffset]
  const { topic, topicId } = lease
  return {
    topic,
    topicId,
    from: nextOffset,
    next,
    after: memory,
    events: [],
    reset,
  }
}

function waitUnlessEnded({ ended }: Subscription): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.stop()
      ended.removeEventListener('abort', done)
      resolve()
    }
    const timer = startTimer(done, RETRY_MS)
    ended.addEventListener('abort', done, { once: true })
  })
}
