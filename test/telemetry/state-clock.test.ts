import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Transition } from '../../src/ports/actors.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { createStateClock } from '../../src/telemetry/state-clock.ts'

test('time in states is counted by machine as it passes, and actors that are gone count no more', async () => {
  const meter = createMeter()
  let now = 0
  const clock = createStateClock(meter, () => now)
  const enter = (actor: string, from: string, to: string, ts: number): void => {
    const transition: Transition = { ts, actor, machine: 'consumerDynamic', from, event: 'E', to }
    clock.record(transition)
  }
  const there = new Set(['a', 'b'])
  const settle = (at: number): void => {
    now = at
    clock.settle((actor) => there.has(actor))
  }
  const value = async (name: string, state: string): Promise<number> => {
    const line = (await meter.render())
      .split('\n')
      .find((each) => each.startsWith(`tapeline_${name}{`) && each.includes(`state="${state}"`))
    return Number(line?.split(' ').at(-1))
  }
  enter('a', 'idle', 'consuming', 1_000_000)
  enter('b', 'idle', 'consuming', 1_000_000)
  settle(3_000_000)
  assert.equal(await value('state_seconds_total', 'consuming'), 4, 'a stay that lasts counts as it passes')
  assert.equal(await value('actors', 'consuming'), 2)
  enter('a', 'consuming', 'error', 3_500_000)
  settle(5_000_000)
  assert.equal(await value('state_seconds_total', 'consuming'), 6.5)
  assert.equal(await value('state_seconds_total', 'error'), 1.5)
  assert.deepEqual([await value('actors', 'consuming'), await value('actors', 'error')], [1, 1])
  there.delete('a')
  settle(9_000_000)
  assert.equal(await value('state_seconds_total', 'error'), 1.5)
  assert.equal(await value('actors', 'error'), 0)
  settle(8_000_000)
  assert.equal(
    await value('state_seconds_total', 'consuming'),
    10.5,
    'a clock that is set back takes nothing away',
  )
})
