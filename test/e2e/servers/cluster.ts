import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import type { Broker } from '../../../src/ports/broker.ts'
import { createLog } from '../../../src/telemetry/log.ts'
import { freePort } from '../../servers/free-port.ts'
import { type KafkaServer, startKafka } from '../../servers/kafka.ts'
import { type PostgresServer, startPostgres } from '../../servers/postgres.ts'
import { startTcpProxy, type TcpProxy } from '../../servers/tcp-proxy.ts'
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
  /** Programs of another PostgreSQL than that of the package. */
  readonly postgresBinaries?: string
  readonly onUnexpectedEnd?: (name: string, how: number | NodeJS.Signals | null) => void
}

/** Kafka and PostgreSQL behind proxies, a simulator with a ledger, and processes with roles; all end with this process. */
export interface Cluster {
  readonly folder: string
  /** Where the processes' logs are. */
  readonly logs: string
  readonly ledger: string
  readonly kafka: KafkaServer
  readonly postgres: PostgresServer
  /** In front of the broker: what all processes connect to. */
  readonly brokerLink: TcpProxy
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
const READY_MS = 60_000

/** Starts servers and simulator, and no process yet: `startAll` does that. */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const { seed, rate, events, roles, environment = {}, postgresBinaries, onUnexpectedEnd } = options
  const folder = await makeFolder()
  const logs = join(folder.path, 'logs')
  const ledger = join(folder.path, 'ledger')
  const closing: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    for (const end of closing.toReversed()) await end()
  }
  try {
    await mkdir(logs)
    const brokerPort = await freePort()
    const kafka = await startKafka({ advertised: { host: '127.0.0.1', port: brokerPort } })
    closing.push(() => kafka.close())
    const postgres = await startPostgres(postgresBinaries === undefined ? {} : { binaries: postgresBinaries })
    closing.push(() => postgres.close())
    const brokerLink = await startTcpProxy({ target: { port: kafka.port }, port: brokerPort })
    closing.push(() => brokerLink.close())
    const simulator = await SimulatorProcess.start({
      ...{ seed, rate, ledger, folder: folder.path },
      ...(events !== undefined && { events }),
    })
    closing.push(() => simulator.kill())
    const servers = ['--kafka', kafka.bootstrap, '--simulator', simulator.url]

    const databaseLinks = new Map<string, TcpProxy>()
    const processes = new Map<string, PlatformProcess>()
    const addresses = new Map<string, string>()
    for (const [name, ofProcess] of Object.entries(roles)) {
      const port = await freePort()
      addresses.set(name, `http://127.0.0.1:${port}`)
      const link = await startTcpProxy({ target: { port: postgres.port } })
      closing.push(() => link.close())
      databaseLinks.set(name, link)
      const database = new URL(postgres.url)
      database.port = String(link.port)
      processes.set(
        name,
        new PlatformProcess(
          join(folder.path, name),
          [...servers, '--database', database.href, '--roles', ofProcess, '--port', String(port)],
          environment,
          {
            logFile: join(logs, `${name}.log`),
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
      ...{ folder: folder.path, logs, ledger, kafka, postgres, brokerLink, simulator },
      databaseLink: (name) => find(databaseLinks, name),
      process: (name) => find(processes, name),
      names: [...processes.keys()],
      api: (name) => find(addresses, name),
      sql: (statement) => ask(postgres.url, statement),
      openBroker: () =>
        openKafkaBroker(
          {
            ...{ bootstrap: [kafka.bootstrap], clientId: 'observer', compression: 'none', replication: 0 },
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

/** Starts processes at once, all by default, and waits until each is ready. */
export async function startAll(cluster: Cluster, names = cluster.names): Promise<void> {
  await Promise.all(names.map((name) => cluster.process(name).start(READY_MS)))
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
