import { type Connection, ConnectionPool, ResponseError } from '@platformatic/kafka'
import { TapelineError } from '../../../errors.ts'
import { brokerError } from './errors.ts'
import { askVersions, negotiate, type REQUESTS, type RequestName, type SpokenVersions } from './protocol.ts'
import { type Address, connectionOptions, type KafkaSettings, parseAddress } from './settings.ts'

/** A topic as the cluster knows it at present. */
export interface TopicState {
  readonly name: string
  /** The topic's UUID; its name where the broker has no ids. */
  readonly id: string
  /** The leading broker of each partition; -1 while there is none. */
  readonly leaders: readonly number[]
}

type Newest<N extends RequestName> = (typeof REQUESTS)[N][0]['async']
/** What a request takes and gives, over all versions as in the newest. */
type Args<N extends RequestName> = Parameters<Newest<N>> extends [Connection, ...infer A] ? A : never
type Answer<N extends RequestName> = Awaited<ReturnType<Newest<N>>>

const UNKNOWN_TOPIC = 3
const LEADER_NOT_AVAILABLE = 5
const TOPIC_AUTHORIZATION_FAILED = 29
const NO_ID = '00000000-0000-0000-0000-000000000000'

/**
 * The connections to the brokers of a cluster, one to each, and what it says of topics. Each part that must not wait for
 * another has a cluster of its own, since a connection answers in the order of the requests.
 */
export class Cluster {
  readonly #pool: ConnectionPool
  readonly #bootstrap: Address[]
  readonly #versions = new WeakMap<Connection, Promise<SpokenVersions>>()
  readonly #brokers = new Map<number, Address>()
  readonly #topics = new Map<string, TopicState>()
  #closed = false

  constructor(settings: KafkaSettings) {
    this.#pool = new ConnectionPool(settings.clientId, connectionOptions(settings))
    this.#bootstrap = settings.bootstrap.map(parseAddress)
  }

  /** What is known of a topic without asking. */
  known(topic: string): TopicState | undefined {
    return this.#topics.get(topic)
  }

  /** Forgets a topic, so that the next look asks. */
  forget(topic: string): void {
    this.#topics.delete(topic)
  }

  /** Asks for topics, or for all of them; those that do not exist are left out. */
  async topics(names: readonly string[] | null, signal?: AbortSignal): Promise<Map<string, TopicState>> {
    const answer = await this.request(
      'metadata',
      undefined,
      [names === null ? null : [...names], false, false],
      signal,
    )
    for (const { nodeId, host, port } of answer.brokers) this.#brokers.set(nodeId, { host, port })
    const found = new Map<string, TopicState>()
    for (const topic of answer.topics) {
      const name = topic.name ?? ''
      if (topic.errorCode === TOPIC_AUTHORIZATION_FAILED)
        throw new TapelineError('BROKER_FORBIDDEN', `the user may not look at the topic ${name}`)
      if (topic.errorCode === UNKNOWN_TOPIC) {
        this.#topics.delete(name)
        continue
      }
      if (topic.errorCode !== 0 && topic.errorCode !== LEADER_NOT_AVAILABLE) continue
      const leaders: number[] = topic.partitions.map(() => -1)
      for (const { partitionIndex, leaderId } of topic.partitions) leaders[partitionIndex] = leaderId
      const id = topic.topicId === undefined || topic.topicId === NO_ID ? name : topic.topicId
      const state = { name, id, leaders }
      this.#topics.set(name, state)
      found.set(name, state)
    }
    return found
  }

  /** A topic as it is known, asked for where it is not; undefined where there is none. */
  async topic(name: string, signal?: AbortSignal): Promise<TopicState | undefined> {
    return this.#topics.get(name) ?? (await this.topics([name], signal)).get(name)
  }

  /**
   * Sends a request to a broker, or to any, and gives the answer, also where it says of parts that they failed. A connection
   * that gave none is closed. Raises the BROKER_ codes, and SHUTTING_DOWN.
   */
  async request<N extends RequestName>(
    name: N,
    node: number | undefined,
    args: Args<N>,
    signal?: AbortSignal,
  ): Promise<Answer<N>> {
    signal?.throwIfAborted()
    if (this.#closed) throw new TapelineError('SHUTTING_DOWN', 'the broker client is closed')
    const answer = this.#send(name, node, args)
    return signal === undefined ? answer : untilAborted(answer, signal)
  }

  /** The version of a request that a broker is spoken to with. */
  async version(name: RequestName, node: number): Promise<number> {
    const connection = await this.#connection(node)
    return negotiate(name, await this.#spoken(connection)).version
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#pool.close()
  }

  /** Closes the connections without an answer to what is under way: the next request makes new ones. */
  async drop(): Promise<void> {
    await Promise.all([...this.#pool].map(([, connection]) => connection.close()))
  }

  async #send<N extends RequestName>(name: N, node: number | undefined, args: Args<N>): Promise<Answer<N>> {
    let connection: Connection | undefined
    try {
      connection = await this.#connection(node)
      const { async: send } = negotiate(name, await this.#spoken(connection))
      const call = send as (connection: Connection, ...args: unknown[]) => Promise<unknown>
      return (await call(connection, ...args)) as Answer<N>
    } catch (error) {
      if (error instanceof ResponseError && 'response' in error) return error['response'] as Answer<N>
      if (this.#closed) throw new TapelineError('SHUTTING_DOWN', 'the broker client is closed')
      if (connection !== undefined) await closeQuietly(connection)
      throw brokerError(error, `${name} failed`)
    }
  }

  #spoken(connection: Connection): Promise<SpokenVersions> {
    const known = this.#versions.get(connection) ?? askVersions(connection)
    this.#versions.set(connection, known)
    return known
  }

  async #connection(node: number | undefined): Promise<Connection> {
    if (node === undefined)
      return this.#pool.getFirstAvailable([...this.#bootstrap, ...this.#brokers.values()])
    const address = this.#brokers.get(node) ?? (await this.#locate(node))
    return this.#pool.get(address)
  }

  async #locate(node: number): Promise<Address> {
    await this.topics([])
    const address = this.#brokers.get(node)
    if (address === undefined)
      throw new TapelineError('BROKER_UNAVAILABLE', `the broker ${node} is not there`)
    return address
  }
}

async function closeQuietly(connection: Connection): Promise<void> {
  try {
    await connection.close()
  } catch {
    // It is broken already, which is why it is closed.
  }
}

/** A wait that the signal ends; what is waited for goes on, and its failure is not lost on anybody. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
