import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { type Guard, guard } from './guard.ts'
import {
  type Binaries,
  binaries,
  copyData,
  initialiseData,
  makeCertificate,
  OWNER,
  own,
} from './postgres-files.ts'

export { debianBinaries, postgresMissing } from './postgres-files.ts'

const run = promisify(execFile)

export interface PostgresOptions {
  /** The password of the user `postgres`, asked by SCRAM-SHA-256; without one anybody may log in. */
  readonly password?: string
  /** `offered`: with TLS or without; `required`: connections without TLS are refused. */
  readonly tls?: 'offered' | 'required'
  /** A folder with `extension/NAME.control` beside the server's own; PostgreSQL 18 and later. */
  readonly extensions?: string
  /** The folder of another PostgreSQL's programs, as `debianBinaries` finds it. */
  readonly binaries?: string
  /** Further settings of the server. `fsync` is off by default, since only processes die here; a benchmark sets it on. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface PostgresServer {
  /** Without a password. */
  readonly url: string
  readonly port: number
  /** The data folder. */
  readonly data: string
  /** The certificate of the authority as PEM; empty without TLS. */
  readonly ca: string
  /** What the server has written lately. */
  readonly log: () => string
  /** Ends all its processes at once, as a crash does. */
  readonly kill: () => Promise<void>
  /** Ends its processes in order, cutting connections off. */
  readonly stop: () => Promise<void>
  /** Starts it again on the same port, after `kill` if it still runs; further settings stay from then on. */
  readonly restart: (settings?: Readonly<Record<string, string>>) => Promise<void>
  /** Stops all its processes where they are (SIGSTOP). */
  readonly pause: () => Promise<void>
  readonly resume: () => Promise<void>
  /** Ends it and removes its folder. */
  readonly close: () => Promise<void>
}

const START_MS = 30_000
const LOG_LINES = 200

/** Starts PostgreSQL on a new, empty data folder and a port that was free. It ends with this process. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-postgres-'))
  try {
    await own(folder)
    const programs = await binaries(options.binaries)
    const ca = await initialise(folder, programs, options)
    return await serverOf(folder, programs, options, ca)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/**
 * Starts a standby that follows a server, on a copy of its data folder: the server is stopped and started again for that. It takes no writes
 * until `pg_promote()`. A server of other programs, with TLS or a password has none.
 */
export async function startStandby(primary: PostgresServer): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-postgres-'))
  try {
    await own(folder)
    const data = join(folder, 'data')
    await primary.stop()
    await run('cp', ['-R', primary.data, data], { ...OWNER, cwd: tmpdir() })
    await primary.restart()
    await writeFile(join(data, 'standby.signal'), '')
    const settings = { primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres` }
    return await serverOf(folder, await binaries(undefined), { settings }, '')
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

async function initialise(folder: string, programs: Binaries, options: PostgresOptions): Promise<string> {
  const data = join(folder, 'data')
  if (options.password === undefined) await copyData(programs, data)
  else {
    const file = join(folder, 'password')
    await writeFile(file, options.password)
    await own(file)
    await initialiseData(programs, data, ['-A', 'scram-sha-256', '--pwfile', file])
  }
  if (options.tls === undefined) return ''
  if (options.tls === 'required') {
    const method = options.password === undefined ? 'trust' : 'scram-sha-256'
    await writeFile(join(data, 'pg_hba.conf'), `hostssl all all all ${method}\n`)
  }
  return makeCertificate(folder)
}

function settingsOf(folder: string, options: PostgresOptions): Record<string, string> {
  return {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    ...(options.tls && {
      ssl: 'on',
      ssl_cert_file: join(folder, 'server.crt'),
      ssl_key_file: join(folder, 'server.key'),
    }),
    ...(options.extensions && { extension_control_path: `$system:${options.extensions}` }),
    ...options.settings,
  }
}

async function serverOf(
  folder: string,
  { postgres }: Binaries,
  options: PostgresOptions,
  ca: string,
): Promise<PostgresServer> {
  const data = join(folder, 'data')
  const port = await freePort()
  const lines: string[] = []
  let settings = settingsOf(folder, options)
  let life:
    | { readonly child: ChildProcess; readonly guard: Guard; readonly ended: Promise<unknown> }
    | undefined

  const start = async (): Promise<void> => {
    const end = Date.now() + START_MS
    for (;;) {
      try {
        return await startOnce()
      } catch (error) {
        life?.guard.release()
        life = undefined
        // Processes of a server that was killed live on for a moment.
        if (!/pre-existing shared memory/.test(lines.slice(-3).join()) || Date.now() > end) throw error
        await delay(20)
      }
    }
  }

  const startOnce = async (): Promise<void> => {
    const args = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    const child = spawn(postgres, ['-D', data, '-p', String(port), ...args], {
      ...OWNER,
      cwd: tmpdir(),
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const ended = once(child, 'exit')
    if (child.pid === undefined) throw (await once(child, 'error'))[0]
    life = { child, guard: guard(child.pid, folder), ended }
    await ready(child, lines)
  }

  const end = async (signal: 'SIGKILL' | 'SIGINT'): Promise<void> => {
    if (life === undefined) return
    const { child, guard: shell, ended } = life
    life = undefined
    shell.release()
    if (signal === 'SIGINT') child.kill('SIGCONT')
    else await signalAll(child, signal)
    child.kill(signal)
    await ended
  }

  await start()
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    data,
    ca,
    log: () => lines.join('\n'),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGINT'),
    async restart(more = {}) {
      await end('SIGKILL')
      settings = { ...settings, ...more }
      await start()
    },
    pause: async () => life && signalAll(life.child, 'SIGSTOP'),
    resume: async () => life && signalAll(life.child, 'SIGCONT'),
    async close() {
      await end('SIGKILL')
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

async function ready(child: ChildProcess, lines: string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const failed = (why: string) => reject(new Error(`PostgreSQL ${why}:\n${lines.slice(-20).join('\n')}`))
  const timer = setTimeout(() => failed(`was not ready after ${START_MS} ms`), START_MS)
  child.once('exit', () => failed('ended at once'))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    lines.push(...text.split('\n').filter(Boolean))
    lines.splice(0, lines.length - LOG_LINES)
    if (/ready to accept (read-only )?connections/.test(text)) resolve()
  })
  try {
    await promise
  } finally {
    clearTimeout(timer)
  }
}

/** The server's own process first, so that it starts no others meanwhile; each of the others leads a group of its own. */
async function signalAll(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal === 'SIGKILL' ? 'SIGSTOP' : signal)
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid='])
  for (const line of stdout.split('\n')) {
    const [pid, parent] = line.trim().split(/\s+/).map(Number)
    if (pid === undefined || parent !== child.pid) continue
    try {
      process.kill(pid, signal)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
    }
  }
}
