import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { PartitionRecords } from '../../../src/ports/broker.ts'
import {
  checkpoint,
  ids,
  refuseReads,
  refuseWrites,
  setUpLog,
  setUpStream,
  TRADES,
  trade,
} from './losing-log.ts'
import { NEVER, trades } from './one-shard.ts'

test('the topic of a stream that lost its end under a running producer: readers are told, and get what was lost', async (t) => {
  const log = setUpLog(t)
  const producer = await log.start()
  await producer.announce('app.one', ['*'], 0)
  await trade(producer, 0, 50)
  log.loseEnd(10, 'app.one')
  await trade(producer, 50, 55)
  await trade(producer, 55, 60)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 40), ...ids(50, 55), 'reset', ...ids(40, 60)])
})

test('the topic of a stream that lost all that it had under a running producer', async (t) => {
  const log = setUpLog(t)
  const producer = await log.start()
  await producer.announce('app.one', ['*'], 0)
  await trade(producer, 0, 50)
  log.loseEnd(1e9, 'app.one')
  await trade(producer, 50, 55)
  await trade(producer, 55, 60)
  assert.deepEqual(await log.got('app.one'), [...ids(50, 55), 'reset', ...ids(0, 60)])
})

for (const lost of [10, 1e9])
  test(`the topic of a stream that lost ${lost} records of before the checkpoint while no producer ran`, async (t) => {
    const log = setUpLog(t)
    const first = await log.start()
    await first.announce('app.one', ['*'], 0)
    await first.announce('app.other', ['*'], 0)
    await trade(first, 0, 50)
    await checkpoint(first)
    await trade(first, 50, 52)
    await first.crash()
    log.loseEnd(lost, 'app.one')
    const left = Math.max(0, 52 - lost)
    const second = await log.start()
    await trade(second, 52, 60)
    await trade(second, 60, 65)
    assert.deepEqual(await log.got('app.one'), [...ids(0, left), 'reset', ...ids(left, 65)])
    assert.deepEqual(await log.got('app.other'), ids(0, 65), 'nothing is told of a stream that lost nothing')
  })

test('the topic of a stream that lost all that it had, of which a take-over reads only the end: all comes again', async (t) => {
  const { log, first } = await setUpStream(t, 3_000)
  await checkpoint(first)
  await first.crash()
  log.loseEnd(1e9, 'app.one')
  const second = await log.start()
  await trade(second, 3_000, 3_005)
  assert.deepEqual(await log.got('app.one'), ['reset', ...ids(0, 3_005)])
})

test('the topic of a stream that lost its end, and whose owner saw that and could not tell it before it died: the next owner does', async (t) => {
  const { log, first } = await setUpStream(t, 50)
  await checkpoint(first)
  log.loseEnd(10, 'app.one')
  const end = (): number => log.broker.topics.get('app.one')?.partition(0).end ?? 0
  const left = end()
  refuseWrites(first, 'app.one', () => end() > left)
  await first.services.publishFixed(trades('A-B', ...ids(50, 55)), NEVER)
  for (let step = 0; step < 3; step++) await first.services.publishDynamic(NEVER)
  await checkpoint(first)
  await first.crash()
  const second = await log.start()
  await trade(second, 55, 60)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 40), ...ids(50, 55), 'reset', ...ids(40, 60)])
})

test('the topic of a stream that lost its end, and whose owner saw that and died before it wrote its next checkpoint', async (t) => {
  const { log, first } = await setUpStream(t, 50)
  await checkpoint(first)
  log.loseEnd(10, 'app.one')
  refuseReads(first, TRADES)
  await trade(first, 50, 55)
  await first.crash()
  const second = await log.start()
  await trade(second, 55, 60)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 40), ...ids(50, 55), 'reset', ...ids(40, 60)])
})

test('the topic of a stream that lost its end behind the checkpoint: the owner says so at once, and the next one tells it', async (t) => {
  const { log, first } = await setUpStream(t, 50)
  await checkpoint(first)
  await trade(first, 50, 60)
  log.loseEnd(5, 'app.one')
  refuseReads(first, TRADES)
  await trade(first, 60, 65)
  // Far less time than between two checkpoints.
  first.clock.skippedMs += 1_000
  await first.services.publishFixed({ items: [] }, NEVER)
  await first.crash()
  const second = await log.start()
  await trade(second, 65, 70)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 55), ...ids(60, 65), 'reset', ...ids(55, 70)])
})

