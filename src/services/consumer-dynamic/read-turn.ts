import { withDeadline } from '../../async/deadline.ts'
import { presenceError, presenceOf } from '../../control/topic-presence.ts'
import { findTopic } from '../../control/topics.ts'
import { copyMemory, emptyMemory, type ReaderMemory, raise } from '../../domain/reader-rules.ts'
import { inFrontOfSeam, type SeamBound } from '../../domain/seam.ts'
import { TapelineError } from '../../errors.ts'
import type { Broker, Reader } from '../../ports/broker.ts'
import type { Log, Meter } from '../../ports/log.ts'
import { learnMemories } from './learn-memory.ts'
import { boundIn, type Leg } from './legs.ts'
import { FRONT_RECORDS, OTHER_IN_FRONT, PlaceInFront } from './place-in-front.ts'
import type { ReaderPool } from './reader-pool.ts'
import type { Subscription } from './subscription.ts'
import { toTopicBatches } from './topic-batches.ts'

const POLL = { maxRecords: 2_000, waitMs: 100 } as const
/** A socket gets more once no more than this part of what may wait there does. */
const LOW_PART = 1 / 8
/** Whose socket takes nothing for so long leaves its reader to others, and comes again when there is room. */
const STALL_MS = 250
/** After so long whoever has a reader passes it on, where others wait for one. */
const TURN_MS = 500
/** How long the broker may take to say where a topic is. */
const LOOK_MS = 5_000

type RecordsFetch = Parameters<typeof toTopicBatches>[0]

export interface TurnParts {
  readonly broker: Pick<Broker, 'describeTopics' | 'openReader'>
  readonly readers: ReaderPool
  readonly log: Log
  readonly meter: Meter
}

/** The same with a reader in hand, which reads what is looked up on the way too: no further one is opened. */
export function within(delivery: TurnParts, reader: Reader): TurnParts {
  const broker = {
    describeTopics: (...call: Parameters<Broker['describeTopics']>) =>
      delivery.broker.describeTopics(...call),
    openReader: async () => reader,
  }
  return { ...delivery, broker }
}

/** A socket has room once no more than this waits in it. */
export function lowBytes({ mostPendingBytes }: Subscription): number {
  return mostPendingBytes * LOW_PART
}

/** Waits until the socket may get more. Rejects when the subscription is over. */
export async function waitForRoom(subscription: Subscription): Promise<void> {
  const { endpoint, ended } = subscription
  if (endpoint.pendingBytes > lowBytes(subscription)) await endpoint.drained(lowBytes(subscription), ended)
}

/** Waits a moment for room. Gives whether there is some: a socket that takes nothing must not keep a reader. */
async function hasRoomSoon(subscription: Subscription): Promise<boolean> {
  const { endpoint, ended } = subscription
  if (endpoint.pendingBytes <= lowBytes(subscription)) return true
  try {
    await withDeadline(ended, STALL_MS, (deadline) => endpoint.drained(lowBytes(subscription), deadline))
    return true
  } catch {
    ended.throwIfAborted()
    return false
  }
}

/** How far a topic is read. */
interface Goal {
  /** The leg of the subscription: news of its lease end the reading. */
  readonly leg: Leg
  /** What a reader of the topic that is shown remembers, where that is not the one that was read. */
  readonly memory: ReaderMemory
  isReached(): boolean
  /** Whether the topic has lost its end, so that what was read counts no more. */
  isOver(): boolean
}

/**
 * Reads a topic from the subscription's place on, until the goal is reached, its socket takes no more, or its turn is over. Raises TOPIC_MISSING
 * and TOPIC_REPLACED.
 */
export async function readTurn(
  reader: Reader,
  goal: Goal,
  subscription: Subscription,
  delivery: TurnParts,
): Promise<void> {
  const { readers } = delivery
  const { ended } = subscription
  const { leg } = goal
  const { topic } = leg
  const began = performance.now()
  const { earliest } = await checkPlace(subscription, goal.memory, delivery)
  if (subscription.leg !== leg) return
  const { offset, memory: known } = subscription.behindFrom()
  let memory = known ?? (await learn(subscription, delivery, offset))
  let bound = boundIn(leg, memory)
  const front = known && new PlaceInFront(known, offset, leg, bound)
  const from = front === undefined ? offset : Math.max(Math.min(earliest, offset), offset - FRONT_RECORDS)
  let isSure = from >= offset
  await reader.assign([{ topic, partition: 0, offset: from }], ended)
  while (!goal.isOver() && !(isSure && goal.isReached())) {
    for (const fetch of await reader.poll(POLL, ended)) {
      if (subscription.leg !== leg) return
      // Only the registry ends a stream: what the broker shows of the topic decides how it goes on.
      switch (fetch.kind) {
        case 'deleted':
          throw new TapelineError('TOPIC_MISSING', `the broker does not show the topic ${topic}`)
        case 'truncated':
          // What was gone in front of the place is no loss.
          if (fetch.earliest < fetch.position) {
            memory = await learnAnew(subscription, delivery, fetch.earliest)
            bound = boundIn(leg, memory)
            await reader.assign([{ topic, partition: 0, offset: fetch.earliest }], ended)
            if (subscription.leg !== leg) return
            reset(subscription, delivery, fetch.earliest, LOST_END, memory)
          } else if (fetch.earliest > subscription.nextOffset)
            reset(subscription, delivery, fetch.earliest, GONE, memory)
          isSure ||= fetch.earliest >= offset
          break
        case 'undecodable':
          front?.miss()
          if (
            fetch.offset < (leg.former?.end ?? fetch.nextOffset) &&
            fetch.nextOffset > subscription.nextOffset
          )
            reset(subscription, delivery, fetch.nextOffset, UNREADABLE, memory)
          isSure ||= fetch.nextOffset >= offset
          break
        case 'records':
          front?.take(fetch.records)
          if (!isSure && fetch.nextOffset >= offset) {
            isSure = true
            if (front?.isOther) {
              memory = await learnAnew(subscription, delivery, offset)
              bound = boundIn(leg, memory)
              await reader.assign([{ topic, partition: 0, offset: fetch.nextOffset }], ended)
              reset(subscription, delivery, offset, OTHER_IN_FRONT, memory)
            }
          }
          // In the middle of a fetch the reader is ahead of the socket: the next turn reads that once more.
          if (!(await serve(subscription, delivery, cutAt(fetch, leg.former?.end), memory, bound))) return
      }
    }
    if (subscription.leg !== leg) return
    if (isSure && readers.isAwaited && performance.now() - began > TURN_MS) return
  }
}

