import type { ErrorInfo } from '../ports/actors.ts'
import type { FetchedBatch, ProducerNotification, PublishOutcome, TopicAnswer } from '../ports/pipeline.ts'
import type { MachineInput, MachineSettings } from './failure.ts'

/** What waits to be served from `idle` (R2). */
interface Waiting {
  /** The last fetch brought something, so the source may have more. */
  readonly data: boolean
  /** Dynamic topics wait for records. */
  readonly dynamic: boolean
  readonly topics: readonly WaitingTopic[]
  readonly batches: readonly FetchedBatch[]
}

/** A standing stream to ask the coordinator for. */
interface WaitingTopic {
  readonly name: string
  /** When to ask (again), in milliseconds since the epoch; 0 if nobody has asked yet. */
  readonly askAt: number
  /** A request lies in the control topic without an answer. */
  readonly open: boolean
}

export interface ProducerContext {
  /** The batch in hand: fetched and not yet acknowledged by the fixed topics. */
  readonly currentData: FetchedBatch | null
  /** The topics of the step at hand, or of the last one. */
  readonly targetTopic: readonly string[]
  /** The standing stream that is being asked for. */
  readonly newTopicName: string | null
  readonly errorInfo: ErrorInfo | null
  readonly waiting: Waiting
  readonly settings: MachineSettings
}

export type ProducerEvent =
  /** `completed` is set when it is the outcome of a publish; without it, it is a command from outside. */
  | { readonly type: 'FETCH_DATA'; readonly completed?: PublishOutcome }
  | { readonly type: 'DATA_READY'; readonly data: FetchedBatch }
  | { readonly type: 'FETCH_FAILURE'; readonly error: unknown }
  /** With `data`, publishes that batch; without, the one in hand. */
  | { readonly type: 'PUBLISH_FIXED'; readonly data?: FetchedBatch }
  | { readonly type: 'PUBLISH_DYNAMIC' }
  | { readonly type: 'PUBLISH_SUCCESS'; readonly completed: PublishOutcome }
  | { readonly type: 'PUBLISH_FAILURE'; readonly error: unknown }
  | { readonly type: 'CREATE_TOPIC'; readonly topicName: string }
  | { readonly type: 'CREATE_TOPIC_SUCCESS'; readonly answer: TopicAnswer }
  | { readonly type: 'CREATE_TOPIC_FAILURE'; readonly error: unknown }
  | { readonly type: 'NOTIFY_PRODUCER'; readonly notification: ProducerNotification }
  | { readonly type: 'RETRY' }
  | { readonly type: 'RESET' }

/** How long a request without an answer rests before the producer asks again. */
const ASK_AGAIN_MS = 5_000
/** How long a request that failed rests before data makes room for it again. */
const FAILED_REST_MS = 30_000
/** After so many failures in a row a request no longer holds up data. */
const ATTEMPTS_IN_FRONT_OF_DATA = 3
/** The most that it remembers. It refuses one more, and reports that. A batch is large, a name is not. */
const MOST_BATCHES = 64
const MOST_TOPICS = 1_000

/** The first context; after a crash, with all that the former machine had in hand and was asked for. */
export function beginProducing({ former, ...settings }: MachineInput<ProducerContext>): ProducerContext {
  if (former) return { ...former, waiting: { ...former.waiting, dynamic: true }, settings }
  return {
    currentData: null,
    targetTopic: [],
    newTopicName: null,
    errorInfo: null,
    waiting: { data: false, dynamic: false, topics: [], batches: [] },
    settings,
  }
}

/** What `idle` does next, by what waits (R2): the batch in hand first, the source last. */
export function nextCommand(context: ProducerContext): ProducerEvent {
  if (context.currentData !== null) return { type: 'PUBLISH_FIXED' }
  const [batch] = context.waiting.batches
  if (batch !== undefined) return { type: 'PUBLISH_FIXED', data: batch }
  if (context.waiting.dynamic) return { type: 'PUBLISH_DYNAMIC' }
  const topic = dueTopic(context)
  return topic === undefined ? { type: 'FETCH_DATA' } : { type: 'CREATE_TOPIC', topicName: topic.name }
}

