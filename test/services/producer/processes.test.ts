import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Status, Trade } from '../../../src/domain/events.ts'
import { TapelineError } from '../../../src/errors.ts'
import { SEED } from '../../seed.ts'
import { hasten } from '../fast-time.ts'
import { until } from '../until.ts'
import { bodyOf, MARKETS, PARTITIONS, setUp, TOPICS } from './producers.ts'

type World = Awaited<ReturnType<typeof setUp>>
type Producer = Awaited<ReturnType<World['start']>>

/** Waits until the producers own all shards, each one of them, and every market is watched once. */
async function shared({ exchange }: World, producers: readonly Producer[]): Promise<void> {
  await until('all shards are owned', () => {
    const owned = producers.flatMap(({ services }) => services.shards())
    return owned.length === PARTITIONS && new Set(owned).size === PARTITIONS
  })
  await until('every market is watched once', () =>
    MARKETS.every((market) => exchange.watchers(market) === 1),
  )
}

/** Trades in all markets, so many rounds, with time in between. */
async function tradeFor({ exchange }: World, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    exchange.trade(MARKETS)
    await new Promise(setImmediate)
  }
}

test('producers share the shards as they come, die and leave: each asks for its own markets, and no hole is silent', async (t) => {
  const world = await setUp(t)
  const first = await world.start()
  await shared(world, [first])
  await tradeFor(world, 20)
  const second = await world.start()
  await shared(world, [first, second])
  assert.equal(first.services.shards().length, 2)
  await tradeFor(world, 20)
  const third = await world.start()
  await shared(world, [first, second, third])
  await tradeFor(world, 20)
  await second.kill()
  await tradeFor(world, 20)
  await shared(world, [first, third])
  await tradeFor(world, 20)
  await first.leave()
  await tradeFor(world, 20)
  await shared(world, [third])
  await world.settle()
})

test('a shard that came from another process is treated like a restart: the gap is flagged, and filled by what the source repeats', async (t) => {
  const world = await setUp(t)
  const first = await world.start()
  await shared(world, [first])
  await tradeFor(world, 3)
  await world.settle()
  await first.kill()
  await tradeFor(world, 2)
  const second = await world.start()
  await shared(world, [second])
  const { missing } = await world.settle()
  assert.equal(missing, 0, 'the source repeated all that was missed')
  const gaps = (await world.counted(TOPICS.status)).map((record) => bodyOf<Status>(record))
  for (const { symbol } of MARKETS) {
    const states = gaps
      .filter((gap) => gap.symbol === symbol && gap.from !== undefined)
      .map(({ state }) => state)
    assert.deepEqual(states, ['gap', 'recovered'], symbol)
  }
})

test('a producer without a shard idles: it asks for no market, and its machine is in no error', async (t) => {
  const world = await setUp(t)
  const producers: Producer[] = []
  for (let n = 0; n <= PARTITIONS; n++) producers.push(await world.start())
  await shared(world, producers)
  await tradeFor(world, 5)
  const [idle] = producers.filter(({ services }) => services.shards().length === 0)
  assert.ok(idle)
  assert.equal(idle.connection.source.health().markets, 0)
  assert.equal(idle.machine.report().errorInfo, null)
  assert.deepEqual(idle.machine.report().context['shards'], [])
  await world.settle()
})

test('what waits for shards goes on as soon as the group gives them, however long the machine would wait', async (t) => {
  const world = await setUp(t)
  const producer = await world.start({ random: 10_000 })
  await shared(world, [producer])
  await tradeFor(world, 5)
  await world.settle()
  await producer.broker.lose()
  await tradeFor(world, 5)
  await until('the machine is in error', () => producer.machine.report().state === 'error')
  await producer.broker.find()
  await world.settle()
  await world.assertInOrder()
  assert.equal(producer.machine.report().errorInfo, null)
})

test('a producer that stood still in the middle of a publish changes nothing that counts', async (t) => {
  const world = await setUp(t)
  const first = await world.start()
  await shared(world, [first])
  await tradeFor(world, 5)
  let isHeld = false
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  first.broker.beforePublish = async () => {
    isHeld = true
    await held
  }
  await tradeFor(world, 5)
  await until('it is in the middle of a publish', () => isHeld)
  await first.broker.freeze()
  const second = await world.start()
  await until('the other has all', () => second.services.shards().length === PARTITIONS)
  await tradeFor(world, 5)
  first.broker.beforePublish = async () => {}
  release()
  await first.broker.thaw()
  await shared(world, [first, second])
  await tradeFor(world, 5)
  await world.settle()
  await until('both work', () => first.machine.report().errorInfo === null)
})

