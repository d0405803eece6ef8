import { randomUUID } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { TapelineError } from '../../../errors.ts'
import type { TopicDescription, TopicIdentity, TopicSpec } from '../../../ports/broker.ts'
import { inTransaction } from './database.ts'

/** A reader's hold on a partition. */
export interface PartitionSubscriber {
  notifyAppended(): void
  notifyDeleted(): void
}

export interface Topic {
  readonly id: string
  readonly name: string
  readonly compacted: boolean
  readonly retentionMs: number | undefined
  readonly partitions: Partition[]
}

/** What is known of a partition without asking the database. */
export interface Partition {
  /** Key of its rows in `batches`. */
  readonly id: number
  readonly topic: Topic
  readonly number: number
  earliest: number
  end: number
  /** Publication time of the last batch; the next one is never published before it, even if the clock goes back. */
  lastPublished: number
  /** Of compacted topics: whether something was appended since the last compaction. */
  uncompacted: boolean
  readonly subscribers: Set<PartitionSubscriber>
}

/** As Kafka has it: letters, digits, '.', '_' and '-', at most 249 of them. */
const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,249}$/

/** The topics of the log and the state of their partitions, in memory and in the database. */
export class TopicCatalog {
  readonly #database: DatabaseSync
  readonly #topics = new Map<string, Topic>()

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#load()
  }

  /** All topics that exist. */
  get topics(): Iterable<Topic> {
    return this.#topics.values()
  }

  /** A partition, if it is there. */
  find(name: string, number: number): Partition | undefined {
    return this.#topics.get(name)?.partitions[number]
  }

  /** Raises TOPIC_UNKNOWN. */
  partition(name: string, number: number): Partition {
    const topic = this.#topics.get(name)
    const partitions = [{ topic: name, partition: number }]
    if (topic === undefined)
      throw new TapelineError('TOPIC_UNKNOWN', `There is no topic ${name}.`, { partitions })
    const partition = topic.partitions[number]
    if (partition === undefined) {
      throw new TapelineError(
        'TOPIC_UNKNOWN',
        `Topic ${name} has ${topic.partitions.length} partitions, not one of number ${number}.`,
        { partitions },
      )
    }
    return partition
  }

  list(prefix: string): TopicDescription[] {
    const found: TopicDescription[] = []
    for (const topic of this.#topics.values()) if (topic.name.startsWith(prefix)) found.push(describe(topic))
    return found
  }

  /** Those of the topics that exist. */
  describe(names: readonly string[]): TopicDescription[] {
    return names.flatMap((name) => {
      const topic = this.#topics.get(name)
      return topic === undefined ? [] : [describe(topic)]
    })
  }

  /** Makes all topics or none. Raises TOPIC_EXISTS, INPUT_INVALID. */
  create(specs: readonly TopicSpec[]): TopicDescription[] {
    const made = new Map<string, Topic>()
    inTransaction(this.#database, () => {
      for (const spec of specs) {
        const existing = this.#topics.get(spec.name) ?? made.get(spec.name)
        if (existing === undefined) made.set(spec.name, this.#insert(spec))
        else if (!hasSettings(existing, spec)) {
          throw new TapelineError('TOPIC_EXISTS', `Topic ${spec.name} exists with other settings.`)
        }
      }
    })
    for (const topic of made.values()) this.#topics.set(topic.name, topic)
    return specs.map((spec) => describe(this.#topics.get(spec.name) as Topic))
  }

  /** Deletes those that exist, and returns them. Their rows stay until they are purged. */
  delete(identities: readonly TopicIdentity[]): Topic[] {
    const known = identities.flatMap(({ name, id }) => {
      const topic = this.#topics.get(name)
      return topic?.id === id ? [topic] : []
    })
    const topics = [...new Set(known)]
    inTransaction(this.#database, () => {
      const forget = this.#database.prepare('delete from topics where id = ?')
      const remember = this.#database.prepare('insert into deleted_topics (name) values (?)')
      for (const topic of topics) {
        forget.run(topic.id)
        remember.run(topic.name)
      }
    })
    for (const topic of topics) this.#topics.delete(topic.name)
    return topics
  }

  #insert(spec: TopicSpec): Topic {
    if (!TOPIC_NAME.test(spec.name) || !Number.isSafeInteger(spec.partitions) || spec.partitions < 1) {
      throw new TapelineError(
        'INPUT_INVALID',
        `A topic has a name of letters, digits, '.', '_' and '-', and at least one partition; not ${JSON.stringify(spec)}.`,
      )
    }
    const deleted = this.#database.prepare('select 1 from deleted_topics where name = ?').get(spec.name)
    if (deleted !== undefined) {
      throw new TapelineError(
        'TOPIC_EXISTS',
        `A topic ${spec.name} existed before; names are never used twice.`,
      )
    }
    const { name, retentionMs } = spec
    const topic: Topic = {
      id: randomUUID(),
      name,
      compacted: spec.compacted ?? false,
      retentionMs,
      partitions: [],
    }
    this.#database
      .prepare('insert into topics (id, name, compacted, retention_ms) values (?, ?, ?, ?)')
      .run(topic.id, name, Number(topic.compacted), retentionMs ?? null)
    const insert = this.#database.prepare('insert into partitions (topic, number) values (?, ?)')
    for (let number = 0; number < spec.partitions; number++) {
      const id = Number(insert.run(topic.id, number).lastInsertRowid)
      topic.partitions.push(emptyPartition(id, topic, number))
    }
    return topic
  }

  #load(): void {
    const byId = new Map<string, Topic>()
    const topics = this.#database.prepare('select id, name, compacted, retention_ms from topics')
    for (const row of topics.iterate()) {
      const topic: Topic = {
        id: String(row['id']),
        name: String(row['name']),
        compacted: row['compacted'] === 1,
        retentionMs: row['retention_ms'] === null ? undefined : Number(row['retention_ms']),
        partitions: [],
      }
      byId.set(topic.id, topic)
      this.#topics.set(topic.name, topic)
    }
    const last = this.#database.prepare(
      'select next_offset, published from batches where partition = ? order by next_offset desc limit 1',
    )
    const partitions = this.#database.prepare(
      'select id, topic, number, log_start, log_end from partitions where topic is not null order by topic, number',
    )
    for (const row of partitions.all()) {
      const topic = byId.get(String(row['topic'])) as Topic
      const partition = emptyPartition(Number(row['id']), topic, Number(row['number']))
      const tail = last.get(partition.id)
      partition.earliest = Number(row['log_start'])
      partition.end = Math.max(Number(row['log_end']), Number(tail?.['next_offset'] ?? 0))
      partition.lastPublished = Number(tail?.['published'] ?? 0)
      partition.uncompacted = topic.compacted && partition.end > 0
      topic.partitions.push(partition)
    }
  }
}

function emptyPartition(id: number, topic: Topic, number: number): Partition {
  return {
    id,
    topic,
    number,
    earliest: 0,
    end: 0,
    lastPublished: 0,
    uncompacted: false,
    subscribers: new Set(),
  }
}

function describe({ id, name, compacted, retentionMs, partitions }: Topic): TopicDescription {
  return {
    id,
    name,
    compacted,
    partitions: partitions.length,
    ...(retentionMs === undefined ? undefined : { retentionMs }),
    offsets: partitions.map(({ earliest, end }) => ({ earliest, end })),
  }
}

function hasSettings(topic: Topic, spec: TopicSpec): boolean {
  return (
    topic.partitions.length === spec.partitions &&
    topic.retentionMs === spec.retentionMs &&
    topic.compacted === (spec.compacted ?? false)
  )
}
