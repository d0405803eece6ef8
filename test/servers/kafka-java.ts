import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { madeOnce } from '../made-once.ts'
import { freePort } from './free-port.ts'
import { guard } from './guard.ts'
import { classPath } from './kafka-jars.ts'

const run = promisify(execFile)

/** What brokers have in common: a JVM that reads all of Kafka's classes anew takes seconds for it. */
export interface KafkaPrograms {
  /** The class path. */
  readonly jars: string
  /** Kafka's classes as a JVM can map them into memory; there is none where the JVM knows no archives. */
  readonly archive: string | undefined
  /** A data folder as the tool makes it, for the first start of any broker without logins. */
  readonly formatted: string
}

const LOGGING = `status=error
appender.err.type=Console
appender.err.name=err
appender.err.target=SYSTEM_ERR
appender.err.layout.type=PatternLayout
appender.err.layout.pattern=%p %m%n
rootLogger.level=warn
rootLogger.appenderRef.err.ref=err
`

const ARCHIVE = 'classes.jsa'
const FORMATTED = 'formatted'
const META = 'meta.properties'
/** Of the one that is started for the archive. It fails only on a machine that has far too much to do. */
const ARCHIVE_MS = 180_000

/** Code is not made as fast as can be: making it takes longer than most brokers here live. */
export const QUICK = ['-XX:TieredStopAtLevel=1']

/** Writes what java needs in a folder: where the log goes. */
export function writeLogging(folder: string): Promise<void> {
  return writeFile(join(folder, 'log4j2.properties'), LOGGING)
}

/** Arguments of java for a class of Kafka, with a log as `writeLogging` has said. */
export function javaArguments(
  folder: string,
  { jars, archive }: Pick<KafkaPrograms, 'jars' | 'archive'>,
  flags: readonly string[],
  ...args: readonly string[]
): string[] {
  return [
    ...['-Xms128m', '-XX:+UseSerialGC', ...flags],
    ...(archive === undefined ? [] : [`-XX:SharedArchiveFile=${archive}`]),
    `-Dlog4j2.configurationFile=${join(folder, 'log4j2.properties')}`,
    ...['-cp', jars, ...args],
  ]
}

/** The jars and what is made of them, once for all files and runs. */
export async function kafkaPrograms(
  properties: Readonly<Record<string, string>>,
  clusterId: string,
): Promise<KafkaPrograms> {
  const jars = await classPath('broker')
  const shared = await madeOnce(`${jars.slice(0, -'/*'.length)}-shared`, (aside) =>
    makeShared(aside, jars, properties, clusterId),
  )
  const archive = join(shared, ARCHIVE)
  return { jars, archive: existsSync(archive) ? archive : undefined, formatted: join(shared, FORMATTED) }
}

/** Formats a data folder, then runs a broker on a copy of it, which writes the classes that it has read when it ends. */
async function makeShared(
  folder: string,
  jars: string,
  properties: Readonly<Record<string, string>>,
  clusterId: string,
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'tapeline-kafka-'))
  try {
    const [port, controllerPort] = [await freePort(), await freePort()]
    const data = join(work, 'data')
    await writeLogging(work)
    const file = join(work, 'server.properties')
    const own = {
      'node.id': '1',
      'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
      listeners: `CLIENT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
      'listener.security.protocol.map': 'CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT',
      'inter.broker.listener.name': 'CLIENT',
      'log.dirs': data,
    }
    const lines = Object.entries({ ...properties, ...own }).map(([key, value]) => `${key}=${value}\n`)
    await writeFile(file, lines.join(''))
    const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', file]
    await run('java', javaArguments(work, { jars, archive: undefined }, QUICK, ...format))
    await cp(data, join(folder, FORMATTED), { recursive: true })
    await archiveClasses(work, jars, ['kafka.Kafka', file], port, join(folder, ARCHIVE))
  } finally {
    await rm(work, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function archiveClasses(
  folder: string,
  jars: string,
  main: readonly string[],
  port: number,
  archive: string,
): Promise<void> {
  const flags = [...QUICK, `-XX:ArchiveClassesAtExit=${archive}`]
  const child = spawn('java', javaArguments(folder, { jars, archive: undefined }, flags, ...main), {
    stdio: 'ignore',
    detached: true,
    timeout: ARCHIVE_MS,
    killSignal: 'SIGKILL',
  })
  const ended = once(child, 'exit')
  if (child.pid === undefined) throw (await once(child, 'error'))[0]
  const shell = guard(child.pid, folder)
  while (child.exitCode === null && child.signalCode === null && !(await accepts(port))) await delay(50)
  child.kill('SIGTERM')
  await ended
  shell.release()
  // One that was killed may have written half of it.
  if (child.signalCode === 'SIGKILL') await rm(archive, { force: true })
}

/** Fills a data folder that does not exist yet, as the tool would. */
export async function formatData(
  { formatted }: KafkaPrograms,
  data: string,
  id: number,
  clusterId: string,
): Promise<void> {
  await cp(formatted, data, { recursive: true })
  // A UUID as Kafka writes it; it may not begin with a dash.
  const directory = `A${randomBytes(16).toString('base64url').slice(1)}`
  const lines = ['version=1', `cluster.id=${clusterId}`, `node.id=${id}`, `directory.id=${directory}`]
  await writeFile(join(data, META), `${lines.join('\n')}\n`)
}

/** Whether something takes connections on a port of the loopback address. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
