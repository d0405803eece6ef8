import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { type Guard, guard } from './guard.ts'
import { classPath } from './kafka-jars.ts'
import {
  accepts,
  formatData,
  javaArguments,
  type KafkaPrograms,
  kafkaPrograms,
  QUICK,
  writeLogging,
} from './kafka-java.ts'
import {
  furtherListeners,
  type KafkaLogin,
  loginProperties,
  prepareLogin,
  scramUsers,
} from './kafka-login.ts'

export { kafkaMissing } from './kafka-jars.ts'

const run = promisify(execFile)

export interface KafkaOptions extends KafkaLogin {
  /** Broker properties over those below, or besides them. */
  readonly properties?: Readonly<Record<string, string>>
  /** Where clients are sent to, such as a proxy in front; by default the broker itself. */
  readonly advertised?: { readonly host: string; readonly port: number }
  /** 22 characters of base64, by which clients may take it for another kind of broker. */
  readonly clusterId?: string
  /** The port of a proxy: clients that come through it find the broker there too. It leads to `behindProxy`; plain text. */
  readonly proxy?: number
  /** One of several brokers, which are all controllers; by default the only one. */
  readonly member?: KafkaMember
  /** For a measurement: its code is made as fast as can be, which takes processor time at first, and it has memory for thousands of topics. */
  readonly measured?: true
}

interface KafkaMember {
  /** Its number. */
  readonly id: number
  readonly controllerPort: number
  /** All of them, as `controller.quorum.voters` names them. */
  readonly voters: string
}

export interface KafkaServer {
  /** Its number among several; 1 where it is the only one. */
  readonly id: number
  /** HOST:PORT for clients: the advertised address. */
  readonly bootstrap: string
  /** The port that the broker itself listens on. */
  readonly port: number
  /** Where its data lies: a folder for each partition. */
  readonly data: string
  /** Where the proxy of the options has to lead. */
  readonly behindProxy: number
  /** The certificate of the authority as PEM; empty without TLS. */
  readonly ca: string
  /** What the broker has written lately. */
  readonly log: () => string
  /** Ends it at once, as a crash does (SIGKILL). */
  readonly kill: () => Promise<void>
  /** Ends it in order (SIGTERM). */
  readonly stop: () => Promise<void>
  /** Starts it again on the same port and data, after `kill` if it still runs; further properties stay from then on. */
  readonly restart: (properties?: Readonly<Record<string, string>>) => Promise<void>
  /** Removes its data, after `kill` if it still runs: it comes back like a new machine in its place. */
  readonly empty: () => Promise<void>
  /** Stops it where it is (SIGSTOP). */
  readonly pause: () => void
  readonly resume: () => void
  /** Ends it and removes its folder. */
  readonly close: () => Promise<void>
}

const START_MS = 120_000
const LOG_LINES = 200
const CLUSTER_ID = 'tapelineAAAAAAAAAAAAAA'

/** One broker that is its own controller, small and quick to start and to come back. */
const PROPERTIES = {
  'process.roles': 'broker,controller',
  'controller.listener.names': 'CONTROLLER',
  'num.partitions': '1',
  'default.replication.factor': '1',
  'min.insync.replicas': '1',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'share.coordinator.state.topic.num.partitions': '1',
  'group.initial.rebalance.delay.ms': '0',
  'auto.create.topics.enable': 'false',
  'num.network.threads': '2',
  'num.io.threads': '4',
  'num.recovery.threads.per.data.dir': '1',
  'log.segment.bytes': '67108864',
  'log.retention.ms': '-1',
  'log.cleaner.dedupe.buffer.size': '8388608',
  'log.cleaner.threads': '1',
  'broker.session.timeout.ms': '1000',
  'broker.heartbeat.interval.ms': '200',
  'controller.quorum.append.linger.ms': '0',
  'controller.quorum.election.timeout.ms': '200',
  'controlled.shutdown.enable': 'false',
}

/**
 * What a broker has by default: here it is its own controller. A pause that is longer than a session fences it, and then each of its partitions
 * gets a new leader.
 */
const DEFAULT_SESSION = {
  'broker.session.timeout.ms': '9000',
  'broker.heartbeat.interval.ms': '2000',
}

/** One of several is small. One that is measured has its whole heap at once, since a heap that grows is collected as a whole each time. */
const HEAP = {
  alone: ['-Xmx512m'],
  amongOthers: ['-Xmx256m'],
  measured: ['-Xms2g', '-Xmx2g'],
} as const

/** Brings and makes what brokers are started from, where it is not there yet: on a new checkout that takes longer than most files. */
export async function prepareKafka(): Promise<void> {
  await kafkaPrograms(PROPERTIES, CLUSTER_ID)
}

