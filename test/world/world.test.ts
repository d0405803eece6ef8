import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAULT_NAMES } from './faults.ts'
import { PENDING_FAULTS, PENDING_PROMISES } from './pending.ts'
import { runWorlds } from './pool.ts'
import type { WorldResult } from './world.ts'

const SEEDS = 200
/** On a machine that is busy with other tests not all of them may fit in here. */
const LONGEST_MS = 100_000

const options = {
  faults: FAULT_NAMES.filter((name) => !PENDING_FAULTS.includes(name)),
  ignored: PENDING_PROMISES,
}

async function run(seeds: readonly number[], workers: number): Promise<WorldResult[]> {
  const results: WorldResult[] = []
  const onResult = (result: WorldResult): void => void results.push(result)
  await runWorlds({ ...options, seeds, workers, onResult }, AbortSignal.timeout(LONGEST_MS))
  return results
}

test('the same seed gives the same world', async () => {
  const digests = (await run([7, 8, 7, 8], 1)).map(({ digest }) => digest)
  assert.deepEqual(digests.slice(0, 2), digests.slice(2))
  assert.notEqual(digests[0], digests[1])
})

test(`worlds of ${SEEDS} seeds keep all promises`, async (t) => {
  const seeds = Array.from({ length: SEEDS }, (_, i) => 1 + i)
  const results = await run(seeds, 2)
  assert.ok(results.length > 0)
  if (results.length < SEEDS) t.diagnostic(`${results.length} of them within ${LONGEST_MS / 1_000} s`)
  const failed = results.filter(({ violations }) => violations.length > 0)
  const told = failed.map(({ seed, violations }) => ({ seed, first: violations[0] }))
  assert.deepEqual(told, [], 'npm run world -- --trace --from SEED shows what happened')
})
