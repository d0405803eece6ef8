import { pause } from '../../../async/timers.ts'
import { TapelineError } from '../../../errors.ts'
import type { PartitionRecords } from '../../../ports/broker.ts'
import type { Cluster } from './cluster.ts'
import { persist } from './persist.ts'
import { isPlace } from './topic-view.ts'

/** How long topics are asked for, before the caller hears that the broker does not answer. */
const PATIENCE_MS = 5_000
/** How often the broker is asked for a topic that it does not show, and how long in between: this times the number of looks. */
const LOOKS = 3
const LOOK_AGAIN_MS = 100
/** How many topics an error names. */
const MOST_NAMED = 5

/** Finds out about the topics of a call before anything of it is sent. Calls for the same topic stay in their order. */
export class Admission {
  readonly #cluster: Cluster
  readonly #closing: AbortSignal
  /** The last of the calls that wait for a topic: what comes later for it waits for that one. */
  readonly #waiting = new Map<string, Promise<void>>()

  constructor(cluster: Cluster, closing: AbortSignal) {
    this.#cluster = cluster
    this.#closing = closing
  }

  /** Undefined where nothing is to be waited for. Raises TOPIC_UNKNOWN, BROKER_UNAVAILABLE and the signal's reason. */
  enter(entries: readonly PartitionRecords[], signal: AbortSignal): Promise<void> | undefined {
    const topics = [...new Set(entries.map(({ topic }) => topic))]
    if (topics.some((topic) => this.#cluster.known(topic) === undefined || this.#waiting.has(topic)))
      return this.#learn(topics, entries, signal)
    this.#refuseUnknown(entries)
    return undefined
  }

  async #learn(
    topics: readonly string[],
    entries: readonly PartitionRecords[],
    signal: AbortSignal,
  ): Promise<void> {
    const before = topics.flatMap((topic) => this.#waiting.get(topic) ?? [])
    const asking = this.#ask(topics, before, signal)
    for (const topic of topics) this.#waiting.set(topic, asking)
    try {
      await asking
    } finally {
      for (const topic of topics) if (this.#waiting.get(topic) === asking) this.#waiting.delete(topic)
    }
    this.#refuseUnknown(entries)
  }

  async #ask(
    topics: readonly string[],
    before: readonly Promise<void>[],
    signal: AbortSignal,
  ): Promise<void> {
    await Promise.allSettled(before)
    const unknown = topics.filter((topic) => this.#cluster.known(topic) === undefined)
    if (unknown.length === 0) return
    const limits = { signal, closing: this.#closing, patienceMs: PATIENCE_MS }
    let missing: readonly string[] = unknown
    for (let looks = 1; missing.length > 0; looks++) {
      await persist(() => this.#cluster.topics(missing, signal), limits)
      missing = missing.filter((topic) => this.#cluster.known(topic) === undefined)
      // A broker may be late to hear of a topic that was made just now.
      if (looks >= LOOKS) return
      if (missing.length > 0) await pause(LOOK_AGAIN_MS * looks, AbortSignal.any([signal, this.#closing]))
    }
  }

  #refuseUnknown(entries: readonly PartitionRecords[]): void {
    const refused = entries.filter((entry) => !isPlace(this.#cluster.known(entry.topic), entry))
    if (refused.length === 0) return
    const names = [...new Set(refused.map(({ topic }) => topic))]
    const partitions = refused.map(({ topic, partition }) => ({ topic, partition }))
    const message = `the broker does not show ${names.slice(0, MOST_NAMED).join(', ')}`
    throw new TapelineError('TOPIC_UNKNOWN', message, { partitions })
  }
}
