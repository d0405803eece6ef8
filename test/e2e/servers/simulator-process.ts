import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { SimulatorStats } from '../../../src/simulator/simulator.ts'
import { guard } from '../../servers/guard.ts'
import { interrupt, startCommand, until } from '../platform-process.ts'

export interface SimulatorProcessOptions {
  readonly seed: number
  readonly rate: number
  readonly events?: number
  /** File of the ledger, in a folder that may be removed when this process dies. */
  readonly ledger: string
  readonly folder: string
}

/** `tapeline simulate` in a process of its own: whatever dies around it, it goes on. It ends with this process. */
export class SimulatorProcess {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(url: string, child: ChildProcess) {
    this.url = url
    this.#child = child
  }

  static async start({
    seed,
    rate,
    events,
    ledger,
    folder,
  }: SimulatorProcessOptions): Promise<SimulatorProcess> {
    const flags = [
      '--port',
      '0',
      '--seed',
      String(seed),
      '--rate',
      String(rate),
      '--ledger',
      ledger,
      '--json',
    ]
    const child = startCommand([
      'simulate',
      ...flags,
      ...(events === undefined ? [] : ['--events', String(events)]),
    ])
    const shell = guard(child.pid ?? 0, folder)
    child.once('exit', () => shell.release())
    let output = ''
    let errors = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-2_000)
    })
    await until('the simulator listens', () => {
      if (child.exitCode !== null) throw new Error(`the simulator ended: ${errors}`)
      return output.includes('\n')
    })
    return new SimulatorProcess((JSON.parse(output) as { url: string }).url, child)
  }

  async stats(): Promise<SimulatorStats> {
    return (await (await fetch(`${this.url}/stats`)).json()) as SimulatorStats
  }

  /** Stops it where it is (SIGSTOP): its connections stay open, and say nothing. */
  pause(): void {
    this.#child.kill('SIGSTOP')
  }

  /** Lets it go on (SIGCONT). */
  resume(): void {
    this.#child.kill('SIGCONT')
  }

  /** Ends it in order: after that the ledger is complete. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await interrupt(this.#child)
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'close')
  }
}
