import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import { type PlatformNames, platformNames, type TopicPrefixes } from '../../../src/control/names.ts'
import type { Broker } from '../../../src/ports/broker.ts'
import { createLog } from '../../../src/telemetry/log.ts'
import { NAMES } from '../../names.ts'
import { freePort } from '../../servers/free-port.ts'
import { type KafkaServer, startKafka } from '../../servers/kafka.ts'
import { type KafkaCluster, startKafkaCluster } from '../../servers/kafka-cluster.ts'
import { type PostgresServer, startPostgres } from '../../servers/postgres.ts'
import { type Rewriting, startTcpProxy, type TcpProxy } from '../../servers/tcp-proxy.ts'
import { makeFolder, PlatformProcess } from '../platform-process.ts'
import { SimulatorProcess } from './simulator-process.ts'

export interface ClusterOptions {
  readonly seed: number
  /** Trades a second. */
  readonly rate: number
  /** So many trades, then no more; endless by default. */
  readonly events?: number
  /** The roles of each process, by a name of ours, in the order of their start. */
  readonly roles: Readonly<Record<string, string>>
  /** Settings of all processes. */
  readonly environment?: Readonly<Record<string, string>>
  /** Further settings of one process, which may point to files in the folder. */
  readonly environmentOf?: (name: string, folder: string) => Readonly<Record<string, string>>
  /** The program of another build, of processes that have one. */
  readonly entryOf?: (name: string) => string | undefined
  /** So many brokers of Kafka: 1 by default. */
  readonly brokers?: 1 | 3
  /** Changes what goes through the connections to the brokers. */
  readonly rewrite?: () => Rewriting
  /** Programs of another PostgreSQL than that of the package. */
  readonly postgresBinaries?: string
  /** Shares the servers of another platform, with these prefixes and a database of its own. */
  readonly beside?: { readonly cluster: Cluster; readonly prefixes: TopicPrefixes }
  readonly onUnexpectedEnd?: (name: string, how: number | NodeJS.Signals | null) => void
}

/** Kafka and PostgreSQL through proxies, a simulator with a ledger, and processes with roles; all end with this process. */
export interface Cluster {
  readonly folder: string
  /** Where the processes' logs are. */
  readonly logs: string
  readonly ledger: string
  /** The broker, or the first of several. */
  readonly kafka: KafkaServer
  /** Where there are several brokers. */
  readonly kafkaCluster: KafkaCluster | undefined
  readonly postgres: PostgresServer
  /** The platform's own database, past the proxies. */
  readonly database: string
  /** What the platform calls its own on the broker. */
  readonly topics: PlatformNames
  /** In front of each broker: what all processes connect to. */
  readonly brokerLinks: readonly TcpProxy[]
  /** In front of the database: each process has one of its own. */
  readonly databaseLink: (name: string) => TcpProxy
  readonly simulator: SimulatorProcess
  readonly process: (name: string) => PlatformProcess
  readonly names: readonly string[]
  /** The address of a process with the role gateway; it stays when it starts again. */
  readonly api: (name: string) => string
  /** Asks the database itself, past the proxy. */
  readonly sql: <T extends object>(statement: string) => Promise<T[]>
  /** Opens the broker itself, for reading what is in it. */
  readonly openBroker: () => Promise<Broker>
  /** Ends everything; the folder stays with `keep`. */
  readonly close: (options?: { readonly keep?: boolean }) => Promise<void>
}

/** How long a query of a test may take. */
const QUERY_MS = 60_000

