import type { ErrorInfo } from '../ports/actors.ts'
import type { Carried, DeliveryResult, DynamicBatch } from '../ports/pipeline.ts'
import type { MachineInput, MachineSettings } from './failure.ts'

export interface ConsumerDynamicContext {
  /** The dynamic topics it reads. */
  readonly currentTopics: readonly string[]
  /** The batch in hand, as received. */
  readonly currentMessage: Carried<DynamicBatch> | null
  /** What the last delivery came to. */
  readonly appInteractionResult: DeliveryResult | null
  readonly errorInfo: ErrorInfo | null
  /** Changes that came in the middle of a step, in order; they apply when the step is over. */
  readonly waiting: readonly TopicChange[]
  /** The topics that `subscribing` is about. */
  readonly subscribing: readonly string[]
  readonly settings: MachineSettings
}

interface TopicChange {
  readonly change: 'subscribe' | 'unsubscribe'
  readonly topic: string
}

export type ConsumerDynamicEvent =
  /** One topic, or all that are asked for together; without `topic`, as after a RESET, it subscribes again to all that it has. */
  | { readonly type: 'SUBSCRIBE_TO_TOPIC'; readonly topic?: string | readonly string[] }
  /** One topic, or all that leave together: a socket may have read a thousand. */
  | { readonly type: 'UNSUBSCRIBE_FROM_TOPIC'; readonly topic: string | readonly string[] }
  | { readonly type: 'SUBSCRIBE_SUCCESS' }
  | { readonly type: 'SUBSCRIBE_FAILURE'; readonly error: unknown }
  | { readonly type: 'MESSAGE_RECEIVED'; readonly message: Carried<DynamicBatch> }
  | { readonly type: 'RECEIVE_FAILURE'; readonly error: unknown }
  | { readonly type: 'PROCESS_SUCCESS' }
  | { readonly type: 'PROCESS_FAILURE'; readonly error: unknown }
  | { readonly type: 'INTERACT_SUCCESS'; readonly result: DeliveryResult }
  | { readonly type: 'INTERACT_FAILURE'; readonly error: unknown }
  | { readonly type: 'RETRY' }
  | { readonly type: 'RESET' }

/** So few are looked for one by one: of ten thousand topics that takes a hundredth of making a set. */
const FEW = 8

/** The topics, and those of the others that are not among them. */
export function withTopics(topics: readonly string[], others: readonly string[]): readonly string[] {
  if (others.length > FEW) return [...new Set([...topics, ...others])]
  const fresh = [...new Set(others)].filter((topic) => !topics.includes(topic))
  return fresh.length === 0 ? topics : [...topics, ...fresh]
}

/** The topics after a list of changes. */
export function applyChanges(topics: readonly string[], changes: readonly TopicChange[]): readonly string[] {
  if (changes.length === 0) return topics
  const [first] = changes
  if (changes.length === 1 && first?.change === 'subscribe') return withTopics(topics, [first.topic])
  const result = new Set(topics)
  for (const { change, topic } of changes) {
    if (change === 'subscribe') result.add(topic)
    else result.delete(topic)
  }
  return [...result]
}

/** The topics, without those that leave. */
export function withoutTopics(
  topics: readonly string[],
  leaving: string | readonly string[],
): readonly string[] {
  const gone = new Set([leaving].flat())
  return topics.filter((topic) => !gone.has(topic))
}

/** Keeps one change a topic, the last one: the number of topics bounds the list. */
export function rememberChanges(
  waiting: readonly TopicChange[],
  change: TopicChange['change'],
  topics: string | readonly string[],
): readonly TopicChange[] {
  const changed = new Set([topics].flat())
  const others = waiting.filter(({ topic }) => !changed.has(topic))
  return [...others, ...[...changed].map((topic) => ({ change, topic }))]
}

/** After a RESET or a crash: it subscribes anew to whatever it read, or was about to read. */
export function resubscribed(
  context: ConsumerDynamicContext,
): Pick<ConsumerDynamicContext, 'waiting' | 'currentTopics' | 'subscribing'> {
  const { currentTopics, subscribing, waiting } = context
  const again = withoutTopics(
    [...currentTopics, ...subscribing],
    waiting.map(({ topic }) => topic),
  )
  return {
    waiting: [...again.map((topic) => ({ change: 'subscribe', topic }) as const), ...waiting],
    currentTopics: [],
    subscribing: [],
  }
}

/** The first context; after a crash, with all that the former machine read and was asked for. */
export function beginConsuming({
  former,
  ...settings
}: MachineInput<ConsumerDynamicContext>): ConsumerDynamicContext {
  if (former) return { ...former, ...resubscribed(former), settings }
  return {
    currentTopics: [],
    currentMessage: null,
    appInteractionResult: null,
    errorInfo: null,
    waiting: [],
    subscribing: [],
    settings,
  }
}
