import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { terminalOver } from '../../src/cli/terminal.ts'
import { runCommandLine } from '../../src/cli.ts'
import { guard } from '../servers/guard.ts'

// A key of whoever runs the tests would make the service itself the source.
process.env['CRYPTOCOMPARE_API_KEY'] = ''

const ENTRY = fileURLToPath(new URL('../../bin/tapeline.mjs', import.meta.url))

/** A folder of its own for a test, and its removal. */
export async function makeFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'tapeline-e2e-'))
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) }
}

export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Starts the CLI, or that of another build, as a process of its own. */
export function startCommand(
  args: readonly string[],
  environment: Record<string, string> = {},
  entry = ENTRY,
): ChildProcess {
  return spawn(process.execPath, [entry, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  })
}

/** Commands that write the log of a platform to the standard error of their process. */
const WITH_LOG = ['up', 'demo', 'replay', 'simulate']

/**
 * Runs a command of the CLI to its end: in this process, since another one takes half a second of processor time to load. One that runs
 * a platform, or has an environment of its own, is a process all the same.
 */
export async function runCommand(
  args: readonly string[],
  environment?: Record<string, string>,
): Promise<CommandResult> {
  if (environment !== undefined || WITH_LOG.includes(args[0] ?? '')) return runProgram(args, environment)
  const output = { stdout: '', stderr: '' }
  const keep = (stream: keyof typeof output) =>
    new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        output[stream] += String(chunk)
        done()
      },
    })
  const terminal = terminalOver(keep('stdout'), keep('stderr'), new AbortController().signal)
  const code = await runCommandLine(args, terminal)
  return { code, ...output }
}