/** Starts Kafka on a new, empty data folder and ports that were free. It ends with this process. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-kafka-'))
  try {
    const programs = await kafkaPrograms(PROPERTIES, CLUSTER_ID)
    const [port, ownControllerPort, behindProxy] = [await freePort(), await freePort(), await freePort()]
    await writeLogging(folder)
    const ca = await prepareLogin(folder, options)
    const advertised = options.advertised ?? { host: '127.0.0.1', port }
    const member = options.member ?? {
      id: 1,
      controllerPort: ownControllerPort,
      voters: `1@127.0.0.1:${ownControllerPort}`,
    }
    const properties = {
      ...PROPERTIES,
      ...(options.measured && DEFAULT_SESSION),
      'node.id': String(member.id),
      'controller.quorum.voters': member.voters,
      ...addressProperties({ port, controllerPort: member.controllerPort, behindProxy }, advertised, options),
      'log.dirs': join(folder, 'data'),
      ...loginProperties(folder, options),
      ...options.properties,
    }
    const clusterId = options.clusterId ?? CLUSTER_ID
    const size = options.member === undefined ? 'alone' : 'amongOthers'
    const flags = options.measured ? HEAP.measured : [...HEAP[size], ...QUICK]
    const users = scramUsers(options)
    const tool = [
      'kafka.tools.StorageTool',
      'format',
      '-t',
      clusterId,
      '-c',
      join(folder, 'server.properties'),
    ]
    const data = join(folder, 'data')
    return await serverOf({
      ...{ id: member.id, programs, flags, folder, data, port, behindProxy, ca, properties },
      bootstrap: `${advertised.host}:${advertised.port}`,
      format: async () => {
        if (users.length === 0) await formatData(programs, data, member.id, clusterId)
        else await run('java', javaArguments(folder, programs, QUICK, ...tool, ...users))
      },
    })
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

function addressProperties(
  ports: { readonly port: number; readonly controllerPort: number; readonly behindProxy: number },
  advertised: { readonly host: string; readonly port: number },
  options: KafkaOptions,
): Record<string, string> {
  const { port, controllerPort, behindProxy } = ports
  const own = [`CLIENT://127.0.0.1:${port}`, `CONTROLLER://127.0.0.1:${controllerPort}`]
  const told = [`CLIENT://${advertised.host}:${advertised.port}`]
  const further = furtherListeners(options)
  if (options.proxy !== undefined) {
    own.push(`PROXY://127.0.0.1:${behindProxy}`)
    told.push(`PROXY://127.0.0.1:${options.proxy}`)
  }
  return {
    listeners: [...own, ...further].join(),
    'advertised.listeners': [...told, ...further].join(),
    'inter.broker.listener.name': 'CLIENT',
  }
}

function writeProperties(folder: string, properties: Readonly<Record<string, string>>): Promise<void> {
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`)
  return writeFile(join(folder, 'server.properties'), lines.join(''))
}

interface Prepared {
  readonly id: number
  readonly programs: KafkaPrograms
  /** Of its JVM. */
  readonly flags: readonly string[]
  readonly folder: string
  readonly data: string
  readonly port: number
  readonly behindProxy: number
  readonly ca: string
  readonly bootstrap: string
  readonly properties: Readonly<Record<string, string>>
  /** Makes the data folder. */
  readonly format: () => Promise<void>
}

async function serverOf(prepared: Prepared): Promise<KafkaServer> {
  const { id, programs, flags, folder, data, port, behindProxy, ca, bootstrap, format } = prepared
  const lines: string[] = []
  let { properties } = prepared
  const isBehindProxy = String(properties['listeners']).includes('PROXY:')
  let life:
    | { readonly child: ChildProcess; readonly guard: Guard; readonly ended: Promise<unknown> }
    | undefined

  const start = async (): Promise<void> => {
    await writeProperties(folder, properties)
    const args = javaArguments(folder, programs, flags, 'kafka.Kafka', join(folder, 'server.properties'))
    const child = spawn('java', args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = once(child, 'exit')
    if (child.pid === undefined) throw (await once(child, 'error'))[0]
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      lines.push(...text.split('\n').filter(Boolean))
      lines.splice(0, lines.length - LOG_LINES)
    })
    life = { child, guard: guard(child.pid, folder), ended }
    const ports = isBehindProxy ? [port, behindProxy] : [port]
    for (const each of ports) await listening(child, each, () => lines.slice(-20).join('\n'))
  }

  const end = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    if (life === undefined) return
    const { child, guard: shell, ended } = life
    life = undefined
    shell.release()
    child.kill(signal)
    if (signal === 'SIGTERM') child.kill('SIGCONT')
    await ended
  }

  await writeProperties(folder, properties)
  await format()
  await start()
  return {
    id,
    bootstrap,
    data,
    port,
    behindProxy,
    ca,
    log: () => lines.join('\n'),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    async restart(more = {}) {
      await end('SIGKILL')
      properties = { ...properties, ...more }
      await start()
    },
    async empty() {
      await end('SIGKILL')
      await rm(data, { recursive: true, force: true })
      await format()
    },
    pause: () => void life?.child.kill('SIGSTOP'),
    resume: () => void life?.child.kill('SIGCONT'),
    async close() {
      await end('SIGKILL')
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** Resolves when the broker takes connections. */
async function listening(child: ChildProcess, port: number, log: () => string): Promise<void> {
  const end = Date.now() + START_MS
  for (;;) {
    if (child.exitCode !== null) throw new Error(`Kafka ended at once:\n${log()}`)
    if (Date.now() > end) throw new Error(`Kafka was not ready after ${START_MS} ms:\n${log()}`)
    if (await accepts(port)) return
    await delay(50)
  }
}

/** Runs one of Kafka's own tools, such as `org.apache.kafka.tools.ConsumerGroupCommand`; gives what it printed. */
export async function kafkaTool(
  className: string,
  args: readonly string[],
  timeoutMs = 120_000,
): Promise<string> {
  const paths = await classPath('tools')
  const { stdout } = await run(
    'java',
    ['-Xmx512m', '-XX:+UseSerialGC', ...QUICK, '-cp', paths, className, ...args],
    {
      timeout: timeoutMs,
      maxBuffer: 16 * 1024 * 1024,
    },
  )
  return stdout
}