/** A topic to ask for (again): one that has rested, and never one with an open request in front of waiting data (R2). */
function dueTopic({ waiting, settings }: ProducerContext): WaitingTopic | undefined {
  return waiting.topics.find((topic) => topic.askAt <= settings.now() && !(topic.open && waiting.data))
}

/** Whether a command waits that `idle` would serve before it fetches. */
export function isCommandDue(context: ProducerContext): boolean {
  return context.waiting.batches.length > 0 || dueTopic(context) !== undefined
}

/**
 * Whether something waits that the machine can do while the source is away. Requests that it has asked before do not count: two steps that
 * fail in turn would each begin their back-off anew.
 */
export function isServableWithoutSource({ errorInfo, waiting }: ProducerContext): boolean {
  if (errorInfo?.step !== 'fetchingData') return false
  return waiting.dynamic || waiting.batches.length > 0 || waiting.topics.some(({ askAt }) => askAt === 0)
}

/** Whether a request for a topic has failed for good, or so often that data goes on without it. */
export function isLeftForLater({ errorInfo }: ProducerContext): boolean {
  if (errorInfo?.step !== 'creatingTopic') return false
  return !errorInfo.retryable || errorInfo.attempt >= ATTEMPTS_IN_FRONT_OF_DATA
}

/** Whether one more batch, or one more topic, can be remembered. */
export function hasRoom({ waiting }: ProducerContext, event: ProducerEvent): boolean {
  return event.type === 'PUBLISH_FIXED'
    ? waiting.batches.length < MOST_BATCHES
    : waiting.topics.length < MOST_TOPICS
}

/** What waits, with what an event asks for. An event that is no command calls for a look at the dynamic topics. */
export function remembered(waiting: Waiting, event: ProducerEvent): Waiting {
  switch (event.type) {
    case 'PUBLISH_FIXED':
      return event.data ? { ...waiting, batches: [...waiting.batches, event.data] } : waiting
    case 'CREATE_TOPIC':
      return { ...waiting, topics: withTopic(waiting, event.topicName) }
    default:
      return { ...waiting, dynamic: true }
  }
}

/** A topic is asked for once, however often it is named. */
function withTopic({ topics }: Waiting, name: string): readonly WaitingTopic[] {
  if (topics.some((topic) => topic.name === name)) return topics
  return [...topics, { name, askAt: 0, open: false }]
}

/** What a completed publish changes; `dynamic` tells whether dynamic topics wait for records besides. */
export function afterPublish(
  { waiting, targetTopic }: ProducerContext,
  event: ProducerEvent,
  dynamic: boolean,
): Pick<ProducerContext, 'targetTopic' | 'waiting'> {
  const completed = 'completed' in event ? event.completed : undefined
  if (completed === undefined) return { targetTopic, waiting }
  return {
    targetTopic: completed.topics,
    waiting: { ...waiting, dynamic: dynamic || completed.dynamicWaiting },
  }
}

/** The waiting topics after an answer: a created one leaves; for one with an open request the producer asks again later. */
export function settleTopic(
  { waiting, settings }: ProducerContext,
  answer: TopicAnswer,
): readonly WaitingTopic[] {
  const others = waiting.topics.filter((topic) => topic.name !== answer.topicName)
  if (answer.outcome === 'created') return others
  return [...others, { name: answer.topicName, askAt: settings.now() + ASK_AGAIN_MS, open: true }]
}

/** The waiting topics when the one at hand has failed too often: it rests. */
export function restTopic({ waiting, newTopicName, settings }: ProducerContext): readonly WaitingTopic[] {
  return waiting.topics.map((topic) =>
    topic.name === newTopicName ? { ...topic, askAt: settings.now() + FAILED_REST_MS } : topic,
  )
}