for (const lost of [5, 1e9])
  test(`the topic of a stream that lost ${lost} records behind the checkpoint, and whose owner died before the next one: the next owner tells it once`, async (t) => {
    const log = setUpLog(t)
    const first = await log.start()
    await trade(first, 0, 5)
    await first.announce('app.one', ['*'], 6)
    await trade(first, 5, 50)
    await checkpoint(first)
    await trade(first, 50, 60)
    log.loseEnd(lost, 'app.one')
    const left = Math.max(5, 60 - lost)
    refuseReads(first, TRADES)
    await trade(first, 60, 65)
    await first.crash()
    const second = await log.start()
    await trade(second, 65, 70)
    await second.crash()
    const third = await log.start()
    await trade(third, 70, 75)
    assert.deepEqual(await log.got('app.one'), [...ids(5, left), ...ids(60, 65), 'reset', ...ids(left, 75)])
  })

test('the topic of a stream of quotes that lost all that it had: the latest values are those in front of what comes again', async (t) => {
  const quotes = (...bids: [symbol: string, bid: number][]) => ({
    items: bids.map(([symbol, bid]) => {
      const event = { exchange: 'x', symbol, bid, ask: 1e9, ts: 1_000 + bid, recvTs: 1_000 }
      return { channel: 'quote' as const, event }
    }),
  })
  const log = setUpLog(t)
  const first = await log.start()
  await first.announce('app.one', ['*'], 0, 'quote')
  await first.services.publishFixed(quotes(['A-B', 1], ['C-D', 2], ['A-B', 3]), NEVER)
  await first.derive()
  await checkpoint(first)
  await first.crash()
  log.loseEnd(1e9, 'app.one')
  const second = await log.start()
  await second.services.publishFixed(quotes(['A-B', 4]), NEVER)
  await second.derive()
  assert.deepEqual(await log.got('app.one'), ['reset', '1', '2', '3', '4'])
})

test('the topic of a stream with a filter that lost its end, with later records in front of the checkpoint that it does not want', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await first.announce('app.one', ['*'], 0, 'trade', { where: 'id != "t49"' })
  await trade(first, 0, 50)
  await checkpoint(first)
  await first.crash()
  log.loseEnd(10, 'app.one')
  const second = await log.start()
  await trade(second, 50, 60)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 39), 'reset', ...ids(39, 49), ...ids(50, 60)])
})

test('the topic of a stream that lost its end, behind records that nobody can read', async (t) => {
  const { log, first } = await setUpStream(t, 30)
  await trade(first, 30, 40)
  await trade(first, 40, 50)
  await checkpoint(first)
  await first.crash()
  log.loseEnd(10, 'app.one')
  log.rot('app.one')
  const second = await log.start()
  await trade(second, 50, 60)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 30), 'reset', ...ids(30, 60)])
})

test('a fixed topic that lost its end and grew again, of which a stream holds more behind records that nobody can read: it is told', async (t) => {
  const { log, first } = await setUpStream(t, 30)
  await checkpoint(first)
  await trade(first, 30, 40)
  await trade(first, 40, 50)
  await first.crash()
  log.loseEnd(10)
  log.rot('app.one', 1)
  const second = await log.start()
  await second.services.publishFixed(trades('A-B', ...ids(50, 55)), NEVER)
  await second.crash()
  const third = await log.start()
  await trade(third, 55, 65)
  const again = [...ids(30, 40), ...ids(50, 65)]
  assert.deepEqual(await log.got('app.one'), [...ids(0, 30), ...ids(40, 50), 'reset', ...again])
})

test('the topic of a stream that lost its end behind records that nobody can read, and whose owner died before it could tell', async (t) => {
  const { log, first } = await setUpStream(t, 30)
  await checkpoint(first)
  for (const from of [30, 40, 50]) await trade(first, from, from + 10)
  log.loseEnd(10, 'app.one')
  refuseReads(first, TRADES)
  await trade(first, 60, 65)
  await first.crash()
  log.rot('app.one', 2)
  const second = await log.start()
  await second.services.publishFixed(trades('A-B', ...ids(65, 70)), NEVER)
  await second.crash()
  const third = await log.start()
  await trade(third, 70, 75)
  assert.deepEqual(await log.got('app.one'), [
    ...ids(0, 30),
    ...ids(40, 50),
    ...ids(60, 65),
    'reset',
    ...ids(30, 75),
  ])
})

/**
 * A stream whose first owner wrote ten records late, behind the marker of the second one; then that cannot be read any more. Both have died, and in between the fixed
 * topic has lost so many records.
 */
