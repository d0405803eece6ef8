import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { FAULT_NAMES } from './faults.ts'
import { PENDING_FAULTS, PENDING_PROMISES } from './pending.ts'
import { runWorlds } from './pool.ts'
import type { WorldResult } from './world.ts'

const options = {
  faults: FAULT_NAMES.filter((name) => !PENDING_FAULTS.includes(name)),
  ignored: PENDING_PROMISES,
}

/** The worlds of seeds, with all that is known to be kept; those that do not fit into the time are left out. */
export async function runSeeds(
  seeds: readonly number[],
  workers: number,
  longestMs: number,
): Promise<WorldResult[]> {
  const results: WorldResult[] = []
  const onResult = (result: WorldResult): void => void results.push(result)
  await runWorlds({ ...options, seeds, workers, onResult }, AbortSignal.timeout(longestMs))
  return results
}

/** Runs the worlds of so many seeds, from the first one on, and gives what became of them; throws where one of them broke a promise. */
export async function assertPromisesKept(
  t: TestContext,
  first: number,
  count: number,
  longestMs: number,
): Promise<readonly WorldResult[]> {
  const seeds = Array.from({ length: count }, (_, i) => first + i)
  const results = await runSeeds(seeds, 2, longestMs)
  assert.ok(results.length > 0)
  if (results.length < count) t.diagnostic(`${results.length} of them within ${longestMs / 1_000} s`)
  const failed = results.filter(({ violations }) => violations.length > 0)
  const told = failed.map(({ seed, violations }) => ({ seed, first: violations[0] }))
  assert.deepEqual(told, [], 'npm run world -- --trace --from SEED shows what happened')
  return results
}
