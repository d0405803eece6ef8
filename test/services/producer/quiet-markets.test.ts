import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRanges } from '../../../src/control/read-range.ts'
import { findTopic } from '../../../src/control/topics.ts'
import type { Quote, Trade } from '../../../src/domain/events.ts'
import type { StoredRecord } from '../../../src/ports/broker.ts'
import { CheckpointReader } from '../../../src/services/producer/checkpoint-reader.ts'
import { Shard } from '../../../src/services/producer/shard.ts'
import { NAMES } from '../../names.ts'
import { NEVER, setUp, trades } from './one-shard.ts'

type World = Awaited<ReturnType<typeof setUp>>

const DAY = 86_400_000
const MARKERS = { trade: 0, quote: 0, candle: 0, book: 0, status: 0 }
const LOG = { id: 'topic', since: 0 }
const LOGS = { trade: LOG, quote: LOG, candle: LOG, book: LOG, status: LOG }

async function recordsOf({ mine }: World, name: string): Promise<StoredRecord[]> {
  const topic = await findTopic(mine, name, NEVER)
  const { earliest, end } = topic?.offsets[0] ?? { earliest: 0, end: 0 }
  const found: StoredRecord[] = []
  const range = { topic: name, partition: 0, offset: earliest, end }
  await readRanges(mine, [range], ({ records }) => found.push(...records), NEVER)
  return found
}

/** Days pass; a market trades on each, so that the producer has work. */
async function pass({ services, clock }: World, days: number, symbol = 'BUSY-USD'): Promise<void> {
  for (let day = 0; day < days; day++) {
    clock.skippedMs += DAY + 1
    const ts = (Date.now() + clock.skippedMs) * 1000
    const { items } = trades(symbol, `${symbol} ${clock.skippedMs}`)
    const [item] = items
    if (item)
      await services.publishFixed({ items: [{ ...item, event: { ...item.event, ts, recvTs: ts } }] }, NEVER)
  }
  await services.close(NEVER)
}

test('a market without a trade for 90 days leaves the checkpoint, and its repeats say that they may be some', async (t) => {
  const world = await setUp(t)
  await world.services.publishFixed(trades('OLD-USD', '1', '2', '3'), NEVER)
  await pass(world, 3)

  const keys = new Map((await recordsOf(world, NAMES.checkpoints)).map(({ key, value }) => [key, value]))
  assert.equal(keys.get('market:x:OLD-USD'), null, 'its ids are deleted from the topic')
  assert.notEqual(keys.get('market:x:BUSY-USD'), null)

  const reader = new CheckpointReader()
  for (const record of await recordsOf(world, NAMES.checkpoints)) reader.take(record)
  assert.deepEqual([...reader.unreadable], [])
  assert.equal(reader.windows.has('x:OLD-USD'), false)
  const next = new Shard(0, {} as never, reader.checkpoint, MARKERS, reader.windows, LOGS)
  const event = (n: number): Trade => trades('OLD-USD', '1', '2', '3').items[n]?.event as Trade
  for (const n of [0, 1, 2]) assert.equal(next.window('x:OLD-USD').judge(event(n)), 'maybe')
  const fresh = { ...event(0), id: '4', ts: Date.now() * 1000 }
  assert.equal(next.window('x:OLD-USD').judge(fresh), 'new', 'a trade of today is no repeat')
})

test('trades that are published anew are known as long as they come', async (t) => {
  const world = await setUp(t)
  const old = trades('OLD-USD', '1', '2', '3')
  for (let day = 0; day < 5; day++) {
    await world.services.publishFixed(old, NEVER)
    world.clock.skippedMs += DAY + 1
  }
  const published = (await recordsOf(world, NAMES.fixed.trade)).filter(
    ({ headers }) => headers.kind === 'event',
  )
  assert.equal(published.length, 3)
})

test('a stream that comes begins with no quote of 90 days ago, and with each that is younger', async (t) => {
  const world = await setUp(t)
  const quote = (symbol: string, ts: number): void => {
    const event = { exchange: 'x', symbol, bid: 1, bidSize: 1, ask: 2, askSize: 1, ts, recvTs: ts }
    quotes.push({ channel: 'quote', event })
  }
  const quotes: { channel: 'quote'; event: Quote }[] = []
  quote('OLD-USD', 1_000)
  quote('LATE-USD', (Date.now() - 30 * DAY) * 1000)
  await world.services.publishFixed({ items: quotes }, NEVER)
  for (let look = 0; look < 3; look++) {
    world.clock.skippedMs += DAY + 1
    await world.services.publishFixed({ items: [] }, NEVER)
  }
  await world.announce('app.quotes', ['*'], 2, 'quote')
  await world.derive()
  const values = await recordsOf(world, 'app.quotes')
  const symbols = values.flatMap(({ value }) =>
    value === null ? [] : (JSON.parse(Buffer.from(value).toString()) as Quote).symbol,
  )
  assert.deepEqual(symbols, ['LATE-USD'])
})
