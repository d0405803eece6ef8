import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKill, planFaults } from './schedule.ts'

const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)

test('the same seed plans the same faults; ten minutes have more than 30 kills and never two faults of one target', () => {
  const options = { seed: SEED, forMs: 600_000, everyMs: 9_000, processes: ['a', 'b', 'c', 'd', 'e', 'f'] }
  const plan = planFaults(options)
  assert.deepEqual(plan, planFaults(options))
  assert.notDeepEqual(plan, planFaults({ ...options, seed: SEED + 1 }))
  assert.ok(plan.filter(isKill).length >= 30, `${plan.filter(isKill).length} kills (seed ${SEED})`)
  for (const ofTarget of Map.groupBy(plan, ({ target }) => target).values()) {
    for (const [i, { at, holdMs }] of ofTarget.entries())
      assert.ok(at + holdMs < (ofTarget[i + 1]?.at ?? Number.POSITIVE_INFINITY), `seed ${SEED}`)
  }
})

test('of three brokers one is hit at a time, each of them some time, and leaders move', () => {
  const hit = new Set<string>()
  // One plan alone may leave a broker out by chance.
  for (let seed = SEED; seed < SEED + 20; seed++) {
    const plan = planFaults({ seed, forMs: 600_000, everyMs: 9_000, processes: ['a', 'b'], brokers: 3 })
    assert.ok(plan.filter(({ kind }) => kind === 'move-leaders').length >= 5, `seed ${seed}`)
    const ofBrokers = plan.filter(({ target }) => target.startsWith('broker'))
    for (const [i, { at, holdMs, target }] of ofBrokers.entries()) {
      hit.add(target)
      assert.ok(at + holdMs < (ofBrokers[i + 1]?.at ?? Number.POSITIVE_INFINITY), `seed ${seed}`)
    }
  }
  for (const target of ['broker-1', 'broker-2', 'broker-3']) assert.ok(hit.has(target), `seed ${SEED}`)
})
