import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TapelineError } from '../../../src/errors.ts'
import type { PartitionWrite } from '../../../src/ports/store.ts'
import { SEED } from '../../seed.ts'
import { until } from '../until.ts'
import { NEVER, PARTITIONS, RETENTION_MS, setUp, TOPICS, tradeRecord } from './consumers.ts'

type World = Awaited<ReturnType<typeof setUp>>

/** Waits until all published trades are rows, and holds that each is one row. */
async function allStoredOnce({ store, published }: World): Promise<void> {
  await until('all trades are stored', () => store.tradeIds.length >= published.length)
  assert.deepEqual(store.tradeIds.toSorted(), published.toSorted())
}

const isTradeWrite = ({ claim }: PartitionWrite): boolean => claim.topic === TOPICS.trade

test('two fixed consumers share the partitions, come and go under load, and every trade is one row', async (t) => {
  const world = await setUp(t)
  const first = await world.start()
  let isDone = false
  const load = (async () => {
    for (let round = 0; !isDone || round < 20; round++) {
      await world.publish(100)
      await new Promise(setImmediate)
    }
  })()
  const channels = Object.keys(TOPICS).length - 1
  await until('the first has all', () => first.services.partitions() === channels * PARTITIONS)
  for (let round = 0; round < 3; round++) {
    const second = await world.start()
    await until(
      'both have partitions, and none has all',
      () =>
        second.services.partitions() > 0 &&
        first.services.partitions() > 0 &&
        first.services.partitions() + second.services.partitions() === channels * PARTITIONS,
    )
    const stored = world.store.tradeIds.length
    await until('rows come in', () => world.store.tradeIds.length > stored + 200)
    if (round === 1) await second.kill()
    else await second.leave()
    await until('the first has all again', () => first.services.partitions() === channels * PARTITIONS)
  }
  isDone = true
  await load
  await allStoredOnce(world)
})

test('a fixed consumer that is stopped in the middle of a write changes nothing when it goes on', async (t) => {
  const world = await setUp(t)
  const first = await world.start()
  await world.publish(40)
  await allStoredOnce(world)
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  let isHeld = false
  world.store.before = async (writes) => {
    if (!writes.some(isTradeWrite)) return
    isHeld = true
    await held
  }
  await world.publish(40)
  await until('the first is in the middle of a write', () => isHeld)
  await first.broker.freeze()
  world.store.before = async () => {}
  await world.start()
  await world.publish(40)
  await allStoredOnce(world)
  const before = [...world.store.offsets].map(([key, { nextOffset }]) => [key, nextOffset])
  release()
  await first.broker.thaw()
  await until('it takes its share again', () => first.services.partitions() > 0)
  assert.deepEqual(
    [...world.store.offsets].map(([key, { nextOffset }]) => [key, nextOffset]),
    before,
  )
  await world.publish(40)
  await allStoredOnce(world)
})

test('partitions go over the lanes at once, and what a lane has acknowledged is not written again', async (t) => {
  const world = await setUp(t)
  const { store } = world
  let failures = 3
  store.after = async (writes) => {
    // The transaction of the lane with partition 0 is committed, but its answer never comes.
    if (failures > 0 && writes.some((write) => isTradeWrite(write) && write.claim.partition === 0)) {
      failures--
      throw new TapelineError('STORE_UNAVAILABLE', 'the connection broke after the commit')
    }
  }
  const consumer = await world.start()
  for (let round = 0; round < 5; round++) {
    await world.publish(100)
    await allStoredOnce(world)
  }
  await until('it recovers', () => consumer.machine.report().state !== 'error')
  assert.equal(failures, 0)
  assert.equal(store.mostAtOnce, 2, 'both lanes write at the same time')
})

test('while a batch is being written one more is read, and not a third', async (t) => {
  const maxRecords = 100
  const world = await setUp(t, { maxRecords, lanes: 1 })
  const consumer = await world.start()
  await world.publish(4)
  await allStoredOnce(world)
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  let isHeld = false
  world.store.before = async () => {
    isHeld = true
    await held
  }
  await world.publish(4)
  await until('a write is under way', () => isHeld)
  await world.publish(2_000)
  await consumer.services.drain(AbortSignal.timeout(100))
  assert.equal(world.store.tradeIds.length, 4, 'nothing is stored while the write is held')
  const transactions = world.store.transactions.length
  world.store.before = async () => {}
  release()
  await allStoredOnce(world)
  const sizes = world.store.transactions.slice(transactions).map(({ rows }) => rows)
  assert.ok((sizes[1] ?? 0) >= maxRecords, `the batch that was read ahead is whole: ${sizes.slice(0, 4)}`)
  assert.ok(Math.max(...sizes) < 12 * maxRecords, `no batch is everything: ${sizes}`)
})

test('the database is away: the machine says so, an alert comes and goes, and all rows arrive', async (t) => {
  const world = await setUp(t)
  const consumer = await world.start()
  await world.publish(100)
  await allStoredOnce(world)
  world.store.isAway = true
  await world.publish(1_000)
  await until('an alert is raised', () => consumer.alerts.list().length > 0)
  const { state, errorInfo } = consumer.machine.report()
  assert.equal(errorInfo?.code, 'STORE_UNAVAILABLE')
  assert.ok(['error', 'writingToDB', 'idle'].includes(state), state)
  assert.equal(consumer.alerts.list()[0]?.code, 'STORE_UNAVAILABLE')
  await world.publish(1_000)
  world.store.isAway = false
  await allStoredOnce(world)
  await until('the alert is cleared', () => consumer.alerts.list().length === 0)
})

