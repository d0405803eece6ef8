import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../until.ts'
import { checkpoint, ids, refuseWrites, setUpLog, setUpStream, trade } from './losing-log.ts'
import { NEVER, trades } from './one-shard.ts'

/** What the second owner leaves to the third: a stream that it could not write, and a checkpoint. */
for (const { what, lose } of [
  { what: 'that others made anew', lose: (log: ReturnType<typeof setUpLog>) => log.makeAnew() },
  { what: 'that lost its end', lose: async (log: ReturnType<typeof setUpLog>) => log.loseEnd(10) },
])
  test(`a fixed topic ${what}, and a stream that could not be told before the next checkpoint: the next owner tells it`, async (t) => {
    const { log, first } = await setUpStream(t, 50)
    await first.end()
    await lose(log)
    const second = await log.start()
    refuseWrites(second, 'app.one', () => true)
    await second.services.publishFixed(trades('A-B', ...ids(50, 110)), NEVER)
    for (let step = 0; step < 3; step++) await second.services.publishDynamic(NEVER)
    await checkpoint(second)
    await second.crash()
    const third = await log.start()
    await trade(third, 110, 120)
    assert.deepEqual(await log.got('app.one'), [...ids(0, 50), 'reset', ...ids(50, 120)])
    await trade(third, 120, 125)
    await third.end()
    const fourth = await log.start()
    await trade(fourth, 125, 130)
    assert.deepEqual(await log.got('app.one'), [...ids(0, 50), 'reset', ...ids(50, 130)], 'once')
  })

test('a stream that was behind, and had nothing of what a fixed topic lost, gets what came in its place', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await first.announce('app.one', ['A-B'], 0)
  await trade(first, 0, 10)
  await first.services.publishFixed(trades('C-D', ...ids(10, 40)), NEVER)
  await first.derive()
  refuseWrites(first, 'app.one', () => true)
  await first.services.publishFixed(trades('A-B', ...ids(40, 50)), NEVER)
  for (let step = 0; step < 3; step++) await first.services.publishDynamic(NEVER)
  await checkpoint(first)
  await first.crash()
  log.loseEnd(20)
  const second = await log.start()
  await trade(second, 50, 60)
  await trade(second, 60, 90)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 10), ...ids(50, 90)])
})

test('an owner writes a batch before it sees that the log has lost its end: a stream that it cannot write gets that batch from the next owner', async (t) => {
  const { log, first } = await setUpStream(t, 20)
  await checkpoint(first)
  refuseWrites(first, 'app.one', () => true)
  log.loseEnd(10)
  await first.services.publishFixed(trades('A-B', ...ids(20, 30)), NEVER)
  await first.services.publishFixed(trades('A-B', ...ids(30, 40)), NEVER)
  for (let step = 0; step < 3; step++) await first.services.publishDynamic(NEVER)
  await checkpoint(first)
  await first.crash()
  const second = await log.start()
  await trade(second, 40, 50)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 20), 'reset', ...ids(20, 50)])
})

test('an owner writes a trade before it sees that the log has lost its end, and dies before it tells anybody: its marker tells the next one', async (t) => {
  const { log, first } = await setUpStream(t, 20)
  await checkpoint(first)
  log.loseEnd(1)
  await first.services.publishFixed(trades('A-B', 't20'), NEVER)
  // It takes the shard over anew.
  await first.services.publishFixed({ items: [] }, NEVER)
  await first.crash()
  const second = await log.start()
  await trade(second, 30, 35)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 20), 'reset', 't20', ...ids(30, 35)])
})

for (const again of [0, 5])
  test(`an owner tells of a lost end, and dies before its checkpoint and before anything follows; then ${again} records more are lost`, async (t) => {
    const log = setUpLog(t)
    const first = await log.start()
    await first.announce('app.one', ['A-B'], 0)
    await trade(first, 0, 20)
    await checkpoint(first)
    await trade(first, 20, 40)
    await first.crash()
    log.loseEnd(10)
    const second = await log.start()
    await second.services.publishFixed(trades('C-D', 'other'), NEVER)
    await second.derive()
    await second.crash()
    // Its marker and its trade go too.
    if (again > 0) log.loseEnd(again + 2)
    const third = await log.start()
    await trade(third, 50, 60)
    const told = again > 0 ? ['reset', 'reset'] : ['reset']
    assert.deepEqual(await log.got('app.one'), [...ids(0, 40), ...told, ...ids(50, 60)])
  })

test('a fixed topic that loses its end while its owner has nothing to publish: a stream that is behind is not held up for ever', async (t) => {
  const log = setUpLog(t)
  const producer = await log.start()
  await trade(producer, 0, 20)
  log.loseEnd(10)
  await producer.announce('app.one', ['*'], 0)
  await until('the stream has what is left', async () => {
    await producer.services.publishDynamic(NEVER)
    return (await log.got('app.one')).length >= 10
  })
  assert.deepEqual(await log.got('app.one'), ids(0, 10))
})
