import { type Connection, ConnectionPool, ResponseError } from '@platformatic/kafka'
import { untilAborted } from '../../../async/abort.ts'
import { startTimer } from '../../../async/timers.ts'
import { TapelineError } from '../../../errors.ts'
import { abortReason } from '../abort-reason.ts'
import { brokerError } from './errors.ts'
import {
  type ApiVersions,
  askVersions,
  negotiate,
  type REQUESTS,
  type RequestName,
  type SpokenVersions,
  spokenVersions,
} from './protocol.ts'
import { type Address, connectionOptions, type KafkaSettings, parseAddress, REQUEST_MS } from './settings.ts'
import type { TopicState, TopicView } from './topic-view.ts'
import { type BrokerVersion, brokerVersion } from './version.ts'

/** How long connections may take to close in order. */
const CLOSE_MS = 1_000

type Newest<N extends RequestName> = (typeof REQUESTS)[N][0]['async']
/** What a request takes and gives, over all versions as in the newest. */
type Args<N extends RequestName> = Parameters<Newest<N>> extends [Connection, ...infer A] ? A : never
export type Answer<N extends RequestName> = Awaited<ReturnType<Newest<N>>>

/** Which broker a request goes to: one by its number, the one for the whole cluster, or any. */
export type Destination = number | 'controller' | 'any'

/** Source: https://kafka.apache.org/protocol#The_Messages_FindCoordinator */
const COORDINATOR_OF = { group: 0, transaction: 1 } as const

/**
 * The connections to the brokers of a cluster, one to each. Each part that must not wait for another has a cluster of its own,
 * since a connection answers in the order of the requests.
 */
export class Cluster {
  readonly #pool: ConnectionPool
  readonly #bootstrap: Address[]
  readonly #view: TopicView
  readonly #versions = new WeakMap<Connection, Promise<ApiVersions>>()
  readonly #ranges = new WeakMap<ApiVersions, SpokenVersions>()
  readonly #brokers = new Map<number, Address>()
  #controller = -1
  /** When each address last gave no answer (performance.now): for what any broker can answer, those are asked last. */
  readonly #unanswered = new Map<string, number>()
  #closed = false

  /** A request without an answer within `answerMs` shows that its connection has stalled. */
  constructor(settings: KafkaSettings, view: TopicView, answerMs: number = REQUEST_MS) {
    const { connectTimeout = answerMs, ...options } = connectionOptions(settings)
    const limits = { connectTimeout: Math.min(connectTimeout, answerMs), requestTimeout: answerMs }
    this.#pool = new ConnectionPool(settings.clientId, { ...options, ...limits })
    this.#bootstrap = settings.bootstrap.map(parseAddress)
    this.#view = view
  }

  /** What is known of a topic without asking. */
  known(topic: string): TopicState | undefined {
    return this.#view.known(topic)
  }

  /** Asks for topics, or for all of them; those that do not exist are left out. */
  async topics(names: readonly string[] | null, signal?: AbortSignal): Promise<Map<string, TopicState>> {
    const wanted = names === null ? null : [...names]
    return this.#learn(await this.request('metadata', 'any', [wanted, false, false], signal))
  }

  /** Looks for the first time: whether the broker can be used at all. Raises BROKER_UNSUPPORTED too. */
  async introduce(signal: AbortSignal): Promise<BrokerVersion> {
    const answer = await this.request('metadata', 'any', [[], false, false], signal)
    this.#learn(answer)
    const connection = await this.#connection('any')
    return brokerVersion(await this.#ask(connection), answer.clusterId ?? null)
  }

  #learn(answer: Answer<'metadata'>): Map<string, TopicState> {
    this.#learnBrokers(answer.brokers)
    this.#controller = answer.controllerId
    return this.#view.update(answer.topics)
  }

