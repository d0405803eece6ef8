import { TapelineError } from '../../src/errors.ts'
import type {
  Broker,
  GroupMember,
  PartitionFetch,
  PartitionRecords,
  PollOptions,
  Reader,
  ReadPosition,
  TransactionalWriter,
} from '../../src/ports/broker.ts'
import { type Host, runAs } from './clock.ts'
import type { Groups } from './groups.ts'
import { Link, type Surroundings } from './link.ts'
import type { MemoryBroker } from './memory-broker.ts'
import type { MemoryReader } from './memory-reader.ts'

/** The broker as one process sees it, through its link and with its own view of the metadata. */
export class PortBroker implements Broker {
  readonly #inner: MemoryBroker
  readonly #around: Surroundings
  readonly #groups: Groups
  readonly #host: Host
  readonly #link: Link

  constructor(inner: MemoryBroker, around: Surroundings, groups: Groups, host: Host) {
    this.#inner = inner
    this.#around = around
    this.#groups = groups
    this.#host = host
    this.#link = new Link(around, host, 'broker')
  }

  createTopics: Broker['createTopics'] = (specs, signal) =>
    this.#link.call(
      `create ${specs.map(({ name }) => name)}`,
      () => this.#inner.createTopics(specs, new AbortController().signal),
      signal,
    )

  deleteTopics: Broker['deleteTopics'] = (topics, signal) =>
    this.#link.call(
      `delete ${topics.map(({ name }) => name)}`,
      () => this.#inner.deleteTopics(topics, NEVER),
      signal,
    )

  listTopics: Broker['listTopics'] = async (prefix, signal) => {
    const topics = await this.#link.call(
      `list ${prefix}`,
      () => this.#inner.listTopics(prefix, NEVER),
      signal,
    )
    return topics.filter(({ name }) => !this.#around.weather.hides(this.#host, name))
  }

  describeTopics: Broker['describeTopics'] = async (names, signal) => {
    const topics = await this.#link.call(
      `describe ${names}`,
      () => this.#inner.describeTopics(names, NEVER),
      signal,
    )
    return topics.filter(({ name }) => !this.#around.weather.hides(this.#host, name))
  }

  topicIds: Broker['topicIds'] = async (names, signal) => {
    const ids = await this.#link.call(`ids ${names}`, () => this.#inner.topicIds(names, NEVER), signal)
    return new Map([...ids].filter(([name]) => !this.#around.weather.hides(this.#host, name)))
  }

  offsetAt: Broker['offsetAt'] = (topic, partition, timestamp, signal) =>
    this.#link.call(
      `offset-at ${topic}`,
      () => this.#inner.offsetAt(topic, partition, timestamp, NEVER),
      signal,
      { refusal: () => this.#unknown([{ topic, partition }]) },
    )

  publish: Broker['publish'] = (entries, signal) =>
    this.#link.call(`publish ${describe(entries)}`, () => this.#inner.publish(entries, NEVER), signal, {
      writes: placesOf(entries),
      refusal: () => this.#unknown(entries) ?? this.#unwritable(entries),
    })

  takeOver: Broker['takeOver'] = async (id, signal) => {
    const inner = await this.#link.call(
      `take-over ${id}`,
      () => runAs(this.#host, () => this.#inner.takeOver(id, NEVER)),
      signal,
    )
    const writer: TransactionalWriter = {
      commit: (entries, stop) =>
        this.#link.call(`commit ${describe(entries)}`, () => inner.commit(entries, NEVER), stop, {
          writes: [id],
          refusal: () => this.#unknown(entries),
        }),
      close: () => inner.close(),
    }
    return writer
  }

  openReader: Broker['openReader'] = async (signal) => {
    await this.#link.call('open-reader', async () => {}, signal)
    const inner = runAs(this.#host, () => this.#inner.openMemoryReader())
    return new PortReader(inner, this.#link, this.#around, this.#host)
  }

  joinGroup: Broker['joinGroup'] = (options, signal): Promise<GroupMember> =>
    this.#groups.join(this.#host, this.#link, options, signal)

  ping: Broker['ping'] = (signal) => this.#link.call('ping', async () => {}, signal)

  /** The broker belongs to all processes. */
  close: Broker['close'] = async () => {}

  /** The metadata of this process lacks topics: nothing was written. */
  #unknown(places: readonly Place[]): TapelineError | undefined {
    const hidden = places.filter(({ topic }) => this.#around.weather.hides(this.#host, topic))
    if (hidden.length === 0) return undefined
    const partitions = hidden.map(({ topic, partition }) => ({ topic, partition }))
    return new TapelineError('TOPIC_UNKNOWN', `there is no topic ${hidden[0]?.topic}`, { partitions })
  }

  /** Topics that alone cannot be written: those beside them are. */
  #unwritable(entries: readonly PartitionRecords[]): TapelineError | undefined {
    const failed = entries.filter(({ topic }) => !this.#around.weather.writes(topic))
    if (failed.length === 0) return undefined
    const others = entries.filter((entry) => !failed.includes(entry))
    // Of the others the caller does not hear: where one of their topics is gone, none of them is written.
    this.#inner.publish(others, NEVER).catch(() => undefined)
    const partitions = failed.map(({ topic, partition }) => ({ topic, partition }))
    return new TapelineError('BROKER_UNAVAILABLE', 'some topics cannot be written', { partitions })
  }
}

type Place = Pick<ReadPosition, 'topic' | 'partition'>

const NEVER = new AbortController().signal

/** A reader of one process: an answer that does not reach it is given again. */
class PortReader implements Reader {
  readonly #inner: MemoryReader
  readonly #link: Link
  readonly #around: Surroundings
  readonly #host: Host
  readonly #topics = new Set<string>()

  constructor(inner: MemoryReader, link: Link, around: Surroundings, host: Host) {
    this.#inner = inner
    this.#link = link
    this.#around = around
    this.#host = host
  }

  async assign(positions: readonly ReadPosition[], signal: AbortSignal): Promise<void> {
    await this.#link.call(
      `assign ${positions.map(({ topic, partition, offset }) => `${topic}:${partition}@${offset}`)}`,
      () => this.#inner.assign(positions, NEVER),
      signal,
      { refusal: () => this.#refusal(positions.map(({ topic }) => topic)) },
    )
    for (const { topic } of positions) this.#topics.add(topic)
  }

  unassign: Reader['unassign'] = (places, signal) => this.#inner.unassign(places, signal)

  async poll(options: PollOptions, signal: AbortSignal): Promise<readonly PartitionFetch[]> {
    const found = await this.#inner.poll(options, signal)
    try {
      return await this.#link.call(
        found.length === 0 ? 'poll' : `poll ${found.map(nameOf)}`,
        async () => this.#withoutHidden(found),
        signal,
        { refusal: () => this.#unreadable() },
      )
    } catch (error) {
      this.#inner.putBack()
      throw error
    }
  }

  close: Reader['close'] = () => this.#inner.close()

  #refusal(topics: readonly string[]): TapelineError | undefined {
    const hidden = topics.find((topic) => this.#around.weather.hides(this.#host, topic))
    if (hidden !== undefined) return new TapelineError('TOPIC_UNKNOWN', `there is no topic ${hidden}`)
    return this.#unreadable(topics)
  }

  #unreadable(topics: Iterable<string> = this.#topics): TapelineError | undefined {
    for (const topic of topics)
      if (!this.#around.weather.reads(this.#host, topic)) return this.#link.unavailable('fetches fail')
    return undefined
  }

  /** A topic that the metadata lacks is told as deleted, and is read no longer. */
  #withoutHidden(found: readonly PartitionFetch[]): PartitionFetch[] {
    const gone = [...this.#topics].filter((topic) => this.#around.weather.hides(this.#host, topic))
    for (const topic of gone) this.#topics.delete(topic)
    const places = this.#inner.places().filter(({ topic }) => gone.includes(topic))
    if (places.length > 0) void this.#inner.unassign(places, NEVER)
    const told = found.filter((fetch) => !gone.includes(fetch.topic))
    return [...gone.map((topic): PartitionFetch => ({ kind: 'deleted', topic })), ...told]
  }
}

function nameOf(fetch: PartitionFetch): string {
  if (fetch.kind === 'deleted') return `${fetch.topic} deleted`
  const place = `${fetch.topic}:${fetch.partition}`
  if (fetch.kind === 'records') return `${place}+${fetch.records.length}@${fetch.nextOffset}`
  return `${place} ${fetch.kind}`
}

function placesOf(entries: readonly PartitionRecords[]): string[] {
  return entries.map(({ topic, partition }) => `${topic}:${partition}`)
}

function describe(entries: readonly PartitionRecords[]): string {
  return entries.map(({ topic, partition, records }) => `${topic}:${partition}+${records.length}`).join(' ')
}
