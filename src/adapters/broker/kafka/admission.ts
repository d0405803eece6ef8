import type { PartitionRecords } from '../../../ports/broker.ts'
import type { Cluster } from './cluster.ts'
import { persist } from './persist.ts'
import { requirePlace } from './topic-view.ts'

/** How long topics are asked for, before the caller hears that the broker does not answer. */
const PATIENCE_MS = 5_000

/** Finds out about the topics of a call before anything of it is sent. Calls for the same topic stay in their order. */
export class Admission {
  readonly #cluster: Cluster
  readonly #closing: AbortSignal
  /** The last of the calls that wait for a topic: what comes later for it waits behind. */
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
    await persist(() => this.#cluster.topics(unknown, signal), limits)
  }

  #refuseUnknown(entries: readonly PartitionRecords[]): void {
    for (const entry of entries) requirePlace(this.#cluster.known(entry.topic), entry)
  }
}
