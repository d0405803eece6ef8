import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { NAMES } from '../../names.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import { NEVER, setUp, trades } from './one-shard.ts'

/** A producer whose seconds pass at once; gives how many records its checkpoints have had. */
async function count(t: TestContext) {
  const { services, mine, clock } = await setUp(t)
  let checkpoints = 0
  let records = 0
  mine.beforeCommit = async (entries) => {
    for (const entry of entries) {
      if (entry.topic !== NAMES.checkpoints) continue
      checkpoints++
      records += entry.records.length
    }
  }
  let id = 0
  /** A second in which each market trades so often. */
  const second = async (markets: readonly string[], times: number): Promise<void> => {
    for (const market of markets)
      await services.publishFixed(trades(market, ...Array.from({ length: times }, () => String(++id))), NEVER)
    clock.skippedMs += 1_001
    // A checkpoint is written beside what is published.
    for (let turn = 0; turn < 10; turn++) await setImmediate()
  }
  await second(['A-USD'], 1)
  await second(['A-USD'], 1)
  return {
    second,
    taken() {
      const taken = { checkpoints, records }
      checkpoints = records = 0
      return taken
    },
  }
}

test('where little is traded, checkpoints are few: each has the last trades of every market', async (t) => {
  const { second, taken } = await count(t)
  taken()
  for (let seconds = 0; seconds < 20; seconds++) await second(['A-USD', 'B-USD', 'C-USD'], 1)
  const { checkpoints, records } = taken()
  assert.ok(checkpoints >= 3 && checkpoints <= 4, `${checkpoints} checkpoints in 20 s`)
  assert.ok(records <= 4 * 4, `${records} records`)
})

test('where much is traded, a take-over finds a checkpoint of the last second', async (t) => {
  const { second, taken } = await count(t)
  taken()
  for (let seconds = 0; seconds < 5; seconds++) await second(['A-USD'], 1_100)
  const { checkpoints } = taken()
  assert.ok(checkpoints >= 4, `${checkpoints} checkpoints in 5 s`)
})

test('a shard that is given up leaves a checkpoint of its last record', async (t) => {
  const { second, taken } = await count(t)
  await second(['A-USD'], 1)
  taken()
  await second(['A-USD'], 1)
  t.after(() => assert.equal(taken().checkpoints, 1))
})

test('one that would say the same is left out for half a minute, and a shard is taken over from the last one all the same', async (t) => {
  const broker = new MemoryBroker(Date.now)
  const first = await setUp(t, broker)
  await first.announce('app.all', ['*'], 0)
  await first.services.publishFixed(trades('A-USD', '1', '2'), NEVER)
  await first.derive()
  let checkpoints = 0
  first.mine.beforeCommit = async (entries) => {
    checkpoints += entries.filter(({ topic }) => topic === NAMES.checkpoints).length
  }
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      first.clock.skippedMs += 1_000
      await first.services.publishFixed({ items: [] }, NEVER)
      for (let turn = 0; turn < 10; turn++) await setImmediate()
    }
  }
  await pass(10)
  assert.ok(checkpoints > 0, 'what was traded is told')
  checkpoints = 0
  await pass(15)
  assert.equal(checkpoints, 0)
  await pass(20)
  assert.equal(checkpoints, 1)
  await first.crash()
  const second = await setUp(t, broker)
  await second.services.publishFixed(trades('A-USD', '2', '3'), NEVER)
  await second.derive()
  assert.deepEqual(await second.idsIn('app.all'), ['1', '2', '3'])
})
