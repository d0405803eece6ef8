import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyMemory, positionsBefore, raise } from '../../../src/domain/reader-rules.ts'
import { until } from '../until.ts'
import { checkpoint, ids, setUpLog, TRADES, trade } from './losing-log.ts'
import { NEVER, trades } from './one-shard.ts'

/** What a reader has whose lease came to the stream at this offset of the fixed topic. */
const memoryAt = (offset: number) => raise(emptyMemory(), positionsBefore(TRADES, [offset]))

for (const { what, isTwice } of [
  { what: 'its owner', isTwice: false },
  { what: 'the owner after its owner', isTwice: true },
])
  test(`a lease comes to a stream at a place that the log loses: ${what} gives what comes in its place, behind a reset`, async (t) => {
    const log = setUpLog(t)
    const first = await log.start()
    await first.announce('app.old', ['C-D'], 0)
    await trade(first, 0, 50)
    await checkpoint(first)
    const seam = await first.endOfTrades()
    await first.announce('app.new', ['A-B'], seam)
    await first.lend('app.new', { start: seam })
    await first.crash()
    log.loseEnd(20)
    let producer = await log.start()
    await trade(producer, 50, 53)
    if (isTwice) {
      await checkpoint(producer)
      await producer.crash()
      producer = await log.start()
    }
    await trade(producer, 53, 90)
    assert.deepEqual(await log.got('app.new', memoryAt(seam)), ['reset', ...ids(50, 90)])
  })

test('a lease has positions of a lost end from the stream that it has left: it gets what comes in their place', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await first.announce('app.old', ['C-D'], 0)
  await trade(first, 0, 50)
  const seam = await first.endOfTrades()
  await first.announce('app.new', ['A-B'], seam)
  await first.lend('app.new', { start: seam })
  await trade(first, 50, 55)
  await first.services.publishFixed(trades('C-D', ...ids(55, 65)), NEVER)
  await first.derive()
  await checkpoint(first)
  const heard = await first.endOfTrades()
  await first.crash()
  log.loseEnd(10)
  const second = await log.start()
  await trade(second, 65, 70)
  assert.deepEqual(await log.got('app.new', memoryAt(heard)), ['reset', ...ids(65, 70)])
  assert.deepEqual(await log.got('app.new'), [...ids(50, 55), 'reset', ...ids(65, 70)])
})

test('a lease has positions of a lost end from beyond what any owner knows, and nothing comes for it up to there: it is told all the same', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  const other = async ({ services, derive }: typeof first, from: number, to: number) => {
    await services.publishFixed(trades('C-D', ...ids(from, to)), NEVER)
    await derive()
  }
  await first.announce('app.old', ['C-D'], 0)
  await trade(first, 0, 50)
  const seam = await first.endOfTrades()
  await first.announce('app.new', ['A-B'], seam)
  await first.lend('app.new', { start: seam })
  await other(first, 50, 60)
  await checkpoint(first)
  await other(first, 60, 90)
  const heard = await first.endOfTrades()
  await first.crash()
  log.loseEnd(35)
  const second = await log.start()
  await other(second, 90, 100)
  await trade(second, 100, 105)
  assert.deepEqual(await log.got('app.new', memoryAt(heard)), ['reset', ...ids(100, 105)])
})

test('nobody is told of a lost end in a stream that all its leases have from its beginning', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await trade(first, 0, 50)
  await first.announce('app.new', ['A-B'], await first.endOfTrades())
  await first.lend('app.new', {})
  await checkpoint(first)
  await first.crash()
  log.loseEnd(20)
  const second = await log.start()
  await trade(second, 50, 90)
  assert.deepEqual(await log.got('app.new'), ids(50, 90))
})

test('an owner reads what a stream holds before it says that the stream has passed a seam', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await first.announce('app.old', ['A-B'], 0)
  await first.announce('app.new', ['C-D'], 0)
  await trade(first, 0, 50)
  await checkpoint(first)
  await first.crash()
  log.loseEnd(20)
  const second = await log.start()
  // Nothing of this is for the stream.
  await second.services.publishFixed(trades('C-D', ...ids(50, 90)), NEVER)
  await second.derive()
  const seam = await second.endOfTrades()
  const former = [{ streamId: 'app.old', begin: 0, seam: [seam], end: null }]
  await second.lend('app.new', { start: seam, former })
  await until('the stream has passed the seam', async () => {
    await second.services.publishFixed({ items: [] }, NEVER)
    await second.derive()
    return (second.passed.get('app.old') ?? 0) >= seam
  })
  assert.deepEqual(await log.got('app.old'), [...ids(0, 50), 'reset'])
})

test('a seam lies in an end that a quiet partition has lost: the stream passes it, and the next one has what comes then', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await first.announce('app.old', ['A-B'], 0)
  await trade(first, 0, 50)
  await checkpoint(first)
  const seam = await first.endOfTrades()
  await first.announce('app.new', ['A-B', 'C-D'], seam)
  const former = [{ streamId: 'app.old', begin: 0, seam: [seam], end: null }]
  await first.lend('app.new', { start: seam, former })
  await first.crash()
  log.loseEnd(20)
  const second = await log.start()
  await until('the stream has passed the seam', async () => {
    await second.services.publishFixed({ items: [] }, NEVER)
    await second.derive()
    return (second.passed.get('app.old') ?? 0) >= seam
  })
  await trade(second, 50, 60)
  assert.deepEqual(await log.got('app.new', memoryAt(seam)), ['reset', ...ids(50, 60)])
})
