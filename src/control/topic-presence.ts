import { TapelineError } from '../errors.ts'
import type { RegistryView } from './registry-view.ts'

/**
 * What a topic is to those who work with it:
 * - `there`: the broker shows it.
 * - `away`: the broker does not show it. An outage: it is waited for, however long.
 * - `replaced`: the broker shows another one of its name, which is not ours. Nothing is read of it, written to it or deleted.
 * - `over`: the registry has ended its stream. Nothing else ends one.
 */
export type TopicPresence = 'there' | 'away' | 'replaced' | 'over'

/** The one rule of all roles for when a topic is gone. `shownId`: the identity that the broker shows, if any. */
export function presenceOf(
  expected: { readonly topicId: string; readonly isOver: boolean },
  shownId: string | undefined,
): TopicPresence {
  if (expected.isOver) return 'over'
  if (shownId === undefined) return 'away'
  return shownId === expected.topicId ? 'there' : 'replaced'
}

/** The same of the topic of a stream, whose id is the topic's name. */
export function streamPresence(
  view: Pick<RegistryView, 'stream'>,
  topic: string,
  shownId: string | undefined,
): TopicPresence {
  const stream = view.stream(topic)
  const isOver = stream === undefined || stream.state === 'ending'
  return presenceOf({ topicId: stream?.topicId ?? '', isOver }, shownId)
}

/** What a person is told of a topic that cannot be worked with; undefined where nothing is amiss. */
export function presenceError(topic: string, presence: TopicPresence): TapelineError | undefined {
  switch (presence) {
    case 'away':
      return new TapelineError('TOPIC_MISSING', `the broker does not show the topic ${topic}`)
    case 'replaced':
      return new TapelineError(
        'TOPIC_REPLACED',
        `the topic ${topic} was deleted and made anew by somebody else`,
      )
    case 'there':
    case 'over':
      return undefined
  }
}
