import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAULT_NAMES } from './faults.ts'
import { PENDING_FAULTS, PENDING_PROMISES } from './pending.ts'
import { runWorlds } from './pool.ts'
import type { WorldResult } from './world.ts'

const SEEDS = 200
const NEVER = new AbortController().signal

const options = {
  faults: FAULT_NAMES.filter((name) => !PENDING_FAULTS.includes(name)),
  ignored: PENDING_PROMISES,
}

async function run(seeds: readonly number[], workers: number): Promise<WorldResult[]> {
  const results: WorldResult[] = []
  await runWorlds({ ...options, seeds, workers, onResult: (result) => results.push(result) }, NEVER)
  return results
}

test('the same seed gives the same world', async () => {
  const digests = (await run([7, 8, 7, 8], 1)).map(({ digest }) => digest)
  assert.deepEqual(digests.slice(0, 2), digests.slice(2))
  assert.notEqual(digests[0], digests[1])
})

test(`worlds of ${SEEDS} seeds keep all promises`, async () => {
  const seeds = Array.from({ length: SEEDS }, (_, i) => 1 + i)
  const results = await run(seeds, 2)
  assert.equal(results.length, SEEDS)
  const failed = results.filter(({ violations }) => violations.length > 0)
  const told = failed.map(({ seed, violations }) => ({ seed, first: violations[0] }))
  assert.deepEqual(told, [], 'npm run world -- --trace --from SEED shows what happened')
})
