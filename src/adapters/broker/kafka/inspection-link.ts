import { setTimeout as delay } from 'node:timers/promises'
import {
  addPartitionsToTxnV1,
  addPartitionsToTxnV3,
  ConfigResourceTypes,
  type Connection,
  type ConnectionPool,
  createTopicsV4,
  createTopicsV5,
  createTopicsV7,
  deleteTopicsV3,
  deleteTopicsV4,
  deleteTopicsV5,
  describeConfigsV1,
  describeConfigsV4,
  describeGroupsV3,
  describeGroupsV5,
  endTxnV1,
  endTxnV3,
  findCoordinatorV1,
  findCoordinatorV2,
  findCoordinatorV3,
  initProducerIdV1,
  initProducerIdV4,
  metadataV8,
  metadataV12,
  produceV7,
  produceV11,
  ResponseError,
} from '@platformatic/kafka'
import { TapelineError } from '../../../errors.ts'
import { brokerError } from './errors.ts'
import type { SpokenVersions } from './protocol.ts'
import type { Address } from './settings.ts'

/** One version of a request. */
interface Version<A extends unknown[], R> {
  readonly key: number
  readonly version: number
  readonly async: (connection: Connection, ...args: A) => Promise<R>
}

const COORDINATOR_OF = { group: 0, transaction: 1 } as const
const STEP_MS = 5_000

export interface ProducerIdentity {
  readonly transactionalId: string
  readonly id: bigint
  readonly epoch: number
}

/** The requests of an inspection. An answer that says of parts that they failed is an answer; the caller looks at the codes. */
export class InspectionLink {
  readonly #pool: ConnectionPool
  readonly #first: Connection
  readonly #brokers = new Map<number, Address>()
  #controller: Connection
  /** What the broker speaks, by the key of the request. */
  spoken: SpokenVersions = new Map()

  constructor(pool: ConnectionPool, first: Connection) {
    this.#pool = pool
    this.#first = first
    this.#controller = first
  }

  /** Brokers, controller and all topics that the user may see, those of the broker itself left out. */
  async cluster() {
    const answer = await this.#ask([metadataV12.api, metadataV8.api], this.#first, [null, false, true])
    for (const { nodeId, host, port } of answer.brokers) this.#brokers.set(nodeId, { host, port })
    this.#controller = await this.#to(answer.controllerId)
    return { ...answer, topics: answer.topics.filter(({ isInternal }) => !isInternal) }
  }