/** Starts servers and simulator, and no process yet: `startAll` does that. */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const {
    seed,
    rate,
    events,
    roles,
    environment = {},
    environmentOf,
    entryOf,
    beside,
    onUnexpectedEnd,
  } = options
  const folder = await makeFolder()
  const logs = join(folder.path, 'logs')
  const ledger = join(folder.path, 'ledger')
  const closing: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    for (const end of closing.toReversed()) await end()
  }
  try {
    await mkdir(logs)
    const { kafka, kafkaCluster, brokerLinks, postgres } =
      beside?.cluster ?? (await openServers(options, closing))
    const database = new URL(postgres.url)
    if (beside !== undefined) {
      const { controlPrefix } = beside.prefixes
      await ask(postgres.url, `create database "${controlPrefix}"`)
      database.pathname = `/${controlPrefix}`
    }
    const ownPrefixes = beside && {
      TAPELINE_TOPICS_PREFIX: beside.prefixes.prefix,
      TAPELINE_TOPICS_DYNAMIC_PREFIX: beside.prefixes.dynamicPrefix,
      TAPELINE_TOPICS_CONTROL_PREFIX: beside.prefixes.controlPrefix,
    }
    const simulator = await SimulatorProcess.start({
      ...{ seed, rate, ledger, folder: folder.path },
      ...(events !== undefined && { events }),
    })
    closing.push(() => simulator.kill())
    const bootstrap = brokerLinks.map(({ port }) => `127.0.0.1:${port}`)
    const servers = ['--kafka', bootstrap.join(','), '--simulator', simulator.url]

    const databaseLinks = new Map<string, TcpProxy>()
    const processes = new Map<string, PlatformProcess>()
    const addresses = new Map<string, string>()
    for (const [name, ofProcess] of Object.entries(roles)) {
      const port = await freePort()
      addresses.set(name, `http://127.0.0.1:${port}`)
      const link = await startTcpProxy({ target: { port: postgres.port } })
      closing.push(() => link.close())
      databaseLinks.set(name, link)
      const through = new URL(database)
      const entry = entryOf?.(name)
      through.port = String(link.port)
      processes.set(
        name,
        new PlatformProcess(
          join(folder.path, name),
          [...servers, '--database', through.href, '--roles', ofProcess, '--port', String(port)],
          { ...ownPrefixes, ...environment, ...environmentOf?.(name, folder.path) },
          {
            logFile: join(logs, `${name}.log`),
            ...(entry !== undefined && { entry }),
            ...(onUnexpectedEnd && { onUnexpectedEnd: (how) => onUnexpectedEnd(name, how) }),
          },
        ),
      )
    }
    closing.push(() => Promise.all([...processes.values()].map((each) => each.kill())))

    const find = <T>(map: ReadonlyMap<string, T>, name: string): T => {
      const found = map.get(name)
      if (found === undefined) throw new Error(`there is no process ${name}`)
      return found
    }
    return {
      ...{ folder: folder.path, logs, ledger, kafka, kafkaCluster, postgres, brokerLinks, simulator },
      ...{ database: database.href, topics: beside ? platformNames(beside.prefixes) : NAMES },
      databaseLink: (name) => find(databaseLinks, name),
      process: (name) => find(processes, name),
      names: [...processes.keys()],
      api: (name) => find(addresses, name),
      sql: (statement) => ask(database.href, statement),
      openBroker: () =>
        openKafkaBroker(
          {
            ...{
              bootstrap: (kafkaCluster?.servers ?? [kafka]).map(({ port }) => `127.0.0.1:${port}`),
              clientId: 'observer',
              compression: 'none',
              replication: 0,
            },
            sessionMs: 6_000,
            log: createLog({ level: 'error', pretty: false }),
          },
          AbortSignal.timeout(QUERY_MS),
        ),
      async close({ keep = false } = {}) {
        await close()
        if (!keep) await folder.remove()
      },
    }
  } catch (error) {
    await close()
    await folder.remove()
    throw error
  }
}

type Servers = Pick<Cluster, 'kafka' | 'kafkaCluster' | 'brokerLinks' | 'postgres'>

/** Starts database and brokers, each broker through a proxy to which it sends those who come through one. What ends them goes to `closing`. */
async function openServers(
  { brokers = 1, rewrite, postgresBinaries }: ClusterOptions,
  closing: (() => Promise<unknown>)[],
): Promise<Servers> {
  const ports: number[] = []
  for (let i = 0; i < brokers; i++) ports.push(await freePort())
  const kafkaCluster = brokers === 1 ? undefined : await startKafkaCluster({ proxies: ports })
  const [first = await startKafka({ proxy: ports[0] ?? 0 }), ...others] = kafkaCluster?.servers ?? []
  const servers = [first, ...others]
  closing.push(() => Promise.all(servers.map((server) => server.close())))
  const brokerLinks: TcpProxy[] = []
  for (const [i, { behindProxy }] of servers.entries()) {
    const link = await startTcpProxy({
      target: { port: behindProxy },
      port: ports[i] ?? 0,
      ...(rewrite && { rewrite }),
    })
    closing.push(() => link.close())
    brokerLinks.push(link)
  }
  const postgres = await startPostgres(postgresBinaries === undefined ? {} : { binaries: postgresBinaries })
  closing.push(() => postgres.close())
  return { kafka: first, kafkaCluster, brokerLinks, postgres }
}

/** Starts processes at once, all by default, and waits until each is ready. */
export async function startAll(cluster: Cluster, names = cluster.names): Promise<void> {
  await Promise.all(names.map((name) => cluster.process(name).start()))
}

async function ask<T extends object>(url: string, statement: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url, query_timeout: QUERY_MS })
  // A server that is killed meanwhile also rejects the query.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<T>(statement)).rows
  } finally {
    await client.end()
  }
}
