import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertPromisesKept, runSeeds } from './seeds.ts'

/** Together they take two minutes of a core. */
const SEEDS = 200
/** Those that are run once more. */
const AGAIN = [1, 2]
/** On a machine that is busy with other tests not all of them may fit in here. */
const LONGEST_MS = 200_000
const ALL_MS = 20_000

test(`worlds of ${SEEDS} seeds keep all promises, and the same seed gives the same world`, async (t) => {
  const first = await assertPromisesKept(t, 1, SEEDS, LONGEST_MS)
  const digests = new Map(first.map(({ seed, digest }) => [seed, digest]))
  const again = await runSeeds(AGAIN, 1, ALL_MS)
  assert.deepEqual(
    again.map(({ seed, digest }) => [seed, digest]),
    AGAIN.map((seed) => [seed, digests.get(seed)]),
  )
  assert.equal(new Set(digests.values()).size, digests.size, 'each seed has a world of its own')
})
