import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProducerServices } from '../../../src/services/producer/producer.ts'
import { NEVER, setUp, trades } from './one-shard.ts'

/** An idle producer looks for work several times a second. */
async function passSeconds(
  seconds: number,
  clock: { skippedMs: number },
  { publishFixed }: Pick<ProducerServices, 'publishFixed'>,
): Promise<void> {
  for (let looks = 0; looks < seconds * 10; looks++) {
    clock.skippedMs += 100
    await publishFixed({ items: [] }, NEVER)
  }
}

const EVERY_SECOND = { every: '1s', lateness: '0ms' }

test('the last window of a market that falls silent closes, by one record in the fixed topic', async (t) => {
  const { services, announce, endOfTrades, idsIn, derive, clock } = await setUp(t)
  await announce('app.latest', ['*'], 0, 'trade', EVERY_SECOND)
  await services.publishFixed(trades('A-A', 'a1', 'a2'), NEVER)
  await derive()
  assert.deepEqual(await idsIn('app.latest'), [])
  const end = await endOfTrades()
  await passSeconds(2, clock, services)
  assert.equal(await endOfTrades(), end + 1)
  await derive()
  assert.deepEqual(await idsIn('app.latest'), ['a2'])
  await services.publishFixed({ items: [] }, NEVER)
  assert.equal(await endOfTrades(), end + 1, 'no window is open any more')
})

test('nothing is written while no window is open, or none is due', async (t) => {
  const { services, announce, endOfTrades, derive, clock } = await setUp(t)
  await announce('app.other', ['B-*'], 0, 'trade', EVERY_SECOND)
  await announce('app.long', ['*'], 0, 'trade', { interval: '1h', lateness: '0ms' })
  await services.publishFixed(trades('A-A', 'a1'), NEVER)
  await derive()
  const end = await endOfTrades()
  await passSeconds(60, clock, services)
  assert.equal(await endOfTrades(), end)
})

test('a stream that begins later closes the same windows from the log, ticks included', async (t) => {
  const { services, announce, idsIn, derive, clock } = await setUp(t)
  await announce('app.first', ['*'], 0, 'trade', EVERY_SECOND)
  await services.publishFixed(trades('A-A', 'a1', 'a2'), NEVER)
  await derive()
  await passSeconds(2, clock, services)
  await derive()
  // Its window has closed: it is too late.
  await services.publishFixed(trades('A-A', 'a3'), NEVER)
  await derive()
  await announce('app.second', ['*'], 0, 'trade', {
    ...EVERY_SECOND,
    fields: ['exchange', 'symbol', 'id', 'ts'],
  })
  await derive()
  assert.deepEqual(await idsIn('app.first'), ['a2'])
  assert.deepEqual(await idsIn('app.second'), ['a2'])
})

test('a process that stood still closes no window before it has read what came meanwhile', async (t) => {
  const { services, announce, endOfTrades, derive, clock } = await setUp(t)
  await announce('app.latest', ['*'], 0, 'trade', EVERY_SECOND)
  await services.publishFixed(trades('A-A', 'a1'), NEVER)
  await derive()
  const end = await endOfTrades()
  await services.publishFixed({ items: [] }, NEVER)
  clock.skippedMs += 60_000
  await services.publishFixed({ items: [] }, NEVER)
  assert.equal(await endOfTrades(), end)
})