  /** Those that are gone are forgotten: one that comes back is in a later answer. */
  #learnBrokers(brokers: Answer<'metadata'>['brokers']): void {
    if (brokers.length > 0) this.#brokers.clear()
    for (const { nodeId, host, port } of brokers) this.#brokers.set(nodeId, { host, port })
    const known = new Set(this.#addresses().map(addressKey))
    for (const key of this.#unanswered.keys()) if (!known.has(key)) this.#unanswered.delete(key)
  }

  /** A topic as it is known, asked for where it is not; undefined where there is none. */
  async topic(name: string, signal?: AbortSignal): Promise<TopicState | undefined> {
    return this.known(name) ?? (await this.topics([name], signal)).get(name)
  }

  /** The broker that coordinates a group or a transactional id, or the code of the error that it answers instead. */
  async coordinator(
    of: keyof typeof COORDINATOR_OF,
    key: string,
    signal?: AbortSignal,
  ): Promise<{ readonly node: number; readonly errorCode: number }> {
    const answer = await this.request('findCoordinator', 'any', [COORDINATOR_OF[of], [key]], signal)
    const { nodeId = -1, host = '', port = 0, errorCode = -1 } = answer.coordinators[0] ?? {}
    if (errorCode === 0) this.#brokers.set(nodeId, { host, port })
    return { node: nodeId, errorCode }
  }

  /**
   * Sends a request, and gives the answer, also where it says of parts that they failed. A connection that gave none is
   * closed. Raises the BROKER_ codes, TIMEOUT and SHUTTING_DOWN.
   */
  async request<N extends RequestName>(
    name: N,
    to: Destination,
    args: Args<N>,
    signal?: AbortSignal,
  ): Promise<Answer<N>> {
    if (signal?.aborted) throw abortReason(signal)
    if (this.#closed) throw closed()
    const answer = this.#send(name, to, args)
    return signal === undefined ? answer : untilAborted(answer, signal, abortReason)
  }

  /** The version of a request that a broker is spoken to with. */
  async version(name: RequestName, to: Destination): Promise<number> {
    const connection = await this.#connection(to)
    return negotiate(name, await this.#spoken(connection)).version
  }

  /** Closes all connections; one that cannot say goodbye, since its broker stands still, is ended without. */
  async close(): Promise<void> {
    this.#closed = true
    const sockets = [...this.#pool].map(([, connection]) => connection.socket)
    const late = Promise.withResolvers<void>()
    const timer = startTimer(() => {
      for (const socket of sockets) socket?.destroy()
      late.resolve()
    }, CLOSE_MS)
    await Promise.race([this.#pool.close(), late.promise])
    timer.stop()
  }

  /** Closes the connection to a broker without an answer to what is under way: the next request makes a new one. */
  async drop(node: number): Promise<void> {
    const address = this.#brokers.get(node)
    const connection = address && this.#pool.getEstablishedConnection(address)
    if (connection !== undefined) await closeQuietly(connection)
  }

  async #send<N extends RequestName>(name: N, to: Destination, args: Args<N>): Promise<Answer<N>> {
    let connection: Connection | undefined
    try {
      connection = await this.#connection(to)
      const { async: send } = negotiate(name, await this.#spoken(connection))
      const call = send as (connection: Connection, ...args: unknown[]) => Promise<unknown>
      const answer = (await call(connection, ...args)) as Answer<N>
      this.#view.answeredAt = performance.now()
      return answer
    } catch (error) {
      if (error instanceof ResponseError && 'response' in error) {
        this.#view.answeredAt = performance.now()
        return error['response'] as Answer<N>
      }
      if (this.#closed) throw closed()
      if (connection !== undefined) {
        this.#unanswered.set(addressKey(connection), performance.now())
        await closeQuietly(connection)
      }
      throw brokerError(error, `${name} failed`)
    }
  }

  async #spoken(connection: Connection): Promise<SpokenVersions> {
    const versions = await this.#ask(connection)
    const known = this.#ranges.get(versions) ?? spokenVersions(versions)
    this.#ranges.set(versions, known)
    return known
  }

  #ask(connection: Connection): Promise<ApiVersions> {
    const known = this.#versions.get(connection) ?? askVersions(connection)
    this.#versions.set(connection, known)
    return known
  }

  async #connection(to: Destination): Promise<Connection> {
    if (to === 'any') return this.#pool.getFirstAvailable(this.#addresses())
    if (to === 'controller') {
      if (this.#controller < 0) await this.topics([])
      return this.#connection(this.#controller < 0 ? 'any' : this.#controller)
    }
    const address = this.#brokers.get(to) ?? (await this.#locate(to))
    return this.#pool.get(address)
  }

  /** All that is known of; those that gave no answer come last, the latest of them at the end. */
  #addresses(): Address[] {
    const all = [...this.#bootstrap, ...this.#brokers.values()]
    const different = new Map(all.map((each) => [addressKey(each), each]))
    const since = (key: string): number => this.#unanswered.get(key) ?? 0
    return [...different].sort(([a], [b]) => since(a) - since(b)).map(([, address]) => address)
  }

  async #locate(node: number): Promise<Address> {
    await this.topics([])
    const address = this.#brokers.get(node)
    if (address === undefined)
      throw new TapelineError('BROKER_UNAVAILABLE', `the broker ${node} is not there`)
    return address
  }
}

function addressKey({ host, port }: Pick<Connection, 'host' | 'port'>): string {
  return `${host}:${port}`
}

function closed(): TapelineError {
  return new TapelineError('SHUTTING_DOWN', 'the broker client is closed')
}

async function closeQuietly(connection: Connection): Promise<void> {
  try {
    // At once: what has not left yet must not leave after the next connection has begun.
    connection.socket.destroy()
    await connection.close()
  } catch {
    // It is broken already, which is why it is closed.
  }
}
