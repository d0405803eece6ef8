import { delay } from '../../../async/timers.ts'
import { partitionKey } from '../../../domain/record.ts'
import type { GroupOptions } from '../../../ports/broker.ts'

type TopicPartition = Parameters<GroupOptions['onAssignment']>[0][number]

/** A member that does not give its partitions up within so long is taken to have done so. */
const REVOCATION_DEADLINE_MS = 10_000

/**
 * The members of one group, all of this process. Partition k of every topic goes to the same member among those that read
 * the topic, so that the partitions of a shard stay together. When members come or go, what a member loses is taken from it
 * before another gets it.
 */
export class PartitionGroup {
  readonly #revocationDeadlineMs: number
  readonly #members = new Set<PartitionGroupMember>()
  readonly #closing = new AbortController()
  #running = false
  #stale = false

  constructor(revocationDeadlineMs = REVOCATION_DEADLINE_MS) {
    this.#revocationDeadlineMs = revocationDeadlineMs
  }

  join(member: PartitionGroupMember): void {
    this.#members.add(member)
    this.#rebalance()
  }

  /** The member hears of no further assignment. */
  leave(member: PartitionGroupMember): void {
    member.stop()
    if (this.#members.delete(member)) this.#rebalance()
  }

  close(): void {
    this.#closing.abort()
    for (const member of this.#members) member.stop()
    this.#members.clear()
  }

  /** One at a time; a change in the middle of one makes another follow. */
  async #rebalance(): Promise<void> {
    this.#stale = true
    if (this.#running) return
    this.#running = true
    while (this.#stale && !this.#closing.signal.aborted) {
      this.#stale = false
      const assigned = this.#distribute()
      await this.#withDeadline(this.#revoke(assigned))
      if (this.#stale) continue
      for (const [member, partitions] of assigned) if (!member.has(partitions)) member.assign(partitions)
    }
    this.#running = false
  }

  #distribute(): Map<PartitionGroupMember, TopicPartition[]> {
    const assigned = new Map([...this.#members].map((member) => [member, [] as TopicPartition[]]))
    const topics = new Map<string, number>()
    for (const member of this.#members)
      for (const [topic, partitions] of member.topics) topics.set(topic, partitions)
    for (const [topic, partitions] of topics) {
      const readers = [...this.#members].filter((member) => member.topics.has(topic))
      for (let partition = 0; partition < partitions; partition++) {
        const reader = readers[partition % readers.length]
        if (reader !== undefined) assigned.get(reader)?.push({ topic, partition })
      }
    }
    return assigned
  }

  /** Resolves when every member that loses partitions has given them up. */
  #revoke(assigned: ReadonlyMap<PartitionGroupMember, readonly TopicPartition[]>): Promise<unknown> {
    const given: Promise<void>[] = []
    for (const [member, partitions] of assigned) {
      const kept = member.kept(partitions)
      if (!member.has(kept)) given.push(member.assign(kept))
    }
    return Promise.all(given)
  }

  async #withDeadline(work: Promise<unknown>): Promise<void> {
    const finished = new AbortController()
    const signal = AbortSignal.any([finished.signal, this.#closing.signal])
    const deadline = delay(this.#revocationDeadlineMs, signal).catch(() => {})
    await Promise.race([work, deadline])
    finished.abort()
  }
}

/** One member: what it reads, what it was given, and whom to tell. */
export class PartitionGroupMember {
  /** Number of partitions of each topic that it reads. */
  readonly topics: ReadonlyMap<string, number>
  readonly #onAssignment: GroupOptions['onAssignment']
  readonly #onFailure: (error: unknown) => void
  #partitions: readonly TopicPartition[] = []
  #untold: readonly TopicPartition[] | undefined
  #telling: Promise<void> | undefined
  #stopped = false

  constructor(
    topics: ReadonlyMap<string, number>,
    onAssignment: GroupOptions['onAssignment'],
    onFailure: (error: unknown) => void,
  ) {
    this.topics = topics
    this.#onAssignment = onAssignment
    this.#onFailure = onFailure
  }

  /** Whether it was last given exactly these. */
  has(partitions: readonly TopicPartition[]): boolean {
    return partitions.length === this.#partitions.length && this.kept(partitions).length === partitions.length
  }

  /** Those of its partitions that are among these. */
  kept(partitions: readonly TopicPartition[]): TopicPartition[] {
    const wanted = new Set(partitions.map(partitionKey))
    return this.#partitions.filter((partition) => wanted.has(partitionKey(partition)))
  }

  /** Resolves when the member has been told. While it is busy with an earlier assignment, only the last one counts. */
  assign(partitions: readonly TopicPartition[]): Promise<void> {
    this.#partitions = partitions
    this.#untold = partitions
    this.#telling ??= this.#tell()
    return this.#telling
  }

  stop(): void {
    this.#stopped = true
  }

  async #tell(): Promise<void> {
    while (this.#untold !== undefined && !this.#stopped) {
      const partitions = this.#untold
      this.#untold = undefined
      try {
        await this.#onAssignment(partitions)
      } catch (error) {
        this.#onFailure(error)
      }
    }
    this.#telling = undefined
  }
}
