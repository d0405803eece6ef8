import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findTopic } from '../../../src/control/topics.ts'
import { encodeEvent } from '../../../src/domain/event-codec.ts'
import type { Quote } from '../../../src/domain/events.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { SourceBatch } from '../../../src/ports/source.ts'
import { spoilEmbedded } from '../../adapters/broker/spoil-embedded.ts'
import { temporaryFolder } from '../../adapters/broker/temporary-folder.ts'
import { readToEnd } from '../../contract/broker-fixtures.ts'
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

test('a stream with windows whose first step fails takes nothing from in front of its start', async (t) => {
  const { broker, services, mine, clock, announce, derive } = await setUp(t)
  const quote = (second: number, bid: number): SourceBatch => {
    const ts = (1_300_000_000 + second) * 1_000_000
    const event = { exchange: 'x', symbol: 'A-A', bid, ts, recvTs: ts }
    return { items: [{ channel: 'quote', event }] }
  }
  const endOfQuotes = async () => (await findTopic(broker, NAMES.fixed.quote, NEVER))?.offsets[0]?.end ?? 0
  await announce('app.all', ['*'], 0, 'quote')
  // Nothing of these is derived yet when the stream begins behind them.
  await services.publishFixed(quote(0, 1), NEVER)
  await services.publishFixed(quote(2, 2), NEVER)
  await announce('app.windows', ['*'], await endOfQuotes(), 'quote', { every: '1s', lateness: '0ms' })
  let isRefused = true
  mine.beforePublish = async (entries) => {
    const latest = entries.find(({ topic, records }) => topic === 'app.windows' && records.length > 1)
    if (!isRefused || latest === undefined) return
    isRefused = false
    const partitions = [{ topic: 'app.windows', partition: 0 }]
    throw new TapelineError('BROKER_UNAVAILABLE', 'no leader', { partitions })
  }
  await derive()
  for (const second of [4, 6]) {
    // The topic that could not be written has rested by then.
    clock.skippedMs += 60_000
    await services.publishFixed(quote(second, second), NEVER)
    await derive()
  }
  assert.equal(isRefused, false, 'the first write was refused')
  const records = await readToEnd(broker, 'app.windows')
  const bids = records.flatMap(({ value }) =>
    value === null ? [] : [(JSON.parse(Buffer.from(value).toString()) as Quote).bid],
  )
  // The latest one in front of the start, with which a stream of quotes begins, is none any more.
  assert.deepEqual(bids, [4])
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