test('retention passes the stored offset while nobody stores: a gap and an alert, and on from the earliest', async (t) => {
  const world = await setUp(t)
  const first = await world.start()
  await world.publish(40)
  await allStoredOnce(world)
  await first.leave()
  await world.publish(40)
  const lost = world.published.splice(40)
  world.passTime(2 * RETENTION_MS)
  await world.publish(40)
  await until('retention has passed', async () => {
    const [topic] = await world.broker.listTopics(TOPICS.trade, NEVER)
    return topic?.offsets.every(({ earliest }) => earliest > 10) ?? false
  })
  const second = await world.start()
  await until('all that is left is stored', () => world.store.tradeIds.length >= world.published.length)
  assert.deepEqual(world.store.tradeIds.toSorted(), world.published.toSorted())
  assert.equal(
    world.store.tradeIds.some((id) => lost.includes(id)),
    false,
  )
  const gaps = world.store.details.filter((detail) => detail.includes('retention removed'))
  assert.equal(gaps.length, PARTITIONS, gaps.join('\n'))
  assert.deepEqual([...new Set(world.store.causes)], ['retention'])
  assert.equal(second.alerts.list().filter(({ code }) => code === 'OFFSET_OUT_OF_RANGE').length, PARTITIONS)
})

test('a log that lost its end is followed from its end: what is written there again is stored', async (t) => {
  const world = await setUp(t)
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const [topic] = await world.broker.listTopics(TOPICS.trade, NEVER)
    await world.store.claim([{ topic: TOPICS.trade, topicId: topic?.id ?? '', partition }])
    const stored = world.store.offsets.get(`${TOPICS.trade}:${partition}`)
    if (stored) stored.nextOffset = 1_000
  }
  await world.publish(8)
  const before = world.published.splice(0)
  await world.start()
  await until('the gaps are there', () => world.store.details.length === PARTITIONS)
  assert.deepEqual([...new Set(world.store.causes)], ['retention'])
  await world.publish(40)
  const after = world.published.splice(0)
  await until('new trades are stored', () => after.every((id) => world.store.tradeIds.includes(id)))
  assert.equal(new Set(world.store.tradeIds).size, world.store.tradeIds.length, 'none twice')
  assert.ok(before.length > 0)
})

test('a fixed topic that somebody deletes is an alert, and holds up no other', async (t) => {
  const world = await setUp(t)
  const consumer = await world.start()
  await world.publish(40)
  await allStoredOnce(world)
  const [quotes] = await world.broker.describeTopics([TOPICS.quote], NEVER)
  await world.broker.deleteTopics([{ name: TOPICS.quote, id: quotes?.id ?? '' }], NEVER)
  await until('an alert is raised', () => consumer.alerts.list().some(({ code }) => code === 'TOPIC_UNKNOWN'))
  await world.publish(40)
  await allStoredOnce(world)
  // A new reader, as after an outage, holds up no other either.
  consumer.broker.isAway = true
  await until('the machine says so', () => consumer.machine.report().state === 'error')
  consumer.broker.isAway = false
  await world.publish(40)
  await allStoredOnce(world)
})

test('the offsets of the group follow what is stored, also when nothing more comes', async (t) => {
  const world = await setUp(t)
  const consumer = await world.start()
  for (const count of [40, 44]) {
    await world.publish(count)
    await allStoredOnce(world)
    await until('the group has the offsets', () =>
      Array.from({ length: PARTITIONS }, (_, partition) => partition).every(
        (partition) =>
          consumer.broker.committed.get(`${TOPICS.trade}:${partition}`) ===
          world.store.nextOffset(TOPICS.trade, partition),
      ),
    )
  }
})

test(`whatever fails, every trade is one row (seed ${SEED})`, async (t) => {
  let state = SEED >>> 0
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  const world = await setUp(t, { maxRecords: 50 })
  const { store } = world
  let isWild = true
  const perhapsFail = async (): Promise<void> => {
    if (random() < 0.3) await new Promise(setImmediate)
    if (isWild && random() < 0.15) throw new TapelineError('STORE_UNAVAILABLE', 'unknown outcome')
  }
  store.before = perhapsFail
  store.after = perhapsFail
  const running = [await world.start()]
  const frozen: typeof running = []
  for (let round = 0; round < 60; round++) {
    await world.publish(Math.floor(random() * 120))
    const dice = random()
    const at = Math.floor(random() * running.length)
    if (dice < 0.2 && running.length < 3) running.push(await world.start())
    else if (dice < 0.3 && running.length > 1) await running.splice(at, 1)[0]?.leave()
    else if (dice < 0.4 && running.length > 1) await running.splice(at, 1)[0]?.kill()
    else if (dice < 0.6 && running.length > 1) {
      const [stopped] = running.splice(at, 1)
      await stopped?.broker.freeze()
      if (stopped) frozen.push(stopped)
    } else if (dice < 0.8 && frozen.length > 0) {
      const [stopped] = frozen.splice(0, 1)
      await stopped?.broker.thaw()
      if (stopped) running.push(stopped)
    } else if (dice < 0.9) running[at]?.machine.reset()
    for (let turns = 0; turns < random() * 40; turns++) await new Promise(setImmediate)
  }
  isWild = false
  for (const stopped of frozen) await stopped.kill()
  await allStoredOnce(world)
})

test("a record of another process under a lower epoch is nobody's row", async (t) => {
  const world = await setUp(t)
  await world.start()
  const record = tradeRecord(0, 'new owner')
  const stale = tradeRecord(0, 'zombie')
  await world.broker.publish(
    [
      {
        topic: TOPICS.trade,
        partition: 0,
        records: [{ ...record, headers: { ...record.headers, epoch: 9 } }, stale],
      },
    ],
    NEVER,
  )
  await until('it is read', () => world.store.nextOffset(TOPICS.trade, 0) === 2)
  assert.deepEqual(world.store.tradeIds, ['new owner'])
})
