import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EFFORT } from '../effort.ts'
import { runTakeovers } from './takeover-run.ts'

const RUNS = Number(process.env['TAPELINE_TAKEOVER_RUNS'] ?? 20 * EFFORT)
const FIRST_SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)

test(`whoever may write: ${RUNS} random stalls, deaths and take-overs from seed ${FIRST_SEED}`, async () => {
  let owners = 0
  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
    const { silent, dupF, hole, phantom, dupD, windows, ...rest } = await runTakeovers(seed)
    const broken = { silent, dupF, hole, phantom, dupD, windows }
    assert.deepEqual(broken, { silent: 0, dupF: 0, hole: 0, phantom: 0, dupD: 0, windows: 0 }, `seed ${seed}`)
    assert.ok(rest.trades > 0, `seed ${seed}: nothing was published`)
    assert.ok(rest.closed > 0, `seed ${seed}: no window was closed`)
    owners += rest.owners
  }
  assert.ok(owners > RUNS * 4, 'owners took over from each other')
})
