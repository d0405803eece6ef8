import { test } from 'node:test'
import { assertPromisesKept } from './seeds.ts'

/** Those that `world.test.ts` leaves. */
const FIRST = 9
const LAST = 60
/** On a machine that is busy with other tests not all of them may fit in here. */
const LONGEST_MS = 150_000

test(`worlds of the seeds ${FIRST} to ${LAST} keep all promises`, async (t) => {
  await assertPromisesKept(t, FIRST, LAST - FIRST + 1, LONGEST_MS)
})