test('the broker is away: the queue of the source is bounded, the machine says so, and what was dropped is a gap', async (t) => {
  const world = await setUp(t)
  const producer = await world.start({ capacity: 100 })
  await shared(world, [producer])
  await tradeFor(world, 5)
  producer.broker.isAway = true
  await tradeFor(world, 100)
  await until('an alert is raised', () => producer.alerts.list().length > 0)
  assert.equal(producer.machine.report().errorInfo?.code, 'BROKER_UNAVAILABLE')
  producer.broker.isAway = false
  await until('it has recovered', () => producer.machine.report().errorInfo === null)
  await tradeFor(world, 5)
  const { missing } = await world.settle()
  assert.ok(missing > 500, `${missing} were dropped at the bound`)
  assert.deepEqual(producer.alerts.list(), [])
})

test('an outage that costs the producer its shards for a while costs no trade, as long as nobody else had them', async (t) => {
  const world = await setUp(t)
  const producer = await world.start()
  await shared(world, [producer])
  await tradeFor(world, 5)
  await world.settle()
  const gaps = async (): Promise<number> =>
    (await world.counted(TOPICS.status)).filter((record) => bodyOf<Status>(record).state === 'gap').length
  const before = await gaps()
  for (let outage = 0; outage < 3; outage++) {
    await tradeFor(world, 2)
    await producer.broker.lose()
    await tradeFor(world, 20)
    await until('it has no shard', () => producer.services.shards().length === 0)
    await producer.broker.find()
    await shared(world, [producer])
  }
  const { missing } = await world.settle()
  assert.deepEqual({ missing, gaps: await gaps() }, { missing: 0, gaps: before })

  await producer.broker.lose()
  const other = await world.start()
  await until('the other has all', () => other.services.shards().length === PARTITIONS)
  await tradeFor(world, 5)
  await producer.broker.find()
  await tradeFor(world, 5)
  await shared(world, [producer, other])
  await world.settle()
})

test('an outage of some minutes costs no trade and makes no gap either, and the machine shows it all the while', async (t) => {
  const world = await setUp(t)
  // Three minutes pass in two seconds.
  const producer = await world.start({ speed: 100 })
  await shared(world, [producer])
  await tradeFor(world, 5)
  await world.settle()
  await tradeFor(world, 2)
  await producer.broker.lose()
  for (let round = 0; round < 100; round++) {
    world.exchange.trade(MARKETS)
    await delay(20)
  }
  assert.equal(producer.machine.report().errorInfo?.code, 'BROKER_UNAVAILABLE')
  await producer.broker.find()
  await shared(world, [producer])
  const { missing } = await world.settle()
  await world.assertInOrder()
  const gaps = (await world.counted(TOPICS.status)).filter(
    (record) => bodyOf<Status>(record).state === 'gap' && bodyOf<Status>(record).symbol !== undefined,
  )
  assert.deepEqual({ missing, gaps: gaps.length }, { missing: 0, gaps: 0 })
})

test('what a producer kept of shards that another had meanwhile is published only as far as it follows what that one published', async (t) => {
  const world = await setUp(t)
  const producer = await world.start()
  await shared(world, [producer])
  await tradeFor(world, 5)
  await world.settle()
  await producer.broker.lose()
  await tradeFor(world, 20)
  const other = await world.start()
  await until('the other has all', () => other.services.shards().length === PARTITIONS)
  await until('every market is watched twice', () =>
    MARKETS.every((market) => world.exchange.watchers(market) === 2),
  )
  await tradeFor(world, 20)
  const before = world.exchange.ledger.length
  await until(
    'the other has published that',
    async () =>
      (await world.counted(TOPICS.trade)).at(-1) !== undefined &&
      new Set((await world.counted(TOPICS.trade)).map((record) => bodyOf<Trade>(record).id)).has(
        `t${before - 1}`,
      ),
  )
  await other.kill()
  await tradeFor(world, 20)
  const after = world.exchange.ledger.length
  await producer.broker.find()
  await shared(world, [producer])
  await world.settle()
  await world.assertInOrder()
  const ids = new Set((await world.counted(TOPICS.trade)).map((record) => bodyOf<Trade>(record).id))
  const lost = world.exchange.ledger.slice(before, after).filter(({ id }) => !ids.has(id))
  assert.deepEqual(lost, [], 'what came after the other had gone was kept')
})

test('producers that go through an outage together publish what they kept, or flag it, whoever gets which shard', async (t) => {
  const world = await setUp(t)
  const producers = [await world.start(), await world.start()]
  await shared(world, producers)
  await tradeFor(world, 5)
  await world.settle()
  for (let outage = 0; outage < 3; outage++) {
    for (const producer of producers) await producer.broker.lose()
    await tradeFor(world, 20)
    // The other one comes first this time, and has all for a moment.
    for (const producer of producers.reverse()) {
      await producer.broker.find()
      await tradeFor(world, 2)
    }
    await shared(world, producers)
    await tradeFor(world, 5)
    await world.settle()
  }
})

