import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertPromisesKept, runSeeds } from './seeds.ts'

const SEEDS = 12
/** On a machine that is busy with other tests not all of them may fit in here. */
const LONGEST_MS = 100_000
const ALL_MS = 230_000

test('the same seed gives the same world', async () => {
  const digests = (await runSeeds([7, 8, 7, 8], 1, ALL_MS)).map(({ digest }) => digest)
  assert.deepEqual(digests.slice(0, 2), digests.slice(2))
  assert.notEqual(digests[0], digests[1])
})

test(`worlds of ${SEEDS} seeds keep all promises`, (t) => assertPromisesKept(t, 1, SEEDS, LONGEST_MS))