/** Runs the CLI as a process of its own to its end. */
export async function runProgram(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<CommandResult> {
  const child = startCommand(args, environment)
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

/** How long a platform may take to end after Ctrl-C. */
const END_WITHIN_MS = 10_000

/** Sends Ctrl-C to a process that runs a platform; gives the exit code. Where it does not end in time, `output` says what it did. */
export async function interrupt(child: ChildProcess, output = () => ''): Promise<number | null> {
  const closed = once(child, 'close', { signal: AbortSignal.timeout(END_WITHIN_MS) })
  child.kill('SIGINT')
  try {
    const [code] = (await closed) as [number | null]
    return code
  } catch {
    throw new Error(`it did not end within ${END_WITHIN_MS} ms of Ctrl-C: ${output()}`)
  }
}

/** Long enough for a machine that has much else to do; who waits in vain waits no longer. */
const LONGEST_MS = 60_000

/** How often a condition is looked at first, and at last: a look that asks the database takes longer than most of its work. */
const LOOKS_MS = { first: 25, last: 250 }

/** Waits until a condition holds; says what was waited for where it does not within the deadline. It waits a tenth longer at most. */
export async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  withinMs = LONGEST_MS,
): Promise<void> {
  const begun = Date.now()
  while (!(await holds())) {
    const waited = Date.now() - begun
    if (waited > withinMs) throw new Error(`waited ${withinMs} ms for: ${what}`)
    await delay(Math.min(Math.max(LOOKS_MS.first, waited / 10), LOOKS_MS.last))
  }
}

/** Asks as whoever means it does: again, while the platform says that it cannot answer now, or not in its time. Gives the last answer. */
export async function answered(what: string, ask: () => Promise<Response>): Promise<Response> {
  let response = Response.error()
  await until(`${what} is answered`, async () => {
    response = await ask()
    return response.status !== 503 && response.status !== 504
  })
  return response
}

/** A start loads and opens everything: on a busy machine it takes longer than any other wait. */
export const START_MS = 120_000

/** Waits until the platform of a process says that it is ready; `output` is told where it ends before. */
export async function untilReady(
  child: ChildProcess,
  folder: string,
  output: () => string,
  withinMs = START_MS,
): Promise<void> {
  await until(
    'the platform is ready',
    async () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${output()}`)
      const run = await readRunFile(folder)
      return run?.pid === child.pid && (await fetch(`${run?.api}/readyz`).catch(() => undefined))?.ok === true
    },
    withinMs,
  )
}

async function readRunFile(folder: string): Promise<{ pid: number; api: string } | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, 'run.json'), 'utf8')) as { pid: number; api: string }
  } catch {
    return undefined
  }
}

interface PlatformOptions {
  /** File that everything it prints is appended to, over all its lives. */
  readonly logFile?: string
  /** Called when it ended although nobody had asked for it. */
  readonly onUnexpectedEnd?: (how: number | NodeJS.Signals | null) => void
  /** The program of another build. */
  readonly entry?: string
}

/** `tapeline up` in a process that tests kill, stop where it is and start again. It ends with this process. */
export class PlatformProcess {
  readonly #args: readonly string[]
  readonly #folder: string
  readonly #environment: Record<string, string>
  readonly #options: PlatformOptions
  #log: WriteStream | undefined
  #child: ChildProcess | undefined
  #output = ''
  #isEnding = false

  constructor(
    folder: string,
    args: readonly string[],
    environment: Record<string, string> = {},
    options: PlatformOptions = {},
  ) {
    this.#folder = folder
    this.#args = args
    this.#environment = environment
    this.#options = options
  }

  /** What it has printed, for messages. */
  get output(): string {
    return this.#output
  }

  /** Starts it, and waits until it is ready. */
  async start(withinMs?: number): Promise<void> {
    this.launch()
    await this.ready(withinMs)
  }

  /** Starts it without waiting. */
  launch(): void {
    const { logFile, onUnexpectedEnd, entry } = this.#options
    const child = startCommand(
      ['up', '--data', this.#folder, '--port', '0', ...this.#args],
      this.#environment,
      entry,
    )
    this.#child = child
    this.#isEnding = false
    if (logFile !== undefined) this.#log ??= createWriteStream(logFile, { flags: 'a' })
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-20_000)
        this.#log?.write(chunk)
      })
    }
    const shell = guard(child.pid ?? 0, this.#folder)
    child.once('exit', (code, signal) => {
      shell.release()
      if (!this.#isEnding) onUnexpectedEnd?.(code ?? signal)
    })
  }

  /** Waits until the API, or what a process without one serves instead, says that it is ready. */
  async ready(withinMs?: number): Promise<void> {
    if (this.#child) await untilReady(this.#child, this.#folder, () => this.#output, withinMs)
  }

  /** Stops it where it is (SIGSTOP). */
  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  /** Lets it go on (SIGCONT). */
  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Has it read its certificate again (SIGHUP). */
  hangUp(): void {
    this.#child?.kill('SIGHUP')
  }

  async api(): Promise<string> {
    return (await readRunFile(this.#folder))?.api ?? ''
  }

  async get<T>(path: string): Promise<T> {
    const response = await this.#ask('GET', path)
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as T
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    const response = await this.#ask('POST', path, body)
    if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as T
  }

  /** Removes what has an address of its own. Where an answer was lost on its way, it is gone already. */
  async remove(path: string): Promise<void> {
    const response = await this.#ask('DELETE', path)
    if (!response.ok && response.status !== 404)
      throw new Error(`DELETE ${path}: ${response.status} ${await response.text()}`)
  }

  #ask(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<Response> {
    return answered(`${method} ${path}`, async () =>
      fetch(`${await this.api()}${path}`, {
        method,
        ...(body !== undefined && {
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }),
      }),
    )
  }

  async sql<T>(statement: string): Promise<T[]> {
    return (await this.post<{ rows: T[] }>('/v1/sql', { sql: statement, maxRows: 1_000_000 })).rows
  }

  /** The value of a metric of ours, summed over its labels, or of those lines that have such labels. */
  async metric(name: string, labels = ''): Promise<number> {
    const text = await (await fetch(`${await this.api()}/metrics`)).text()
    return text
      .split('\n')
      .filter((line) => line.startsWith(`tapeline_${name}`) && line.includes(labels))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#isEnding = true
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'close')
    await this.#logWritten()
  }

  /** Ctrl-C; gives the exit code, once its log is written. Rejects where it does not end in time. */
  async stop(): Promise<number | null> {
    const child = this.#child
    this.#isEnding = true
    if (!child || child.exitCode !== null) return child?.exitCode ?? null
    const code = await interrupt(child, () => this.#output)
    await this.#logWritten()
    return code
  }

  async #logWritten(): Promise<void> {
    const log = this.#log
    if (log !== undefined) await new Promise((resolve) => log.write('', resolve))
  }
}
