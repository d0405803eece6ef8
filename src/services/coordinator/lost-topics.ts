import { presenceError, streamPresence, type TopicPresence } from '../../control/topic-presence.ts'
import { isAbort, toTapelineError } from '../../errors.ts'
import type { CoordinatorParts } from './requests.ts'

/** How often the leader looks, and at how many topics. It always looks at those that were missing. */
const LOOK_EVERY_MS = 2_000
const TOPICS_A_LOOK = 1_000
/** A stream ends when so many looks in a row, half a minute, do not show its topic: a broker may be late to hear of one. */
const LOOKS_UNTIL_LOST = 15
/** Worth telling from the second look on: the first may have been stale. */
const LOOKS_UNTIL_ALERT = 2
/** How long the alert tells of streams that ended for it. */
const TELL_MS = 600_000
const ALERT = 'topics'
const MOST_NAMED = 5

/** The leader's watch over the topics of streams: whether somebody else has removed them. */
export interface LostTopics {
  /** Looks if it is time, and gives the streams whose topics are lost for good. A look that fails proves nothing. */
  look(signal: AbortSignal): Promise<readonly string[]>
  /** This process does not lead: forgets what it saw, and clears the alert. */
  rest(): void
}

interface Missing {
  readonly presence: TopicPresence
  readonly looks: number
}

export function createLostTopics({
  broker,
  registry,
  alerts,
  now,
  log,
}: Pick<CoordinatorParts, 'broker' | 'registry' | 'alerts' | 'now' | 'log'>): LostTopics {
  const { view } = registry
  const missing = new Map<string, Missing>()
  /** Streams that were ended for it, and until when that is told. */
  const ended = new Map<string, number>()
  let lookedAt = Number.NEGATIVE_INFINITY
  let round: Iterator<string> = [].values()

  /** The topics of the next look. */
  const choose = (): string[] => {
    const chosen = new Set(missing.keys())
    let isNewRound = false
    while (chosen.size < TOPICS_A_LOOK + missing.size) {
      const { value, done } = round.next()
      if (!done) chosen.add(value)
      else if (isNewRound) break
      else {
        isNewRound = true
        round = streamsWithTopics().values()
      }
    }
    return [...chosen]
  }

  const streamsWithTopics = (): string[] =>
    [...view.streams()].filter(({ state }) => state === 'ready' || state === 'kept').map(({ id }) => id)

  const judge = (topic: string, shownId: string | undefined): void => {
    const presence = streamPresence(view, topic, shownId)
    if (presence === 'there' || presence === 'over') missing.delete(topic)
    else missing.set(topic, { presence, looks: (missing.get(topic)?.looks ?? 0) + 1 })
  }

  const takeLost = (): string[] => {
    const lost = [...missing].filter(([, { looks }]) => looks >= LOOKS_UNTIL_LOST).map(([topic]) => topic)
    for (const topic of lost) {
      log.error({ topic, code: missing.get(topic)?.presence }, 'somebody removed the topic of a stream')
      missing.delete(topic)
      ended.set(topic, now() + TELL_MS)
    }
    return lost
  }

  const tell = (): void => {
    for (const [topic, until] of ended) if (now() >= until) ended.delete(topic)
    const seen = [...missing].filter(([, { looks }]) => looks >= LOOKS_UNTIL_ALERT)
    const [first] = seen
    if (first === undefined && ended.size === 0) {
      alerts.clear(ALERT)
      return
    }
    const isReplaced = seen.some(([, { presence }]) => presence === 'replaced')
    const code = presenceError('', isReplaced ? 'replaced' : 'away')?.code ?? 'TOPIC_MISSING'
    const texts = [
      seen.length > 0
        ? `topics of streams that the broker does not show: ${naming(seen.map(([topic]) => topic))}`
        : [],
      ended.size > 0
        ? `removed by somebody else, so that their streams were ended: ${naming([...ended.keys()])}`
        : [],
    ]
    alerts.raise(ALERT, code, texts.flat().join('; '))
  }

  return {
    async look(signal) {
      const elapsed = now() - lookedAt
      if (elapsed >= 0 && elapsed < LOOK_EVERY_MS) return []
      lookedAt = now()
      const topics = choose()
      try {
        const shown = topics.length > 0 ? await broker.topicIds(topics, signal) : new Map<string, string>()
        for (const topic of topics) judge(topic, shown.get(topic))
      } catch (error) {
        if (isAbort(error)) throw error
        log.debug({ code: toTapelineError(error).code }, 'the topics of streams could not be looked at')
        return []
      }
      const lost = takeLost()
      tell()
      return lost
    },
    rest() {
      if (missing.size + ended.size > 0) alerts.clear(ALERT)
      missing.clear()
      ended.clear()
      lookedAt = Number.NEGATIVE_INFINITY
    },
  }
}

function naming(topics: readonly string[]): string {
  const others = topics.length - MOST_NAMED
  return topics.slice(0, MOST_NAMED).join(', ') + (others > 0 ? ` and ${others} more` : '')
}
