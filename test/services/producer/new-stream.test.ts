import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeEvent } from '../../../src/domain/event-codec.ts'
import { spoilEmbedded } from '../../adapters/broker/spoil-embedded.ts'
import { temporaryFolder } from '../../adapters/broker/temporary-folder.ts'
import { NAMES } from '../../names.ts'
import { NEVER, setUp, trades } from './one-shard.ts'

test('a stream that is announced while a step is on its way into the dynamic topics misses nothing of that step', async (t) => {
  const { services, announce, endOfTrades, idsIn, derive, before } = await setUp(t)
  await announce('app.all', ['*'], 0)
  await services.publishFixed(trades('A-A', 'a1'), NEVER)
  await derive()
  const start = await endOfTrades()
  await services.publishFixed(trades('A-A', 'a2', 'a3'), NEVER)
  before('app.all', () => announce('app.new', ['A-*'], start))
  await derive()
  await services.publishFixed(trades('A-A', 'a4'), NEVER)
  await derive()
  assert.deepEqual(await idsIn('app.all'), ['a1', 'a2', 'a3', 'a4'])
  assert.deepEqual(await idsIn('app.new'), ['a2', 'a3', 'a4'])
})

test('a stream that is announced after a step of the fixed topics gets what no other stream wanted of it', async (t) => {
  const { services, announce, endOfTrades, idsIn, derive } = await setUp(t)
  await announce('app.other', ['B-*'], 0)
  await services.publishFixed(trades('A-A', 'a1'), NEVER)
  await derive()
  const start = await endOfTrades()
  await services.publishFixed({ items: [...trades('A-A', 'a2').items, ...trades('B-B', 'b1').items] }, NEVER)
  await announce('app.new', ['A-*'], start)
  await derive()
  await services.publishFixed(trades('A-A', 'a3'), NEVER)
  await derive()
  assert.deepEqual(await idsIn('app.other'), ['b1'])
  assert.deepEqual(await idsIn('app.new'), ['a2', 'a3'])
})

test('a stream that begins among thousands of late records of a former owner takes none of them', async (t) => {
  const { broker, services, announce, endOfTrades, idsIn, derive } = await setUp(t)
  await services.publishFixed(trades('A-A', 'a1'), NEVER)
  const first = await endOfTrades()
  const late = trades('A-A', ...Array.from({ length: 4_000 }, (_, n) => `late${n}`)).items.map(
    ({ event }) => ({
      ...{ key: 'x:A-A', value: encodeEvent(event) },
      headers: { v: 1, kind: 'event', shard: 0, epoch: 0 } as const,
    }),
  )
  await broker.publish([{ topic: NAMES.fixed.trade, partition: 0, records: late }], NEVER)
  await services.publishFixed(trades('A-A', 'a2'), NEVER)
  await announce('app.new', ['*'], first + 3_000)
  await derive()
  await services.publishFixed(trades('A-A', 'a3'), NEVER)
  await derive()
  assert.deepEqual(await idsIn('app.new'), ['a2', 'a3'])
})

test('a stream that is derived over a batch that nobody can read tells its readers of the hole', async (t) => {
  const folder = await temporaryFolder(t)
  const { services, announce, endOfTrades, idsIn, derive } = await setUp(t, folder)
  await services.publishFixed(trades('A-A', 'a1'), NEVER)
  const first = await endOfTrades()
  await services.publishFixed(trades('A-A', 'a2-spoilt', 'a3'), NEVER)
  await services.publishFixed(trades('A-A', 'a4'), NEVER)
  spoilEmbedded(folder, 'a2-spoilt')
  await announce('app.late', ['*'], 0)
  await derive()
  await services.publishFixed(trades('A-A', 'a5'), NEVER)
  await derive()
  const [a1, hole, ...others] = await idsIn('app.late')
  assert.deepEqual([a1, ...others], ['a1', 'a4', 'a5'])
  assert.match(
    hole ?? '',
    new RegExp(`^fixed records ${first} to ${first + 1} of shard 0 are gone: they cannot be read`),
  )
})
