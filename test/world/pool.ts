import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'
import type { WorldResult } from './world.ts'

/**
 * Code that has not come to rest after so long never does: it waits for nothing, and lets nothing else happen. Counted is what the processor
 * worked for it: on a machine that is busy with others minutes may pass without a step.
 */
const SPINNING_MS = 20_000
/** A world that waits for something real stands still without any work. */
const STANDING_MS = 600_000
const LOOK_MS = 1_000
/** A thread ends after so many worlds: processes that were killed in them never let go of what they waited for, about a megabyte a world. */
const WORLDS_A_THREAD = 250

// A world runs much code a few times: compiled at once, though not well, it is faster than interpreted.
setFlagsFromString('--always-sparkplug')

interface PoolOptions {
  readonly seeds: Iterable<number>
  readonly faults: readonly FaultName[]
  readonly ignored: readonly Promised[]
  readonly workers: number
  readonly onResult: (result: WorldResult) => void
}

/** Runs many worlds, in several threads. */
export async function runWorlds(options: PoolOptions, signal: AbortSignal): Promise<void> {
  const seeds = options.seeds[Symbol.iterator]()
  const lanes = Array.from({ length: options.workers }, () => runLane(seeds, options, signal))
  await Promise.all(lanes)
}

async function runLane(seeds: Iterator<number>, options: PoolOptions, signal: AbortSignal): Promise<void> {
  let lane: Lane | undefined
  try {
    for (let next = seeds.next(); !next.done && !signal.aborted; next = seeds.next()) {
      lane ??= new Lane(options)
      const result = await lane.run(next.value, signal)
      if (result === undefined) return
      if (lane.worlds >= WORLDS_A_THREAD) await lane.close()
      if (lane.isOver) lane = undefined
      options.onResult(result)
    }
  } finally {
    await lane?.close()
  }
}

/** One thread that runs worlds. */
class Lane {
  readonly #worker: Worker
  readonly #steps = new Int32Array(new SharedArrayBuffer(4))
  readonly #spinningMs: number
  /** How many it has run. */
  worlds = 0
  /** Whether it has ended. */
  isOver = false

  constructor({ faults, ignored, workers }: PoolOptions) {
    // Only the work of all threads together is known at once.
    this.#spinningMs = SPINNING_MS * workers
    const workerData = { faults, ignored, steps: this.#steps.buffer }
    this.#worker = new Worker(new URL('./seed-worker.ts', import.meta.url), { workerData })
  }

  /** Runs one world; undefined where the signal aborts. */
  run(seed: number, signal: AbortSignal): Promise<WorldResult | undefined> {
    this.worlds++
    return new Promise((resolve) => {
      let [steps, since, workedSince] = [-1, performance.now(), workedMs()]
      const settle = (result: WorldResult | undefined): void => {
        clearInterval(timer)
        signal.removeEventListener('abort', onAbort)
        this.#worker.off('message', settle)
        this.#worker.off('error', onError)
        resolve(result)
      }
      const onAbort = (): void => settle(undefined)
      const fail = (promise: Promised, detail: string): void => {
        void this.close()
        settle({ seed, violations: [{ promise, detail }], digest: '', virtualMs: 0 })
      }
      const onError = (error: unknown): void =>
        fail('crash', `its thread has ended: ${error instanceof Error ? error.message : error}`)
      const look = (): void => {
        const now = Atomics.load(this.#steps, 0)
        if (now !== steps) [steps, since, workedSince] = [now, performance.now(), workedMs()]
        if (workedMs() - workedSince < this.#spinningMs && performance.now() - since < STANDING_MS) return
        fail('spins', 'something runs for ever, and waits for nothing: the process would hang')
      }
      const timer = setInterval(look, LOOK_MS)
      signal.addEventListener('abort', onAbort, { once: true })
      this.#worker.once('message', settle)
      this.#worker.once('error', onError)
      this.#worker.postMessage(seed)
    })
  }

  async close(): Promise<void> {
    this.isOver = true
    await this.#worker.terminate()
  }
}

/** How long the processor has worked for this process, in milliseconds. */
function workedMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
