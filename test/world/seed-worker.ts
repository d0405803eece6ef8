import { parentPort, workerData } from 'node:worker_threads'
import { countSteps } from './clock.ts'
import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'
import { runWorld } from './world.ts'

/** Runs the worlds whose seeds it gets, one after another, each with this thread for itself. */
const { faults, ignored, steps } = workerData as {
  readonly faults: readonly FaultName[]
  readonly ignored: readonly Promised[]
  readonly steps: SharedArrayBuffer
}
// Errors are made by the thousand, and nobody looks at where.
Error.stackTraceLimit = 0
countSteps(new Int32Array(steps))
parentPort?.on('message', async (seed: number) => {
  parentPort?.postMessage(await runWorld(seed, { faults, ignored }))
})
