import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FaultName } from './faults.ts'
import { runWorlds } from './pool.ts'
import type { WorldResult } from './world.ts'

/** Far less than what a world has that stands still. */
const SOON = AbortSignal.timeout(60_000)

test('a world that throws is a failure of its seed at once, and others are run after it', async () => {
  const results: WorldResult[] = []
  const onResult = (result: WorldResult): void => void results.push(result)
  // Faults that are not there throw as a mistake in a check does; so many, as each world knows some only.
  const faults = Array.from({ length: 30 }, () => 'no such fault' as FaultName)
  await runWorlds({ seeds: [1, 2], faults, ignored: [], workers: 1, onResult }, SOON)
  assert.deepEqual(
    results.map(({ seed, violations }) => [seed, violations.map(({ promise }) => promise)]),
    [
      [1, ['crash']],
      [2, ['crash']],
    ],
  )
  assert.match(results[0]?.violations[0]?.detail ?? '', /undefined/)
})