  async topicConfigs(names: readonly string[]) {
    if (names.length === 0) return []
    const resourceType = ConfigResourceTypes.TOPIC
    const configurationKeys = ['retention.ms', 'cleanup.policy', 'min.insync.replicas']
    const resources = names.map((resourceName) => ({ resourceType, resourceName, configurationKeys }))
    const versions = [describeConfigsV4.api, describeConfigsV1.api]
    return (await this.#ask(versions, this.#first, [resources, false, false])).results
  }

  /** The error code of making each topic, without making it. */
  async tryCreate(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const plain = { numPartitions: 1, replicationFactor: -1, assignments: [], configs: [] }
    const topics = names.map((name) => ({ name, ...plain }))
    const versions = [createTopicsV7.api, createTopicsV5.api, createTopicsV4.api]
    const answer = await this.#ask(versions, this.#controller, [topics, STEP_MS, true])
    return new Map(answer.topics.map(({ name, errorCode }) => [name, errorCode]))
  }

  /** The error code of deleting topics; only for names that no topic has. */
  async tryDelete(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const topics = names.map((name) => ({ name }))
    const versions = [deleteTopicsV5.api, deleteTopicsV4.api, deleteTopicsV3.api]
    const answer = await this.#ask(versions, this.#controller, [topics, STEP_MS])
    return new Map(answer.responses.map(({ name, errorCode }) => [name ?? '', errorCode]))
  }

  /** The error code of looking at a group, and the bits of what the user may do there. */
  async tryGroup(group: string): Promise<{ readonly errorCode: number; readonly operations: number }> {
    const found = await this.#coordinator('group', group)
    if (typeof found === 'number') return { errorCode: found, operations: 0 }
    const answer = await this.#ask([describeGroupsV5.api, describeGroupsV3.api], found, [[group], true])
    const [first] = answer.groups
    return { errorCode: first?.errorCode ?? 0, operations: first?.authorizedOperations ?? 0 }
  }

  /** The error code of ending a transaction that nobody has begun: without the right to write it says so before all else. */
  async tryTransaction(transactionalId: string): Promise<number> {
    const found = await this.#coordinator('transaction', transactionalId)
    if (typeof found === 'number') return found
    return this.endTransaction({ transactionalId, id: BigInt(Number.MAX_SAFE_INTEGER), epoch: 0 })
  }

  async begin(transactionalId: string): Promise<{ readonly errorCode: number } & ProducerIdentity> {
    const node = await this.#transactions(transactionalId)
    const versions = [initProducerIdV4.api, initProducerIdV1.api]
    const answer = await this.#ask(versions, node, [transactionalId, STEP_MS, -1n, -1])
    return {
      transactionalId,
      id: answer.producerId,
      epoch: answer.producerEpoch,
      errorCode: answer.errorCode,
    }
  }

  async addPartition(identity: ProducerIdentity, topic: string): Promise<number> {
    const { transactionalId, id, epoch } = identity
    const topics = [{ name: topic, partitions: [0] }]
    const wanted = { transactionalId, producerId: id, producerEpoch: epoch, topics, verifyOnly: false }
    // Later versions are for brokers among themselves.
    const versions = [addPartitionsToTxnV3.api, addPartitionsToTxnV1.api]
    const answer = await this.#ask(versions, await this.#transactions(transactionalId), [[wanted]])
    const [result] = answer.resultsByTransaction[0]?.topicResults[0]?.resultsByPartition ?? []
    return result?.partitionErrorCode ?? answer.errorCode
  }

  /** Writes a record without value into partition 0; the broker's time of it in milliseconds, -1 where the topic keeps ours. */
  async stamp(identity: ProducerIdentity, topic: string, key: string): Promise<number> {
    const { id: producerId, epoch: producerEpoch, transactionalId } = identity
    const { topics } = await this.#ask([metadataV12.api, metadataV8.api], this.#first, [
      [topic],
      false,
      false,
    ])
    const leader = topics[0]?.partitions.find(({ partitionIndex }) => partitionIndex === 0)?.leaderId ?? -1
    const record = { topic, partition: 0, key: Buffer.from(key), value: Buffer.alloc(0) }
    const options = { producerId, producerEpoch, transactionalId }
    const versions = [produceV11.api, produceV7.api]
    const answer = await this.#ask(versions, await this.#to(leader), [-1, STEP_MS, [record], options])
    if (typeof answer === 'boolean') return -1
    const [result] = answer.responses[0]?.partitionResponses ?? []
    return result === undefined || result.errorCode !== 0 ? -1 : Number(result.logAppendTimeMs)
  }

  async endTransaction({ transactionalId, id, epoch }: ProducerIdentity): Promise<number> {
    const node = await this.#transactions(transactionalId)
    const answer = await this.#ask([endTxnV3.api, endTxnV1.api], node, [transactionalId, id, epoch, false])
    return answer.errorCode
  }

  async #transactions(transactionalId: string): Promise<Connection> {
    const found = await this.#coordinator('transaction', transactionalId)
    if (typeof found !== 'number') return found
    throw new TapelineError('BROKER_UNAVAILABLE', `no coordinator for ${transactionalId} (error ${found})`)
  }

  /** The connection to a coordinator, or the error code of asking for it. */
  async #coordinator(of: keyof typeof COORDINATOR_OF, key: string): Promise<Connection | number> {
    const versions = [findCoordinatorV3.api, findCoordinatorV2.api, findCoordinatorV1.api]
    const { coordinators } = await this.#ask(versions, this.#first, [COORDINATOR_OF[of], [key]])
    const [first] = coordinators
    if (first === undefined || first.errorCode !== 0) return first?.errorCode ?? -1
    return this.#pool.get({ host: first.host, port: first.port })
  }

  async #to(node: number): Promise<Connection> {
    const address = this.#brokers.get(node)
    return address === undefined ? this.#first : this.#pool.get(address)
  }

  async #ask<A extends unknown[], R>(
    versions: readonly Version<A, R>[],
    connection: Connection,
    args: A,
  ): Promise<R> {
    const version = versions.find((each) => {
      const range = this.spoken.get(each.key)
      return range !== undefined && range.minVersion <= each.version && each.version <= range.maxVersion
    })
    if (version === undefined) {
      const key = versions[0]?.key
      throw new TapelineError(
        'BROKER_UNSUPPORTED',
        `the broker does not speak request ${key} as it is needed`,
      )
    }
    try {
      return await version.async(connection, ...args)
    } catch (error) {
      if (error instanceof ResponseError && 'response' in error) return error['response'] as R
      throw brokerError(error, 'the broker did not answer')
    }
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
