import { createSerializer } from '../../../async/serialize.ts'
import { partitionKey } from '../../../domain/record.ts'
import type { GroupOptions } from '../../../ports/broker.ts'

type TopicPartition = Parameters<GroupOptions['onAssignment']>[0][number]

/** One that reads topics, and what it was last given. */
interface Member {
  /** Number of partitions of each topic that it reads. */
  readonly topics: ReadonlyMap<string, number>
  readonly onAssignment: GroupOptions['onAssignment']
  readonly left: PromiseWithResolvers<void>
  given: readonly TopicPartition[]
}

/**
 * The members of one group, all of this process. Partition k of every topic goes to the same member among those that read
 * the topic, so that the partitions of a shard stay together. When members come or go, what a member loses is taken from it
 * before another gets it.
 */
export class PartitionGroup {
  readonly #onFailure: (error: unknown) => void
  readonly #inTurn = createSerializer()
  readonly #members = new Set<Member>()

  /** `onFailure` is told what a member raises that is given partitions. */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure
  }

  /** Gives what the member leaves by: from then on it hears of nothing, and nobody waits for it. */
  join(topics: Member['topics'], onAssignment: Member['onAssignment']): () => void {
    const member: Member = { topics, onAssignment, left: Promise.withResolvers(), given: [] }
    this.#members.add(member)
    void this.#inTurn(() => this.#share())
    return () => {
      member.left.resolve()
      if (this.#members.delete(member)) void this.#inTurn(() => this.#share())
    }
  }

  close(): void {
    for (const { left } of this.#members) left.resolve()
    this.#members.clear()
  }

  async #share(): Promise<void> {
    const shares = [...this.#members].map((member) => [member, this.#shareOf(member)] as const)
    await Promise.all(shares.map(([member, share]) => this.#give(member, common(member.given, share))))
    await Promise.all(shares.map(([member, share]) => this.#give(member, share)))
  }

  #shareOf(member: Member): TopicPartition[] {
    return [...member.topics].flatMap(([topic, partitions]) => {
      const readers = [...this.#members].filter(({ topics }) => topics.has(topic))
      return Array.from({ length: partitions }, (_, partition) => ({ topic, partition })).filter(
        ({ partition }) => readers[partition % readers.length] === member,
      )
    })
  }

  /** Resolves when the member has been told; it is not told what it was told last. */
  async #give(member: Member, partitions: readonly TopicPartition[]): Promise<void> {
    const { given, onAssignment, left } = member
    const isSame = given.length === partitions.length && common(given, partitions).length === given.length
    if (isSame || !this.#members.has(member)) return
    member.given = partitions
    await Promise.race([left.promise, onAssignment(partitions).catch(this.#onFailure)])
  }
}

function common(some: readonly TopicPartition[], others: readonly TopicPartition[]): TopicPartition[] {
  const wanted = new Set(others.map(partitionKey))
  return some.filter((partition) => wanted.has(partitionKey(partition)))
}
