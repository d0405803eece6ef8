import { PartitionGroup } from '../../src/adapters/broker/embedded/partition-group.ts'
import { TapelineError } from '../../src/errors.ts'
import type {
  Broker,
  GroupMember,
  GroupOptions,
  OutgoingRecord,
  PartitionAck,
  PartitionRecords,
  Reader,
  TopicDescription,
  TopicIdentity,
  TopicSpec,
  TransactionalWriter,
} from '../../src/ports/broker.ts'
import { currentHost } from './clock.ts'
import { type MemoryPartition, MemoryTopic } from './memory-log.ts'
import { MemoryReader } from './memory-reader.ts'

const MAX_RECORD_BYTES = 1024 * 1024

/**
 * A broker in memory that behaves as Kafka does: names of topics may be used again, only ids tell them apart, and transactions leave
 * holes in the offsets. Everything happens at once, within the call: delays and failures are put around it.
 */
export class MemoryBroker implements Broker {
  readonly topics = new Map<string, MemoryTopic>()
  /** Topics that were deleted. */
  readonly removed: MemoryTopic[] = []
  /** The identities of topics that somebody else deleted. */
  readonly takenAway = new Set<string>()
  /** Of topics that somebody else made anew under the name of such a one: they are not the platform's. */
  readonly madeByOthers = new Set<string>()
  readonly readers = new Set<MemoryReader>()
  /** Who took which transactional id over, and when. */
  readonly takeOvers: { readonly id: string; readonly host: string | undefined; readonly at: number }[] = []
  readonly #now: () => number
  readonly #groups = new Map<string, PartitionGroup>()
  readonly #epochs = new Map<string, number>()
  #lastId = 0
  #isClosed = false