async function writeLate(t: TestContext, lost = 0) {
  const { log, first } = await setUpStream(t, 50)
  await checkpoint(first)
  const late: PartitionRecords[] = []
  first.mine.beforePublish = async (entries) => {
    const own = entries.filter(({ topic }) => topic === 'app.one')
    late.push(...own)
    if (own.length > 0) throw new TapelineError('BROKER_UNAVAILABLE', 'the answer was lost')
  }
  await first.services.publishFixed(trades('A-B', ...ids(50, 60)), NEVER)
  for (let step = 0; step < 3; step++) await first.services.publishDynamic(NEVER).catch(() => undefined)
  await first.crash()
  log.loseEnd(lost)
  const second = await log.start()
  second.mine.beforePublish = async (entries) => {
    if (entries.some(({ topic, records }) => topic === 'app.one' && records.some(({ value }) => value)))
      throw new TapelineError('BROKER_UNAVAILABLE', 'no leader')
  }
  await second.services.publishFixed(trades('A-B', 't60'), NEVER)
  for (let step = 0; step < 3; step++) await second.services.publishDynamic(NEVER).catch(() => undefined)
  await second.crash()
  await log.broker.publish(late.slice(0, 1), NEVER)
  const [memory, end] = [emptyMemory(), log.end('app.one')]
  assert.deepEqual(await log.got('app.one', memory), ids(0, 50))
  log.rot('app.one', 1)
  return { log, memory, end }
}

test('what a former owner wrote late comes again where the marker in front of it cannot be read any more: who has read that counts it not', async (t) => {
  const { log, memory, end } = await writeLate(t)
  const third = await log.start()
  await trade(third, 61, 65)
  assert.deepEqual(await log.got('app.one', memory, end), ids(50, 65))
})

test('what a former owner wrote late, behind a marker that nobody can read, and the fixed topic has lost since: who counts it hears of that', async (t) => {
  const { log } = await writeLate(t, 10)
  const third = await log.start()
  await trade(third, 61, 65)
  const got = await log.got('app.one')
  assert.deepEqual(got.slice(got.indexOf('t50')), [...ids(50, 60), 'reset', ...ids(60, 65)])
})

test('a fixed topic that lost its end, of which a stream holds more behind a marker that nobody can read, and late records behind that: it is told', async (t) => {
  const { log, first } = await setUpStream(t, 30)
  await checkpoint(first)
  const late: PartitionRecords[] = []
  first.mine.beforePublish = async (entries) => {
    const own = entries.filter(({ topic }) => topic === 'app.one')
    late.push(...own)
    if (own.length > 0) throw new TapelineError('BROKER_UNAVAILABLE', 'the answer was lost')
  }
  await trade(first, 30, 31).catch(() => undefined)
  await first.crash()
  const second = await log.start()
  await trade(second, 31, 40)
  await trade(second, 40, 50)
  await second.crash()
  await log.broker.publish(late.slice(0, 1), NEVER)
  log.loseEnd(10)
  // The late ones, two batches of the second owner, and its marker in front.
  log.rot('app.one', 3)
  const third = await log.start()
  await third.services.publishFixed(trades('A-B', ...ids(50, 55)), NEVER)
  await third.crash()
  const fourth = await log.start()
  await trade(fourth, 55, 65)
  const got = await log.got('app.one')
  const again = [...ids(30, 40), ...ids(50, 65)]
  assert.deepEqual(got, [...ids(0, 50), 'reset', ...again])
})

test('the topic of a stream and its fixed topic that both lost their ends while no producer ran', async (t) => {
  const { log, first } = await setUpStream(t, 50)
  await checkpoint(first)
  await first.crash()
  log.loseEnd(10, 'app.one')
  log.loseEnd(5)
  const second = await log.start()
  await trade(second, 50, 60)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 40), 'reset', ...ids(40, 45), ...ids(50, 60)])
})

test('a stream that nothing came for lately is told nothing at a take-over', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await first.announce('app.quiet', ['A-B'], 0)
  await trade(first, 0, 5)
  await first.services.publishFixed(trades('C-D', ...ids(5, 2_005)), NEVER)
  await first.derive()
  await checkpoint(first)
  await first.crash()
  const second = await log.start()
  await trade(second, 2_005, 2_010)
  assert.deepEqual(await log.got('app.quiet'), [...ids(0, 5), ...ids(2_005, 2_010)])
})
