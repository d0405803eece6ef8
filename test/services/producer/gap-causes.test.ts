import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GapCause, Status, Trade } from '../../../src/domain/events.ts'
import { until } from '../until.ts'
import { bodyOf, MARKETS, PARTITIONS, setUp, TOPICS } from './producers.ts'

type World = Awaited<ReturnType<typeof setUp>>
type Producer = Awaited<ReturnType<World['start']>>

/** The `source` of a gap stands in captured.test.ts, its `retention` in the tests of the fixed consumer. */
async function causes({ counted }: World): Promise<(GapCause | undefined)[]> {
  const events = (await counted(TOPICS.status)).map((record) => bodyOf<Status>(record))
  return events.filter(({ state }) => state === 'gap').map(({ cause }) => cause)
}

const each = (cause: GapCause): GapCause[] => MARKETS.map(() => cause)

async function owning(producer: Producer): Promise<Producer> {
  await until('it has all shards', () => producer.services.shards().length === PARTITIONS)
  return producer
}

/** Trades in every market until all is published. */
async function trade(world: World, times = 1): Promise<void> {
  for (let i = 0; i < times; i++) world.exchange.trade(MARKETS)
  await world.settle()
}

test('the gaps of a producer that was away say restart', async (t) => {
  const world = await setUp(t)
  const first = await owning(await world.start())
  await trade(world)
  assert.deepEqual(await causes(world), [], 'the first start of a platform leaves none')
  await first.leave()
  for (let i = 0; i < 10; i++) world.exchange.trade(MARKETS)
  const second = await owning(await world.start())
  await trade(world)
  assert.deepEqual(await causes(world), each('restart'))
  const [id, code, message = ''] = second.told.at(-1) ?? []
  assert.deepEqual([id, code], ['gaps', 'GAP_FLAGGED'])
  assert.match(message, /^trades are missing, the last ones of \S+ from .*Z to .*Z \(restart\)$/)
  assert.deepEqual(first.told, [], 'a first start has no gap')
})

test('the gaps of a source that was away say reconnect', async (t) => {
  const world = await setUp(t)
  const producer = await owning(await world.start())
  await trade(world)
  producer.connection.reconnect()
  await trade(world)
  assert.deepEqual(await causes(world), each('reconnect'))
})

test('the gaps of a full queue say overflow, and so does the event where it dropped something', async (t) => {
  const world = await setUp(t)
  const producer = await owning(await world.start({ capacity: 100 }))
  await trade(world)
  producer.broker.isAway = true
  for (let i = 0; i < 50; i++) world.exchange.trade(MARKETS)
  await until('the outage shows', () => producer.machine.report().errorInfo !== null)
  for (let i = 0; i < 50; i++) world.exchange.trade(MARKETS)
  producer.broker.isAway = false
  const former = new Set(world.exchange.ledger.map(({ id }) => id))
  await until('a trade finds room again', async () => {
    world.exchange.trade(MARKETS.slice(0, 1))
    return (await world.counted(TOPICS.trade)).some((record) => !former.has(bodyOf<Trade>(record).id))
  })
  await trade(world)
  const found = await causes(world)
  assert.ok(found.length > 0)
  assert.deepEqual([...new Set(found)], ['overflow'])
  const events = (await world.counted(TOPICS.status)).map((record) => bodyOf<Status>(record))
  assert.ok(events.some(({ state, detail }) => state === 'overflow' && /dropped/.test(detail)))
})

test('the gaps of shards that another producer owned say takeover', async (t) => {
  const world = await setUp(t)
  const [first, second] = [await world.start(), await world.start()]
  await until(
    'both have shards',
    () => first.services.shards().length + second.services.shards().length === PARTITIONS,
  )
  await trade(world)
  const before = (await causes(world)).length
  await second.kill()
  await owning(first)
  await trade(world)
  const found = (await causes(world)).slice(before)
  assert.ok(found.length > 0)
  assert.deepEqual([...new Set(found)], ['takeover'])
})
