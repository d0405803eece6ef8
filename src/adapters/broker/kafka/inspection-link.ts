import { ConfigResourceTypes } from '@platformatic/kafka'
import { delay } from '../../../async/timers.ts'
import { TapelineError } from '../../../errors.ts'
import type { Cluster } from './cluster.ts'
import { encodeBatch } from './record-encoder.ts'

const STEP_MS = 5_000

export interface ProducerIdentity {
  readonly transactionalId: string
  readonly id: bigint
  readonly epoch: number
}

/** The requests of an inspection. An answer that says of parts that they failed is an answer; the caller looks at the codes. */
export class InspectionLink {
  readonly #cluster: Cluster
  readonly #signal: AbortSignal

  constructor(cluster: Cluster, signal: AbortSignal) {
    this.#cluster = cluster
    this.#signal = signal
  }

  /** Brokers, controller and all topics that the user may see, those of the broker itself left out. */
  async cluster() {
    const answer = await this.#cluster.request('metadata', 'any', [null, false, true], this.#signal)
    return { ...answer, topics: answer.topics.filter(({ isInternal }) => !isInternal) }
  }

  async topicConfigs(names: readonly string[]) {
    if (names.length === 0) return []
    const resourceType = ConfigResourceTypes.TOPIC
    const configurationKeys = ['retention.ms', 'cleanup.policy', 'min.insync.replicas']
    const resources = names.map((resourceName) => ({ resourceType, resourceName, configurationKeys }))
    const args = [resources, false, false] as const
    return (await this.#cluster.request('describeConfigs', 'any', [...args], this.#signal)).results
  }

  /** The error code of making each topic, without making it. */
  async tryCreate(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const plain = { numPartitions: 1, replicationFactor: -1, assignments: [], configs: [] }
    const topics = names.map((name) => ({ name, ...plain }))
    const args = [topics, STEP_MS, true] as const
    const answer = await this.#cluster.request('createTopics', 'controller', [...args], this.#signal)
    return new Map(answer.topics.map(({ name, errorCode }) => [name, errorCode]))
  }

  /** The error code of deleting topics; only for names that no topic has. */
  async tryDelete(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const topics = names.map((name) => ({ name }))
    const answer = await this.#cluster.request('deleteTopics', 'controller', [topics, STEP_MS], this.#signal)
    return new Map(answer.responses.map(({ name, errorCode }) => [name ?? '', errorCode]))
  }

  /** The error code of looking at a group, and the bits of what the user may do there. */
  async tryGroup(group: string): Promise<{ readonly errorCode: number; readonly operations: number }> {
    const { node, errorCode } = await this.#cluster.coordinator('group', group, this.#signal)
    if (errorCode !== 0) return { errorCode, operations: 0 }
    const answer = await this.#cluster.request('describeGroups', node, [[group], true], this.#signal)
    const [first] = answer.groups
    return { errorCode: first?.errorCode ?? 0, operations: first?.authorizedOperations ?? 0 }
  }

  /** The error code of ending a transaction that nobody has begun: without the right to write it says so before all else. */
  async tryTransaction(transactionalId: string): Promise<number> {
    const { errorCode } = await this.#cluster.coordinator('transaction', transactionalId, this.#signal)
    if (errorCode !== 0) return errorCode
    return this.endTransaction({ transactionalId, id: BigInt(Number.MAX_SAFE_INTEGER), epoch: 0 })
  }

  async begin(transactionalId: string): Promise<{ readonly errorCode: number } & ProducerIdentity> {
    const node = await this.#transactions(transactionalId)
    const args = [transactionalId, STEP_MS, -1n, -1] as const
    const answer = await this.#cluster.request('initProducerId', node, [...args], this.#signal)
    const { producerId: id, producerEpoch: epoch, errorCode } = answer
    return { transactionalId, id, epoch, errorCode }
  }

  async addPartition(identity: ProducerIdentity, topic: string): Promise<number> {
    const { transactionalId, id, epoch } = identity
    const topics = [{ name: topic, partitions: [0] }]
    const wanted = { transactionalId, producerId: id, producerEpoch: epoch, topics, verifyOnly: false }
    const node = await this.#transactions(transactionalId)
    const answer = await this.#cluster.request('addPartitionsToTxn', node, [[wanted]], this.#signal)
    const [result] = answer.resultsByTransaction[0]?.topicResults[0]?.resultsByPartition ?? []
    return result?.partitionErrorCode ?? answer.errorCode
  }

  /** Writes a record without value into partition 0; the broker's time of it in milliseconds, -1 where the topic keeps ours. */
  async stamp(identity: ProducerIdentity, topic: string, key: string): Promise<number> {
    const { id: producerId, epoch: producerEpoch, transactionalId } = identity
    const leader = (await this.#cluster.topic(topic, this.#signal))?.leaders[0] ?? -1
    const record = { key, value: new Uint8Array(0), headers: { v: 1, kind: 'control' } } as const
    const writer = { producerId, producerEpoch, sequence: 0, transactional: true }
    const batch = { topic, partition: 0, bytes: encodeBatch([record], writer, 'none') }
    const args = [[batch], transactionalId, STEP_MS] as const
    const answer = await this.#cluster.request('produce', leader, [...args], this.#signal)
    const [result] = answer.responses[0]?.partitionResponses ?? []
    return result === undefined || result.errorCode !== 0 ? -1 : Number(result.logAppendTimeMs)
  }

  async endTransaction({ transactionalId, id, epoch }: ProducerIdentity): Promise<number> {
    const node = await this.#transactions(transactionalId)
    const args = [transactionalId, id, epoch, false] as const
    return (await this.#cluster.request('endTxn', node, [...args], this.#signal)).errorCode
  }

  async #transactions(transactionalId: string): Promise<number> {
    const { node, errorCode } = await this.#cluster.coordinator('transaction', transactionalId, this.#signal)
    if (errorCode === 0) return node
    throw new TapelineError(
      'BROKER_UNAVAILABLE',
      `no coordinator for ${transactionalId} (error ${errorCode})`,
    )
  }
}

/** Codes of a coordinator that is not ready, or still ends an earlier transaction: https://kafka.apache.org/protocol#protocol_error_codes */
const PASSING = new Set([14, 15, 16, 51])
const ROUNDS = 60
const PAUSE_MS = 50

/** Attempts until the error code is one that does not pass by itself, for 3 s at most. */
export async function whilePassing(attempt: () => Promise<number>): Promise<number> {
  for (let round = 1; ; round++) {
    const code = await attempt()
    if (!PASSING.has(code) || round === ROUNDS) return code
    await delay(PAUSE_MS)
  }
}
