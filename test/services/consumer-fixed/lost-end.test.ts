import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { lostEndBody } from '../../../src/domain/fixed-markers.ts'
import type { OutgoingRecord } from '../../../src/ports/broker.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import { until } from '../until.ts'
import { NEVER, setUp, TOPICS, tradeRecord } from './consumers.ts'

const PARTITION = 1

const marker = (epoch: number, value: Uint8Array | null = null): OutgoingRecord => ({
  ...{ key: null, value },
  headers: { v: 1, kind: 'marker', shard: PARTITION, epoch },
})

/** Trades of an owner. */
const tradesOf = (epoch: number, ...ids: string[]): OutgoingRecord[] =>
  ids.map((id) => {
    const record = tradeRecord(PARTITION, id)
    return { ...record, headers: { ...record.headers, epoch } }
  })

const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name}${i}`)

/** A partition of which so many trades of a first owner are stored, by a consumer that has left. */
async function stored(t: TestContext, count: number) {
  const broker = new MemoryBroker(Date.now)
  const world = await setUp(t, { on: broker })
  const publish = (...records: OutgoingRecord[]) =>
    broker.publish([{ topic: TOPICS.trade, partition: PARTITION, records }], NEVER)
  await publish(marker(1), ...tradesOf(1, ...numbered('before-', count)))
  const first = await world.start()
  await until('they are stored', () => world.store.tradeIds.length === count)
  await first.leave()
  const partition = broker.topics.get(TOPICS.trade)?.partition(PARTITION)
  assert.ok(partition)
  return { world, publish, partition }
}

/** Starts another consumer, and gives what it has stored when so many trades are there. */
async function storedThen({ world }: Awaited<ReturnType<typeof stored>>, count: number) {
  const before = world.store.tradeIds.length
  const { leave } = await world.start()
  await until('all is stored', () => world.store.tradeIds.length === before + count)
  await leave()
  return world.store.tradeIds.slice(before)
}

for (const count of [20, 5_000])
  test(`a log that lost its end of ${count} records, and has grown beyond what is stored of it while no consumer ran`, async (t) => {
    const log = await stored(t, count + 10)
    log.partition.cut(log.partition.end - count)
    const others = numbered('after-', count + 50)
    await log.publish(marker(2), ...tradesOf(2, ...others))
    assert.deepEqual(await storedThen(log, count + 50), others)
    const { details } = log.world.store
    assert.equal(details.length, 1)
    assert.match(
      details[0] ?? '',
      /market.trades:1 has lost its end: it went on at 11, and the database has stored/,
    )
    await log.publish(...tradesOf(2, 'last'))
    assert.deepEqual(await storedThen(log, 1), ['last'])
    assert.equal(details.length, 1, 'once')
  })

test('what the same owner wrote in the place of a lost end, before its marker says so, is stored too', async (t) => {
  const log = await stored(t, 30)
  log.partition.cut(21)
  await log.publish(...tradesOf(1, 'one', 'two', 'three'))
  await log.publish(marker(2, lostEndBody(21)), ...tradesOf(2, ...numbered('after-', 20)))
  assert.deepEqual(await storedThen(log, 23), ['one', 'two', 'three', ...numbered('after-', 20)])
})

test('what the same owner wrote in the place of a lost end and beyond what is stored, before its marker says so, is stored too', async (t) => {
  const log = await stored(t, 30)
  log.partition.cut(21)
  const others = numbered('after-', 20)
  await log.publish(...tradesOf(1, ...others))
  await log.publish(marker(2, lostEndBody(21)), ...tradesOf(2, 'last'))
  assert.deepEqual(await storedThen(log, 21), [...others, 'last'])
})

test('the same is stored where the marker comes when a consumer reads there already, and it is told once', async (t) => {
  const log = await stored(t, 30)
  const { world, publish, partition } = log
  partition.cut(21)
  const others = numbered('other-', 15)
  await publish(...tradesOf(1, ...others))
  const { leave } = await world.start()
  await until('what lies beyond the place is stored', () => world.store.tradeIds.includes('other-14'))
  await publish(marker(2, lostEndBody(21)), ...tradesOf(2, 'after'))
  await until('all is stored', () => world.store.tradeIds.includes('after'))
  await leave()
  assert.deepEqual(world.store.tradeIds.slice(30).toSorted(), ['after', ...others].toSorted(), 'each once')
  await publish(...tradesOf(2, 'last'))
  assert.deepEqual(await storedThen(log, 1), ['last'])
  assert.equal(world.store.details.length, 1)
})

/** One write of an owner that expected it at an offset. */
const expectedAt = (expected: number, [first, ...others]: readonly OutgoingRecord[]): OutgoingRecord[] =>
  first === undefined ? [] : [{ ...first, headers: { ...first.headers, expected } }, ...others]

for (const then of ['nobody', 'a later owner'])
  test(`what the same owner wrote in the place of a lost end before it died, with ${then} behind it, is stored too`, async (t) => {
    const log = await stored(t, 30)
    log.partition.cut(21)
    const others = numbered('after-', 40)
    await log.publish(...expectedAt(31, tradesOf(1, ...others)))
    if (then !== 'nobody') {
      await log.publish(marker(2), ...tradesOf(2, 'last'))
      others.push('last')
    }
    assert.deepEqual(await storedThen(log, others.length), others)
    await log.publish(marker(3), ...expectedAt(log.partition.end + 1, tradesOf(3, 'more')))
    assert.deepEqual(await storedThen(log, 1), ['more'])
    assert.equal(log.world.store.details.length, 1, 'once')
  })

test('what lies where its owner expected it, or behind that, is no sign of a lost end', async (t) => {
  const log = await stored(t, 30)
  const place = log.partition.end
  await log.publish(...expectedAt(place, tradesOf(1, 'one')), ...expectedAt(place, tradesOf(1, 'two')))
  assert.deepEqual(await storedThen(log, 2), ['one', 'two'])
  await log.publish(...tradesOf(1, 'three'))
  assert.deepEqual(await storedThen(log, 1), ['three'])
  assert.deepEqual(log.world.store.details, [])
})

/** A partition in which a second owner has followed, and of which all is stored: ten trades of the first one, its marker, twenty of its own. */
async function storedOfTwo(t: TestContext) {
  const log = await stored(t, 10)
  await log.publish(marker(2), ...tradesOf(2, ...numbered('second-', 20)))
  await storedThen(log, 20)
  return log
}

test('what a former owner writes where the marker of the one after it was lost, and beyond what is stored, is stored', async (t) => {
  const log = await storedOfTwo(t)
  log.partition.cut(6)
  const late = numbered('late-', 40)
  await log.publish(...tradesOf(1, ...late))
  assert.deepEqual(await storedThen(log, 40), late)
  assert.match(log.world.store.details[0] ?? '', /market.trades:1 has lost its end/)
  await log.publish(marker(3), ...tradesOf(3, 'last'))
  assert.deepEqual(await storedThen(log, 1), ['last'])
  assert.equal(log.world.store.details.length, 1, 'once')
})

test('so is what it writes there in front of a third owner, and in front of what is stored', async (t) => {
  const log = await storedOfTwo(t)
  log.partition.cut(6)
  await log.publish(...tradesOf(1, 'late'), marker(3), ...tradesOf(3, 'after'))
  assert.deepEqual(await storedThen(log, 2), ['late', 'after'])
  await log.publish(...tradesOf(3, ...numbered('more-', 40)))
  assert.deepEqual(await storedThen(log, 40), numbered('more-', 40))
})

test('so is what it writes there while a consumer reads', async (t) => {
  const log = await storedOfTwo(t)
  const { world, publish, partition } = log
  const { leave } = await world.start()
  partition.cut(6)
  await publish(...tradesOf(1, 'late'))
  await until('it is stored', () => world.store.tradeIds.includes('late'))
  await leave()
  assert.equal(world.store.details.length, 1)
})

test('late records of a former owner are left out, however many there are, where the marker of the next one is there', async (t) => {
  const log = await storedOfTwo(t)
  const { world, publish } = log
  await publish(...tradesOf(1, ...numbered('late-', 250)), ...tradesOf(2, 'one'))
  assert.deepEqual(await storedThen(log, 1), ['one'])
  await publish(...tradesOf(1, ...numbered('later-', 250)))
  const { leave } = await world.start()
  await publish(...tradesOf(2, 'two'))
  await until('what counts is stored', () => world.store.tradeIds.includes('two'))
  await leave()
  await publish(...tradesOf(1, ...numbered('again-', 2_500)), ...tradesOf(2, 'three'))
  assert.deepEqual(await storedThen(log, 1), ['three'])
  assert.deepEqual(world.store.details, [])
})

test('a log that lost nothing is read on, whatever owners come', async (t) => {
  const log = await stored(t, 30)
  await log.publish(marker(2), ...tradesOf(2, 'one'), marker(3), ...tradesOf(3, 'two'))
  assert.deepEqual(await storedThen(log, 2), ['one', 'two'])
  log.partition.removeBefore(25)
  await log.publish(...tradesOf(3, 'three'))
  assert.deepEqual(await storedThen(log, 1), ['three'])
  assert.deepEqual(log.world.store.details, [])
})

test('trades that are stored from a lost end, and come again as if they were new, are stored once', async (t) => {
  const log = await stored(t, 30)
  const { world, publish, partition } = log
  const again = numbered('before-', 30).slice(10)
  const { leave } = await world.start()
  partition.cut(11)
  await publish(marker(2), ...tradesOf(2, ...again.slice(0, 10), 'other'))
  await until('the other is stored', () => world.store.tradeIds.includes('other'))
  await leave()
  await publish(...tradesOf(2, ...again.slice(10), 'another'))
  assert.deepEqual(await storedThen(log, 1), ['another'], 'also by a consumer that comes later')
  assert.deepEqual(world.store.tradeIds, [...numbered('before-', 30), 'other', 'another'])
})

test('only what is no newer than what was stored is looked up behind a lost end', async (t) => {
  const log = await stored(t, 30)
  log.partition.cut(21)
  const lookedUp: boolean[] = []
  log.world.store.before = async (writes) => {
    for (const { segments } of writes)
      for (const { channel, reentering } of segments) if (channel === 'trade') lookedUp.push(reentering)
  }
  await log.publish(marker(2), ...tradesOf(2, 'old'))
  assert.deepEqual(await storedThen(log, 1), ['old'])
  const { headers, ...newer } = tradeRecord(PARTITION, 'new', 1_001)
  await log.publish({ ...newer, headers: { ...headers, epoch: 2 } })
  assert.deepEqual(await storedThen(log, 1), ['new'])
  assert.deepEqual(lookedUp, [true, false])
})
