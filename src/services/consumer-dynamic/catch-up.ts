import { untilDone } from '../../async/abort.ts'
import { doubled } from '../../async/back-off.ts'
import { pause } from '../../async/timers.ts'
import { copyMemory, emptyMemory, raise } from '../../domain/reader-rules.ts'
import { toTapelineError } from '../../errors.ts'
import type { Broker } from '../../ports/broker.ts'
import { checkPlace, LOST_END, readTurn, reset, type TurnParts, waitForRoom, within } from './read-turn.ts'
import type { Subscription } from './subscription.ts'
import type { TopicHub } from './topic-hub.ts'

const SHORTEST_REST_MS = 200
const LONGEST_REST_MS = 5_000

interface CatchUpParts extends TurnParts {
  readonly broker: Broker
  readonly hub: TopicHub
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
      await waitForRoom(subscription)
      if (subscription.leg.former === undefined) await readOn(subscription, delivery)
      else await readFormer(subscription, delivery)
      failures = 0
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

/**
 * Reads a topic that the lease has had before, as far as it goes: to the end of it while nobody knows where the seam lies in it, and waits for that
 * then. Once all in front of the seam is read, the subscription goes on in the next topic.
 */
async function readFormer(subscription: Subscription, delivery: CatchUpParts): Promise<void> {
  const { ended, leg } = subscription
  const { end } = await checkPlace(subscription, emptyMemory(), delivery)
  if (subscription.leg !== leg || leg.former === undefined) return
  const until = Math.min(leg.former.end ?? end, end)
  const isReached = (): boolean => subscription.nextOffset >= until
  if (!isReached())
    await delivery.readers.use(ended, (reader) =>
      readTurn(
        reader,
        { leg, memory: emptyMemory(), isReached, isOver: () => false },
        subscription,
        within(delivery, reader),
      ),
    )
  // Its socket took no more, its turn was over, or there is news.
  if (subscription.leg !== leg || !isReached()) return
  if (leg.former.end === null) {
    await untilDone(subscription.news(), ended)
    return
  }
  if (end < leg.former.end) reset(subscription, delivery, subscription.nextOffset, LOST_END, emptyMemory())
  subscription.enterNext()
}

/**
 * Reads on until the subscription is live, its socket takes no more, or its turn is over. Raises TOPIC_MISSING and TOPIC_REPLACED, which time
 * or the registry ends.
 */
async function readOn(subscription: Subscription, delivery: CatchUpParts): Promise<void> {
  const { ended } = subscription
  const { leg } = subscription
  const feed = await delivery.hub.opened(leg.topic, ended)
  if (subscription.leg !== leg) return
  await delivery.readers.use(ended, async (reader) => {
    const { rewinds, memory } = feed
    const isReached = (): boolean => subscription.joinLive(feed)
    const isOver = (): boolean => feed.rewinds !== rewinds
    await readTurn(reader, { leg, memory, isReached, isOver }, subscription, within(delivery, reader))
    if (!isOver() || subscription.leg !== leg || subscription.nextOffset <= feed.rewoundTo) return
    const memoryThere = raise(copyMemory(feed.rewoundMemory), leg.before)
    reset(subscription, delivery, feed.rewoundTo, LOST_END, memoryThere)
  })
}