  /** `now`: the clock that publication times go by, in milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  async createTopics(specs: readonly TopicSpec[], signal: AbortSignal): Promise<readonly TopicDescription[]> {
    this.#admit(signal)
    for (const spec of specs) {
      const known = this.topics.get(spec.name)
      if (known && !isEqual(known.spec, spec))
        throw new TapelineError('TOPIC_EXISTS', `${spec.name} exists with other settings`)
    }
    return specs.map((spec) => {
      const topic = this.topics.get(spec.name) ?? new MemoryTopic(spec, `topic-${++this.#lastId}`)
      this.topics.set(spec.name, topic)
      return topic.describe()
    })
  }

  async deleteTopics(identities: readonly TopicIdentity[], signal: AbortSignal): Promise<void> {
    this.#admit(signal)
    for (const { name, id } of identities) {
      const topic = this.topics.get(name)
      if (topic?.id !== id) continue
      this.topics.delete(name)
      this.removed.push(topic)
      for (const { watchers } of topic.partitions) for (const watcher of [...watchers]) watcher.onDeleted()
    }
  }

  async listTopics(prefix: string, signal: AbortSignal): Promise<readonly TopicDescription[]> {
    this.#admit(signal)
    return [...this.topics.values()]
      .filter(({ spec }) => spec.name.startsWith(prefix))
      .map((topic) => topic.describe())
  }

  async describeTopics(names: readonly string[], signal: AbortSignal): Promise<readonly TopicDescription[]> {
    this.#admit(signal)
    return names.flatMap((name) => this.topics.get(name)?.describe() ?? [])
  }

  async topicIds(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    this.#admit(signal)
    const found = names.flatMap((name) => this.topics.get(name) ?? [])
    return new Map(found.map(({ spec, id }) => [spec.name, id]))
  }

  async offsetAt(topic: string, partition: number, timestamp: number, signal: AbortSignal): Promise<number> {
    this.#admit(signal)
    const { records, end } = this.#topic(topic).partition(partition)
    return records.find((record) => record.timestamp >= timestamp)?.offset ?? end
  }

  async publish(entries: readonly PartitionRecords[], signal: AbortSignal): Promise<readonly PartitionAck[]> {
    this.#admit(signal)
    return this.#append(entries).acks
  }

  async takeOver(transactionalId: string, signal: AbortSignal): Promise<TransactionalWriter> {
    this.#admit(signal)
    const epoch = (this.#epochs.get(transactionalId) ?? 0) + 1
    this.#epochs.set(transactionalId, epoch)
    this.takeOvers.push({ id: transactionalId, host: currentHost()?.name, at: this.#now() })
    let isClosed = false
    return {
      commit: async (entries, commitSignal) => {
        this.#admit(commitSignal)
        if (isClosed) throw new TapelineError('SHUTTING_DOWN', 'the writer is closed')
        if (this.#epochs.get(transactionalId) !== epoch)
          throw new TapelineError('FENCED', `${transactionalId} was taken over`)
        const { acks, partitions } = this.#append(entries)
        for (const partition of partitions) partition.appendControl()
        return acks
      },
      close: async () => {
        isClosed = true
      },
    }
  }

  async openReader(signal: AbortSignal): Promise<Reader> {
    this.#admit(signal)
    return this.openMemoryReader()
  }

  openMemoryReader(): MemoryReader {
    this.#refuseWhenClosed()
    const reader = new MemoryReader(
      (topic) => {
        this.#refuseWhenClosed()
        return this.#topic(topic)
      },
      (gone) => void this.readers.delete(gone),
    )
    this.readers.add(reader)
    return reader
  }

  async joinGroup(
    { group: name, topics, onAssignment }: GroupOptions,
    signal: AbortSignal,
  ): Promise<GroupMember> {
    this.#admit(signal)
    const partitions = new Map(topics.map((topic) => [topic, this.#topic(topic).spec.partitions]))
    const group = this.#groups.get(name) ?? new PartitionGroup(() => {})
    this.#groups.set(name, group)
    const leave = group.join(partitions, onAssignment)
    return {
      commit: async (_positions, commitSignal) => this.#admit(commitSignal),
      leave: async () => leave(),
    }
  }

  async ping(signal: AbortSignal): Promise<void> {
    this.#admit(signal)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const group of this.#groups.values()) group.close()
    for (const reader of [...this.readers]) await reader.close()
  }

  /** Writes all entries, or refuses them before anything is written. */
  #append(entries: readonly PartitionRecords[]): {
    readonly acks: PartitionAck[]
    readonly partitions: ReadonlySet<MemoryPartition>
  } {
    const isKnown = ({ topic, partition }: PartitionRecords): boolean =>
      this.topics.get(topic)?.partitions[partition] !== undefined
    const unknown = entries.filter((entry) => !isKnown(entry))
    const partitions = unknown.map(({ topic, partition }) => ({ topic, partition }))
    const [first] = partitions
    if (first) throw new TapelineError('TOPIC_UNKNOWN', `there is no topic ${first.topic}`, { partitions })
    const targets = entries.map(({ topic: name, partition, records }) => {
      const topic = this.#topic(name)
      for (const record of records) refuse(topic, record)
      return topic.partition(partition)
    })
    const acks = entries.map(({ topic, partition, records }, i) => ({
      ...{ topic, partition },
      baseOffset: (targets[i] as MemoryPartition).append(records, this.#now()),
    }))
    return { acks, partitions: new Set(targets) }
  }

  #topic(name: string): MemoryTopic {
    const topic = this.topics.get(name)
    if (topic) return topic
    throw new TapelineError('TOPIC_UNKNOWN', `there is no topic ${name}`)
  }

  #admit(signal: AbortSignal): void {
    this.#refuseWhenClosed()
    signal.throwIfAborted()
  }

  #refuseWhenClosed(): void {
    if (this.#isClosed) throw new TapelineError('SHUTTING_DOWN', 'the broker is closed')
  }
}

function refuse({ spec }: MemoryTopic, { key, value }: OutgoingRecord): void {
  if ((value?.length ?? 0) + (key?.length ?? 0) > MAX_RECORD_BYTES)
    throw new TapelineError('RECORD_TOO_LARGE', `a record for ${spec.name} is too large`)
  if (spec.compacted && key === null)
    throw new TapelineError('INPUT_INVALID', `${spec.name} is compacted: its records need keys`)
}

function isEqual(a: TopicSpec, b: TopicSpec): boolean {
  return a.partitions === b.partitions && a.compacted === b.compacted && a.retentionMs === b.retentionMs
}
