import { TapelineError } from '../../../errors.ts'
import type { Answer } from './cluster.ts'
import { UsedLately } from './used-lately.ts'

/** A topic as the cluster knows it at present. */
export interface TopicState {
  readonly name: string
  /** The topic's UUID; its name where the broker has no ids. */
  readonly id: string
  /** The leading broker of each partition; -1 while there is none. */
  readonly leaders: readonly number[]
  /** Rises with each change of a partition's leader; -1 where the broker does not tell. */
  readonly epochs: readonly number[]
}

/** Whether a partition is one of the topic as it is known, and the topic the one that is meant. */
export function isPlace(
  state: TopicState | undefined,
  { partition, topicId }: { readonly partition: number; readonly topicId?: string },
): boolean {
  return (
    state !== undefined && partition < state.leaders.length && (topicId === undefined || topicId === state.id)
  )
}

/** Raises TOPIC_UNKNOWN where a partition is not one of the topic as it is known. */
export function requirePlace(
  state: TopicState | undefined,
  { topic, partition }: { readonly topic: string; readonly partition: number },
): TopicState {
  const partitions = [{ topic, partition }]
  if (state === undefined)
    throw new TapelineError('TOPIC_UNKNOWN', `there is no topic ${topic}`, { partitions })
  if (partition >= state.leaders.length)
    throw new TapelineError('TOPIC_UNKNOWN', `the topic ${topic} has no partition ${partition}`, {
      partitions,
    })
  return state
}

const UNKNOWN_TOPIC = 3
const LEADER_NOT_AVAILABLE = 5
const TOPIC_AUTHORIZATION_FAILED = 29
const NO_ID = '00000000-0000-0000-0000-000000000000'

/**
 * What brokers have said of topics, and when they last said anything, for all parts of a client: what one learns of a topic that is
 * gone, all know.
 */
export class TopicView {
  /** When a broker last answered whatever it was asked (performance.now). */
  answeredAt = Number.NEGATIVE_INFINITY
  readonly #topics: UsedLately<TopicState>

  constructor(now?: () => number) {
    this.#topics = new UsedLately(now)
  }

  known(name: string): TopicState | undefined {
    return this.#topics.get(name)
  }

  /** Forgets topics, so that the next look asks. */
  forget(names: readonly string[]): void {
    for (const name of names) this.#topics.delete(name)
  }

  /** Takes note of what a broker says; gives the topics that are there. Raises BROKER_FORBIDDEN. */
  update(topics: Answer<'metadata'>['topics']): Map<string, TopicState> {
    const found = new Map<string, TopicState>()
    for (const topic of topics) {
      const name = topic.name ?? ''
      if (topic.errorCode === TOPIC_AUTHORIZATION_FAILED)
        throw new TapelineError('BROKER_FORBIDDEN', `the user may not look at the topic ${name}`)
      if (topic.errorCode === UNKNOWN_TOPIC) {
        this.#topics.delete(name)
        continue
      }
      if (topic.errorCode !== 0 && topic.errorCode !== LEADER_NOT_AVAILABLE) continue
      const id = topic.topicId === undefined || topic.topicId === NO_ID ? name : topic.topicId
      const known = this.#topics.get(name)
      const state = { name, id, ...leadersOf(topic.partitions, known?.id === id ? known : undefined) }
      this.#topics.set(name, state)
      found.set(name, state)
    }
    return found
  }
}

/** A broker that lags behind shows former leaders: what is known of a later epoch stays. */
function leadersOf(
  partitions: Answer<'metadata'>['topics'][number]['partitions'],
  known: TopicState | undefined,
): Pick<TopicState, 'leaders' | 'epochs'> {
  const leaders: number[] = partitions.map(() => -1)
  const epochs: number[] = partitions.map(() => -1)
  for (const { partitionIndex: partition, leaderId, leaderEpoch = -1 } of partitions) {
    const before = known?.epochs[partition] ?? -1
    const isFormer = leaderEpoch >= 0 && leaderEpoch < before
    leaders[partition] = isFormer ? (known?.leaders[partition] ?? -1) : leaderId
    epochs[partition] = isFormer ? before : leaderEpoch
  }
  return { leaders, epochs }
}