test('a dynamic topic that alone cannot be written is set aside, and derived later, whoever owns the shards by then', async (t) => {
  const world = await setUp(t, ['app.all', 'app.bad'])
  const isBad = { now: true }
  /** The other entries are written; the broker names the one that was not. */
  const refuse = (producer: Producer): void => {
    producer.broker.beforePublish = async (entries, signal) => {
      if (!isBad.now || !entries.some(({ topic }) => topic === 'app.bad')) return
      await world.broker.publish(
        entries.filter(({ topic }) => topic !== 'app.bad'),
        signal,
      )
      throw new TapelineError('BROKER_UNAVAILABLE', 'no leader', {
        partitions: [{ topic: 'app.bad', partition: 0 }],
      })
    }
  }
  isBad.now = false
  // Its rests of up to 30 s pass in a second.
  const speed = 30
  const first = await world.start({ speed })
  refuse(first)
  await shared(world, [first])
  await tradeFor(world, 5)
  await world.settle()
  isBad.now = true
  await tradeFor(world, 20)
  await until('the fixed topics go on', () => first.services.topicsAside() === 1)
  await tradeFor(world, 20)
  const published = async (): Promise<number> => (await world.counted(TOPICS.trade)).length
  const derived = async (): Promise<number> => (await world.counted('app.all')).length
  await until('all are published', async () => (await published()) === world.exchange.ledger.length)
  await until('the other stream goes on', async () => (await derived()) === (await published()))
  assert.ok((await world.counted('app.bad')).length < (await published()))
  assert.equal(first.machine.report().errorInfo, null, 'the broker is not away')

  const second = await world.start({ speed })
  refuse(second)
  await shared(world, [first, second])
  await tradeFor(world, 20)
  await first.kill()
  await shared(world, [second])
  await tradeFor(world, 20)
  isBad.now = false
  await world.settle()
  await until('nothing is aside any more', () => second.services.topicsAside() === 0)
})

test('a topic whose writes hang holds up the fixed topics no longer than a deadline', async (t) => {
  const world = await setUp(t, ['app.all', 'app.hangs'])
  let isHanging = false
  const producer = await world.start()
  producer.broker.beforePublish = async (entries, signal) => {
    if (!isHanging || !entries.some(({ topic }) => topic === 'app.hangs')) return
    await new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }
  await shared(world, [producer])
  await tradeFor(world, 5)
  await world.settle()
  isHanging = true
  hasten(t, 10)
  for (let round = 0; round < 40; round++) {
    world.exchange.trade(MARKETS)
    await delay(20)
  }
  await until(
    'the fixed topics have all',
    async () => (await world.counted(TOPICS.trade)).length === world.exchange.ledger.length,
  )
  await until('the topic is set aside', () => producer.services.topicsAside() === 1)
  isHanging = false
  await world.settle()
})

test('a source that is back is asked at once, in the middle of a long back-off', async (t) => {
  const world = await setUp(t)
  // The next attempt would be half an hour away.
  const producer = await world.start({ random: 10_000 })
  await shared(world, [producer])
  producer.connection.fail(new TapelineError('SOURCE_UNAVAILABLE', 'no way delivers'))
  await until('it has failed', () => producer.machine.report().state === 'error')
  producer.connection.fail(undefined)
  await until('it is asked', () => producer.machine.report().errorInfo === null)
  await world.settle()
})

test(`whatever dies, stalls and comes back: no trade twice, no silent hole, every stream whole (seed ${SEED})`, async (t) => {
  let state = SEED >>> 0
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  const world = await setUp(t)
  let isWild = true
  const start = async (): Promise<Producer> => {
    const producer = await world.start()
    const perhapsFail = async (): Promise<void> => {
      if (random() < 0.2) await new Promise(setImmediate)
      if (isWild && random() < 0.02) throw new TapelineError('BROKER_UNAVAILABLE', 'lost')
    }
    producer.broker.beforePublish = perhapsFail
    producer.broker.beforeCommit = perhapsFail
    return producer
  }
  const running = [await start(), await start()]
  const frozen: Producer[] = []
  for (let round = 0; round < 80; round++) {
    world.exchange.trade(MARKETS.filter(() => random() < 0.5))
    const dice = random()
    const at = Math.floor(random() * running.length)
    if (dice < 0.1 && running.length < 4) running.push(await start())
    else if (dice < 0.15 && running.length > 1) await running.splice(at, 1)[0]?.leave()
    else if (dice < 0.2 && running.length > 1) await running.splice(at, 1)[0]?.kill()
    else if (dice < 0.3 && running.length > 1) {
      const [stopped] = running.splice(at, 1)
      await stopped?.broker.freeze()
      if (stopped) frozen.push(stopped)
    } else if (dice < 0.4 && frozen.length > 0) {
      const [stopped] = frozen.splice(0, 1)
      await stopped?.broker.thaw()
      if (stopped) running.push(stopped)
    } else if (dice < 0.5) running[at]?.machine.reset()
    await delay(random() * 20)
  }
  isWild = false
  for (const stopped of frozen) await stopped.kill()
  await world.settle()
})
