import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Status, Trade } from '../../../src/domain/events.ts'
import type { SourceItem } from '../../../src/ports/source.ts'
import { NAMES } from '../../names.ts'
import { until } from '../until.ts'
import { NEVER, setUp } from './successors.ts'

const nowMicros = (): number => Date.now() * 1_000

const trade = (id: string, ts = nowMicros(), symbol = 'A-USD'): SourceItem => ({
  channel: 'trade',
  event: { exchange: 'x', symbol, id, side: 'buy', price: 1, size: 1, ts, recvTs: ts } satisfies Trade,
})

/** The source has a new connection: what was sent in between did not come. */
const connected = (): SourceItem => {
  const about = { source: 'x', exchange: '', state: 'connected', detail: '', ts: nowMicros() } as const
  return { channel: 'connection', status: about, mayHaveMissed: true }
}

/** Publishes what a source gave, later than all that came before. */
async function publish(
  { services }: Awaited<ReturnType<Awaited<ReturnType<typeof setUp>>['start']>>,
  ...items: readonly (() => SourceItem)[]
): Promise<void> {
  await delay(5)
  await services.publishFixed({ items: items.map((item) => item()) }, NEVER)
}

/** A checkpoint says that all is derived, also the marker of the first owner. */
const untilCheckpointed = (
  { broker }: Awaited<ReturnType<typeof setUp>>,
  goOn: () => Promise<void>,
): Promise<void> =>
  until('a second checkpoint is written', async () => {
    await goOn()
    const [topic] = await broker.describeTopics([NAMES.checkpoints], NEVER)
    return (topic?.offsets[0]?.end ?? 0) > 1
  })

async function gapsIn({ counted }: Awaited<ReturnType<typeof setUp>>): Promise<Status[]> {
  const all = (await counted(NAMES.fixed.status)) as Status[]
  return all.filter(({ state }) => state === 'gap')
}

test('what the first owner of a shard got and did not publish lies in a gap', async (t) => {
  const world = await setUp(t)
  const first = await world.start('first')
  const before = nowMicros()
  await publish(first, connected)
  await first.mine.freeze()
  const lost = nowMicros()
  const second = await world.start('second')
  await publish(second, connected, () => trade('1'))
  await publish(
    second,
    () => trade('2'),
    () => trade('3', nowMicros(), 'B-USD'),
  )
  const gaps = await gapsIn(world)
  assert.deepEqual(
    gaps.map(({ symbol }) => symbol),
    ['A-USD', 'B-USD'],
    'each market has one',
  )
  for (const { from = 0, to = 0, cause } of gaps) {
    assert.equal(cause, 'restart')
    assert.ok(before - 1_000 <= from && from <= lost, 'it begins when the shard had its first owner')
    assert.ok(lost <= to)
  }
})

test('what the first owner lost lies in a gap also after its marker was read in a checkpoint only', async (t) => {
  const world = await setUp(t)
  const first = await world.start('first')
  await publish(first, connected)
  await first.services.publishDynamic(NEVER)
  await untilCheckpointed(world, async () => {
    world.passTime(2_000)
    await publish(first)
  })
  await first.mine.freeze()
  const lost = nowMicros()
  const second = await world.start('second')
  await publish(second, connected, () => trade('1'))
  const [gap] = await gapsIn(world)
  assert.ok((gap?.from ?? Number.POSITIVE_INFINITY) <= lost)
})

test('a new platform has no gap before its first trades, and one from its beginning on after a reconnect that came first', async (t) => {
  const world = await setUp(t)
  const first = await world.start('first')
  await publish(first, connected)
  await publish(first, () => trade('1'))
  assert.deepEqual(await gapsIn(world), [])
  const other = await setUp(t)
  const owner = await other.start('first')
  await publish(owner, connected)
  const lost = nowMicros()
  await publish(owner, connected, () => trade('1'))
  const [gap] = await gapsIn(other)
  assert.equal(gap?.cause, 'reconnect')
  assert.ok((gap?.from ?? 0) <= lost && lost <= (gap?.to ?? 0))
})

test('old data that is replayed into a shard which had an owner makes no gap', async (t) => {
  const world = await setUp(t)
  const first = await world.start('first')
  await publish(first, connected)
  await first.mine.freeze()
  const second = await world.start('second')
  await publish(second, connected, () => trade('1', 1_600_000_000_000_000))
  await publish(second, () => trade('2'))
  assert.deepEqual(await gapsIn(world), [])
})

test('an interruption before the first trade of a market ends no gap that is due since an earlier one', async (t) => {
  const world = await setUp(t)
  const first = await world.start('first')
  await publish(first, connected, () => trade('1'))
  await first.mine.freeze()
  const lost = nowMicros()
  const second = await world.start('second')
  await publish(second, connected, () => trade('2'))
  await publish(second, connected, () => trade('3'))
  await publish(second, () => trade('4', nowMicros(), 'B-USD'))
  const gap = (await gapsIn(world)).find(({ symbol }) => symbol === 'B-USD')
  assert.ok((gap?.from ?? Number.POSITIVE_INFINITY) <= lost, 'the first owner may have lost a trade of it')
})
