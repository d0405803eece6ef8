import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAULT_NAMES } from './faults.ts'
import { PENDING_FAULTS } from './pending.ts'
import { runWorld } from './world.ts'

const faults = FAULT_NAMES.filter((name) => !PENDING_FAULTS.includes(name))

test('the same seed gives the same world', async () => {
  const [once, again] = [await runWorld(7, { faults }), await runWorld(7, { faults })]
  assert.equal(once.digest, again.digest)
})

for (let seed = 1; seed <= 12; seed++) {
  test(`the world of seed ${seed} keeps its promises`, async () => {
    const { violations } = await runWorld(seed, { faults })
    assert.deepEqual(violations, [], `npm run world -- --from ${seed} --seeds 1 --trace shows what happened`)
  })
}