/** What of a fetch lies in front of the place where a lease's part of a topic ends; all of it where that is not known. */
function cutAt(fetch: RecordsFetch, end: number | null | undefined): RecordsFetch {
  if (end === null || end === undefined || fetch.nextOffset <= end) return fetch
  // Where a fixed log has lost its end, offsets in front of the seam come again after it.
  return { ...fetch, records: fetch.records.filter(({ offset }) => offset < end), nextOffset: end }
}

/** What a reader remembers at a place, from the log; who may have got what cannot be read in front of it is told. */
async function learn(subscription: Subscription, delivery: TurnParts, offset: number): Promise<ReaderMemory> {
  const { topic, before } = subscription.leg
  const learned = await learnMemories(delivery, new Map([[topic, offset]]), subscription.ended)
  const { memory = emptyMemory(), isRotten = false } = learned.get(topic) ?? {}
  raise(memory, before)
  if (isRotten) reset(subscription, delivery, offset, UNREADABLE, memory)
  return memory
}

/** The same where the application is told `reset`: what lies in front of the place it may not have got. */
async function learnAnew(
  subscription: Subscription,
  delivery: TurnParts,
  offset: number,
): Promise<ReaderMemory> {
  const { former, fixedTopic } = subscription.leg
  const memory = await learn(subscription, delivery, offset)
  return former ? inFrontOfSeam(fixedTopic, former.seam, memory) : memory
}

const GONE = 'the history after the cursor is gone: retention has removed it'
const UNREADABLE = 'records in front of this place cannot be read'
export const LOST_END = 'the log lost its end'
const BEYOND =
  'the cursor lies beyond the end of the stream: its log has lost its end, or is not the one that it was made of'

/** Sends what was fetched, as far as there is room. Gives whether all of it is sent. */
async function serve(
  subscription: Subscription,
  { meter }: TurnParts,
  fetch: RecordsFetch,
  memory: ReaderMemory,
  bound: SeamBound | undefined,
): Promise<boolean> {
  const { leg } = subscription
  for (const batch of toTopicBatches(fetch, subscription.nextOffset, memory, bound)) {
    if (!(await hasRoomSoon(subscription))) return false
    // While it waited its lease has moved on: the batch may hold what lies after the seam.
    if (subscription.leg !== leg) return false
    const events = subscription.send(batch, new Map())
    meter.count('delivered_events_total', events)
    if (batch.reset !== null) meter.count('delivery_resets_total')
  }
  return true
}

/** What the broker shows of a topic. */
interface Place {
  readonly earliest: number
  readonly end: number
}

/**
 * Looks whether the topic is still the one that the lease has, and whether it reaches as far as the application has read. Gives where its records
 * begin and end. `others`: what a reader remembers of the topic that is shown in its place.
 */
export async function checkPlace(
  subscription: Subscription,
  others: ReaderMemory,
  delivery: TurnParts,
): Promise<Place> {
  const { leg } = subscription
  const { topic, topicId } = leg
  const shown = await withDeadline(subscription.ended, LOOK_MS, (deadline) =>
    findTopic(delivery.broker, topic, deadline),
  )
  const { earliest = 0, end = subscription.nextOffset } = shown?.offsets[0] ?? {}
  if (subscription.leg !== leg) return { earliest, end }
  const presence = presenceOf({ topicId, isOver: false }, shown?.id)
  const { nextOffset } = subscription
  if (presence === 'replaced' && !subscription.knowsReplaced) {
    subscription.knowsReplaced = true
    reset(subscription, delivery, nextOffset, REPLACED, others)
  }
  const failure = presenceError(topic, presence)
  if (failure !== undefined) throw failure
  if (nextOffset > end) {
    const memory = await learnAnew(subscription, delivery, end)
    if (subscription.leg === leg) reset(subscription, delivery, end, BEYOND, memory)
  }
  return { earliest, end }
}

const REPLACED = 'the topic was deleted and made anew by somebody else'

/** What lies before `next` and was not got is gone: the application is told, and gets what is left. */
export function reset(
  subscription: Subscription,
  { meter }: Pick<TurnParts, 'meter'>,
  next: number,
  reason: string,
  memory: ReaderMemory,
): void {
  const { topic, topicId } = subscription.leg
  const after = copyMemory(memory)
  subscription.send(
    { topic, topicId, from: subscription.nextOffset, next, after, events: [], reset: reason },
    new Map(),
  )
  meter.count('delivery_resets_total')
}
