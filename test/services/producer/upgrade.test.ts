import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { claimOwnership } from '../../../src/control/claim.ts'
import { marketKey, type Trade } from '../../../src/domain/events.ts'
import type { OutgoingRecord } from '../../../src/ports/broker.ts'
import { NAMES } from '../../names.ts'
import { until } from '../until.ts'
import { bodyOf, MARKETS, NEVER, PARTITIONS, setUp, TOPICS } from './producers.ts'

const STREAM = 'app.newer'
const SPEC = { channel: 'trade', symbols: ['*'], exchanges: [] }

/** Producers with the stream `app.all`, and one whose record can be written as this version reads it, or as a newer one does. */
async function setUpStream(t: TestContext) {
  const world = await setUp(t)
  const [topic] = await world.broker.createTopics([{ name: STREAM, partitions: 1 }], NEVER)
  const leader = await claimOwnership(world.broker, NAMES, NAMES.leaderId, 'leader', 0, NEVER)
  t.after(() => leader.writer.close())
  const write = async (spec: object, start: readonly number[]): Promise<void> => {
    const body = {
      ...{ v: 1, instance: 'leader', epoch: leader.epoch, kind: 'stream', id: STREAM, state: 'ready' },
      ...{ topic: STREAM, topicId: topic?.id, spec, start, createdAt: 0 },
    }
    const value = Buffer.from(JSON.stringify(body))
    const record: OutgoingRecord = { key: `stream:${STREAM}`, value, headers: { v: 1, kind: 'control' } }
    await leader.writer.commit([{ topic: NAMES.registry, partition: 0, records: [record] }], NEVER)
  }
  const ends = async (): Promise<number[]> => {
    const [trades] = await world.broker.describeTopics([TOPICS.trade], NEVER)
    return (trades?.offsets ?? []).map(({ end }) => end)
  }
  const idsOf = async (name: string): Promise<string[]> =>
    (await world.counted(name)).map((record) => bodyOf<Trade>(record).id)
  /** Trades in all markets, and waits until `app.all` has them. */
  const trade = async (): Promise<void> => {
    world.exchange.trade(MARKETS)
    const ids = world.exchange.ledger.slice(-MARKETS.length).map(({ id }) => id)
    await until('the trades are derived', async () => {
      const derived = new Set(await idsOf('app.all'))
      return ids.every((id) => derived.has(id))
    })
  }
  return { ...world, write, ends, idsOf, trade }
}

const NEWER = { ...SPEC, colour: 'blue' }

test('a stream that a producer does not understand gets nothing, and all that it missed from one who does', async (t) => {
  const world = await setUpStream(t)
  const first = await world.start()
  await world.trade()
  const start = await world.ends()
  await world.write(NEWER, start)
  await world.trade()
  await world.trade()
  assert.deepEqual(await world.idsOf(STREAM), [])
  await first.kill()

  await world.start()
  await world.trade()
  assert.deepEqual(await world.idsOf(STREAM), [], 'nor from the next owner')
  await world.write(SPEC, start)
  await world.trade()
  const expected = world.exchange.ledger.slice(MARKETS.length).map(({ id }) => id)
  await until('it is complete', async () => (await world.idsOf(STREAM)).length >= expected.length)
  assert.deepEqual((await world.idsOf(STREAM)).toSorted(), expected.toSorted())
})

test('a stream that was derived before goes on where it was left, over owners: no hole and no repeat', async (t) => {
  const world = await setUpStream(t)
  const first = await world.start()
  await world.trade()
  const start = Array.from({ length: PARTITIONS }, () => 0)
  await world.write(SPEC, start)
  await world.trade()
  await until('it is derived', async () => (await world.idsOf(STREAM)).length === 2 * MARKETS.length)

  await world.write(NEWER, start)
  await world.trade()
  await first.leave()
  await world.start()
  await world.trade()
  assert.equal((await world.idsOf(STREAM)).length, 2 * MARKETS.length, 'it stands still meanwhile')

  await world.write(SPEC, start)
  await world.trade()
  const expected = world.exchange.ledger.map((each) => `${marketKey(each)} ${each.id}`)
  const derived = async () =>
    (await world.counted(STREAM)).map((record) => {
      const trade = bodyOf<Trade>(record)
      return `${marketKey(trade)} ${trade.id}`
    })
  await until('it is complete', async () => (await derived()).length >= expected.length)
  assert.deepEqual((await derived()).toSorted(), expected.toSorted())
})

test('a shard whose checkpoint a newer version wrote is left to it; the others go on', async (t) => {
  const world = await setUpStream(t)
  const first = await world.start()
  await world.trade()
  await first.leave()
  const writer = await world.broker.takeOver(NAMES.shardId(1), NEVER)
  const newer = { v: 2, at: 0, everything: 'else' }
  const record: OutgoingRecord = {
    ...{ key: 'checkpoint', value: Buffer.from(JSON.stringify(newer)) },
    headers: { v: 2, kind: 'control' },
  }
  await writer.commit([{ topic: NAMES.checkpoints, partition: 1, records: [record] }], NEVER)
  await writer.close()
  const [before] = await world.broker.describeTopics([TOPICS.trade], NEVER)

  const second = await world.start()
  await until('the other shards are taken over', () => second.services.shards().length === PARTITIONS - 1)
  assert.deepEqual([...second.services.shards()].toSorted(), [0, 2, 3])
  assert.deepEqual(
    second.told.map(([id, code]) => [id, code]),
    [['shard:1', 'UPGRADE_NEEDED']],
  )
  const [after] = await world.broker.describeTopics([TOPICS.trade], NEVER)
  assert.equal(after?.offsets[1]?.end, before?.offsets[1]?.end, 'not even a marker is written')
  assert.equal(second.machine.report().errorInfo, null)
})
