import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Question, Said, Usage } from './process.ts'

const PROGRAM = fileURLToPath(new URL('./process.ts', import.meta.url))
const MOST_OUTPUT = 4_000

/** A platform in a process of its own, which is killed and started again. */
export class MeasuredPlatform {
  readonly #flags: unknown
  #child: ChildProcess | undefined
  #output = ''
  api = ''

  /** `flags`: the configuration. */
  constructor(flags: unknown) {
    this.#flags = flags
  }

  /** What it has said lately, for whoever looks into a failure. */
  get output(): string {
    return this.#output
  }

  /** Resolves when it serves. */
  async start(): Promise<void> {
    const child = fork(PROGRAM, [JSON.stringify(this.#flags)], { silent: true })
    this.#child = child
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-MOST_OUTPUT)
      })
    const ended = once(child, 'exit').then(() => Promise.reject(new Error(`it ended: ${this.#output}`)))
    ended.catch(() => undefined)
    const [said] = (await Promise.race([once(child, 'message'), ended])) as [Said]
    if ('api' in said) this.api = said.api
  }

  async usage(question: Question): Promise<Usage> {
    const child = this.#child
    if (child === undefined) throw new Error('it does not run')
    const answered = once(child, 'message')
    child.send(question)
    const [said] = (await answered) as [Said]
    if ('usage' in said) return said.usage
    throw new Error('an answer of another kind')
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
}
