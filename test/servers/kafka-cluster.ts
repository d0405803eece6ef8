import { setTimeout as delay } from 'node:timers/promises'
import {
  alterPartitionReassignmentsV0,
  Connection,
  createAPI,
  describeQuorumV1,
  metadataV12,
  type Reader,
  Writer,
} from '@platformatic/kafka'
import { freePort } from './free-port.ts'
import { type KafkaServer, startKafka } from './kafka.ts'

export interface KafkaClusterOptions {
  /** Broker properties over those below, or besides them. */
  readonly properties?: Readonly<Record<string, string>>
  /** For each broker the port of a proxy in front of it: see `KafkaOptions.proxy`. */
  readonly proxies?: readonly number[]
}

/** Three brokers that are all controllers: each partition lies on all, and two are enough. */
export interface KafkaCluster {
  readonly servers: readonly KafkaServer[]
  /** HOST:PORT of each. */
  readonly bootstrap: readonly string[]
  readonly server: (id: number) => KafkaServer
  /** The broker that leads the controllers. */
  readonly controller: () => Promise<KafkaServer>
  /** All partitions, of all topics by default: which broker leads, -1 for none, and which keep up. */
  readonly partitions: (topics?: readonly string[]) => Promise<readonly PartitionState[]>
  /** Resolves when each partition has a leader and all copies keep up; rejects after a minute. */
  readonly untilWhole: (signal?: AbortSignal) => Promise<void>
  /** Makes brokers the leaders of partitions, where they keep up with them. */
  readonly moveLeaders: (moves: readonly LeaderMove[]) => Promise<void>
  readonly close: () => Promise<void>
}

interface PartitionState {
  readonly topic: string
  readonly partition: number
  readonly leader: number
  readonly inSync: readonly number[]
}

interface LeaderMove {
  readonly topic: string
  readonly partition: number
  readonly to: number
}

const SIZE = 3
const WHOLE_MS = 60_000
const REQUEST_MS = 10_000
const LOOK_EVERY_MS = 100
const METADATA_TOPIC = '__cluster_metadata'

const PROPERTIES = {
  'default.replication.factor': '3',
  'min.insync.replicas': '2',
  'offsets.topic.replication.factor': '3',
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
  'share.coordinator.state.topic.replication.factor': '3',
  'share.coordinator.state.topic.min.isr': '2',
  'broker.session.timeout.ms': '2000',
  'controller.quorum.election.timeout.ms': '500',
  'controller.quorum.fetch.timeout.ms': '1000',
  'controlled.shutdown.enable': 'true',
  'replica.fetch.backoff.ms': '100',
}

/** Starts three brokers at once; they end with this process. */
export async function startKafkaCluster(options: KafkaClusterOptions = {}): Promise<KafkaCluster> {
  const ids = Array.from({ length: SIZE }, (_, i) => i + 1)
  const ports = new Map<number, number>()
  for (const id of ids) ports.set(id, await freePort())
  const voters = [...ports].map(([id, port]) => `${id}@127.0.0.1:${port}`).join(',')
  const starts = await Promise.allSettled(
    ids.map((id, i) => {
      const proxy = options.proxies?.[i]
      return startKafka({
        member: { id, controllerPort: ports.get(id) ?? 0, voters },
        properties: { ...PROPERTIES, ...options.properties },
        ...(proxy !== undefined && { proxy }),
      })
    }),
  )
  const servers = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.close()))
  }
  for (const start of starts) {
    if (start.status === 'fulfilled') continue
    await close()
    throw start.reason
  }
  return clusterOf(servers, close)
}

function clusterOf(servers: readonly KafkaServer[], close: () => Promise<void>): KafkaCluster {
  const server = (id: number): KafkaServer => {
    const found = servers.find((each) => each.id === id)
    if (found === undefined) throw new Error(`there is no broker ${id}`)
    return found
  }

  /** Asks the first broker that answers. */
  const ask = async <T>(question: (connection: Connection) => Promise<T>): Promise<T> => {
    let failure: unknown
    for (const { port } of servers) {
      const connection = new Connection('test', { connectTimeout: REQUEST_MS, requestTimeout: REQUEST_MS })
      try {
        await connection.connect('127.0.0.1', port)
        return await question(connection)
      } catch (error) {
        failure = error
      } finally {
        await connection.close().catch(() => undefined)
      }
    }
    throw failure
  }

  const partitionsOf: KafkaCluster['partitions'] = async (names) => {
    const wanted = names === undefined ? null : [...names]
    const answer = await ask((connection) => metadataV12.api.async(connection, wanted, false, false))
    return answer.topics.flatMap(({ name, partitions }) =>
      partitions
        .toSorted((a, b) => a.partitionIndex - b.partitionIndex)
        .map(({ partitionIndex: partition, leaderId: leader, isrNodes: inSync }) => ({
          ...{ topic: name ?? '', partition, leader, inSync },
        })),
    )
  }

  return {
    servers,
    bootstrap: servers.map(({ bootstrap }) => bootstrap),
    server,
    async controller() {
      const topics = [{ topicName: METADATA_TOPIC, partitions: [{ partitionIndex: 0 }] }]
      const answer = await ask((connection) => describeQuorumV1.api.async(connection, topics))
      return server(answer.topics[0]?.partitions[0]?.leaderId ?? -1)
    },
    partitions: partitionsOf,
    async untilWhole(signal) {
      const isWhole = ({ leader, inSync }: PartitionState): boolean => leader >= 0 && inSync.length === SIZE
      for (const end = Date.now() + WHOLE_MS; ; ) {
        const states = await partitionsOf().catch(() => undefined)
        if (states?.every(isWhole)) return
        if (Date.now() > end) {
          const logs = servers.map(({ id, log }) => `broker ${id}:\n${log()}`)
          throw new Error(`copies do not keep up after ${WHOLE_MS} ms:\n${logs.join('\n')}`)
        }
        await delay(LOOK_EVERY_MS, undefined, { signal })
      }
    },
    async moveLeaders(moves) {
      const ids = servers.map(({ id }) => id)
      const byTopic = [...Map.groupBy(moves, ({ topic }) => topic)]
      const order = byTopic.map(([name, own]) => ({
        name,
        partitions: own.map(({ partition, to }) => ({
          partitionIndex: partition,
          replicas: [to, ...ids.filter((id) => id !== to)],
        })),
      }))
      await ask(async (connection) => {
        await alterPartitionReassignmentsV0.api.async(connection, REQUEST_MS, false, order)
        await electPreferred.async(connection, moves)
      })
    },
    close,
  }
}

/**
 * Makes the first replica of each partition its leader; one that does not keep up stays what it is.
 * Source: https://kafka.apache.org/protocol#The_Messages_ElectLeaders
 */
const electPreferred = createAPI<[moves: readonly LeaderMove[]], undefined>(
  43,
  2,
  (moves: readonly LeaderMove[]) =>
    Writer.create()
      .appendInt8(0)
      .appendArray([...Map.groupBy(moves, ({ topic }) => topic)], (writer, [topic, own]) => {
        const partitions = own.map(({ partition }) => partition)
        writer
          .appendString(topic)
          .appendArray(partitions, (each, partition) => each.appendInt32(partition), true, false)
      })
      .appendInt32(REQUEST_MS)
      .appendTaggedFields(),
  (_correlation, _key, _version, _reader: Reader) => undefined,
)
