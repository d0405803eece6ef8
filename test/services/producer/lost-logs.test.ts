import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeEvent } from '../../../src/domain/event-codec.ts'
import { CHANNELS } from '../../../src/domain/events.ts'
import { lostFromOf } from '../../../src/domain/fixed-markers.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { GroupOptions } from '../../../src/ports/broker.ts'
import type { SourceBatch } from '../../../src/ports/source.ts'
import { NAMES } from '../../names.ts'
import { until } from '../until.ts'
import { both, checkpoint, ids, type Producer, setUpLog, setUpStream, TRADES, trade } from './losing-log.ts'
import { NEVER, trades } from './one-shard.ts'

test('a fixed topic that others made anew while no producer ran: streams begin anew with a reset, and it is told', async (t) => {
  const { log, first } = await setUpStream(t, 50)
  await first.end()
  await log.makeAnew()

  const second = await log.start()
  await trade(second, 50, 55)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 50), 'reset', ...ids(50, 55)])
  assert.deepEqual(second.alerts, { 'lost:market.trades:0': 'TOPIC_REPLACED' })
  await second.announce('app.two', ['*'], log.end())
  await trade(second, 55, 60)
  await second.end()

  const third = await log.start()
  await trade(third, 60, 65)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 50), 'reset', ...ids(50, 65)])
  assert.deepEqual(await log.got('app.two'), ids(55, 65))
  assert.deepEqual(third.alerts, {}, 'once')
})

test('a stream whose start lay far in a topic that others made anew goes on in the new one', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await trade(first, 0, 500)
  await first.announce('app.late', ['*'], log.end())
  await trade(first, 500, 501)
  await first.end()
  await log.makeAnew()
  const second = await log.start()
  await trade(second, 501, 511)
  await second.end()
  const third = await log.start()
  await trade(third, 511, 521)
  assert.deepEqual(await log.got('app.late'), ['t500', 'reset', ...ids(501, 521)])
})

test('a fixed topic that others make anew under a running producer: nothing in hand is dropped or repeated', async (t) => {
  const log = setUpLog(t)
  const producer = await log.start()
  await producer.announce('app.one', ['*'], 0)
  await trade(producer, 0, 50)
  await log.makeAnew()
  await trade(producer, 50, 60)
  await trade(producer, 60, 70)
  assert.deepEqual(await producer.idsIn(TRADES), ids(50, 70))
  assert.deepEqual(await log.got('app.one'), [...ids(0, 50), 'reset', ...ids(50, 70)])
  assert.deepEqual(producer.services.shards(), [0])
  assert.deepEqual(producer.alerts, { 'lost:market.trades:0': 'TOPIC_REPLACED' })
})

test('a fixed topic that lost its end under a running producer: what is in hand is published, and streams are told', async (t) => {
  const log = setUpLog(t)
  const producer = await log.start()
  await producer.announce('app.one', ['*'], 0)
  await trade(producer, 0, 50)
  log.loseEnd(10)
  await trade(producer, 50, 55)
  await trade(producer, 55, 75)
  assert.deepEqual(await producer.idsIn(TRADES), [...ids(0, 40), ...ids(50, 75)])
  const records = log.broker.topics.get(TRADES)?.partition(0).records ?? []
  assert.deepEqual(
    records.flatMap((record) => lostFromOf(record) ?? []),
    [41],
    'the marker says where it went on',
  )
  assert.deepEqual(await log.got('app.one'), [...ids(0, 50), 'reset', ...ids(50, 75)])
  assert.deepEqual(producer.alerts, { 'lost:market.trades:0': 'OFFSET_OUT_OF_RANGE' })
})

test('an owner that wrote in the place of a lost end as its shard was taken from it tells streams when it has the shard again', async (t) => {
  const log = setUpLog(t)
  const { joinGroup } = log.broker
  let assign: GroupOptions['onAssignment'] | undefined
  log.broker.joinGroup = (options, signal) => {
    if (options.group === NAMES.groups.producers) assign = options.onAssignment
    return joinGroup.call(log.broker, options, signal)
  }
  const producer = await log.start()
  await producer.announce('app.one', ['*'], 0)
  await trade(producer, 0, 50)
  log.loseEnd(5)
  producer.mine.beforePublish = async (entries) => {
    if (!entries.some(({ topic }) => topic === TRADES)) return
    producer.mine.beforePublish = async () => {}
    await assign?.([])
  }
  // The log is as long as before: nobody else can tell.
  await trade(producer, 50, 55)
  await assign?.([{ topic: TRADES, partition: 0 }])
  await trade(producer, 55, 60)
  assert.deepEqual(await producer.idsIn(TRADES), [...ids(0, 45), ...ids(50, 60)])
  assert.deepEqual(await log.got('app.one'), [...ids(0, 50), 'reset', ...ids(50, 60)])
})

test('two fixed topics that lost their ends at once: the streams of both are told', async (t) => {
  const log = setUpLog(t)
  const producer = await log.start()
  await producer.announce('app.trades', ['*'], 0)
  await producer.announce('app.quotes', ['*'], 0, 'quote')
  const publish = async (from: number, to: number): Promise<void> => {
    await producer.services.publishFixed(both(from, to), NEVER)
    await producer.derive()
  }
  await publish(0, 50)
  log.loseEnd(10)
  log.loseEnd(10, NAMES.fixed.quote)
  await publish(50, 55)
  await publish(55, 75)
  assert.deepEqual(await log.got('app.trades'), [...ids(0, 50), 'reset', ...ids(50, 75)])
  const bids = (from: number, to: number): string[] => ids(from, to).map((id) => id.slice(1))
  assert.deepEqual(await log.got('app.quotes'), [...bids(0, 50), 'reset', ...bids(50, 75)])
})

test('a fixed topic that lost all that it had before any checkpoint: streams that held some of it are told', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await trade(first, 0, 0)
  await first.announce('app.one', ['*'], log.end())
  await trade(first, 0, 3)
  await first.crash()
  log.loseEnd(log.end())
  const second = await log.start()
  await trade(second, 3, 10)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 3), 'reset', ...ids(3, 10)])
})

test('a fixed topic that lost its end and has grown beyond it before any stream was told: the next owner tells them', async (t) => {
  const { log, first } = await setUpStream(t, 50)
  await first.crash()
  log.loseEnd(10)
  const second = await log.start()
  await second.services.publishFixed(trades('A-B', ...ids(50, 80)), NEVER)
  await second.crash()
  const third = await log.start()
  await trade(third, 80, 90)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 50), 'reset', ...ids(50, 90)])
})

/** Its checkpoints are on their way until it crashes. Gives what it crashes by. */
function withoutCheckpoints({ mine, crash }: Producer): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  mine.beforeCommit = ([entry]) => (entry?.topic === NAMES.checkpoints ? promise : Promise.resolve())
  return async () => {
    await crash()
    resolve()
  }
}

/** An owner that has written beyond the place where the log ended before, and goes before its first checkpoint. */
for (const { what, isSame, first: most } of [
  { what: 'an owner that saw the loss by its own acknowledgement', isSame: true, first: 25 },
  { what: 'an owner that saw the loss when it had written beyond its checkpoint', isSame: true, first: 45 },
  { what: 'an owner that found the log shorter than the checkpoint', isSame: false, first: 25 },
])
  test(`what ${what} wrote in the place of the lost end, and behind it, is known to the next owner`, async (t) => {
    const log = setUpLog(t)
    const first = await log.start()
    await trade(first, 0, 50)
    await checkpoint(first)
    if (!isSame) await first.crash()
    log.loseEnd(30)
    const second = isSame ? first : await log.start()
    const crash = withoutCheckpoints(second)
    const batches = [ids(50, 50 + most), ids(50 + most, 100)].map((each) => trades('A-B', ...each))
    for (const batch of batches) await second.services.publishFixed({ ...batch }, NEVER)
    await crash()
    assert.ok(log.end() > 60, 'the log has grown beyond the place of the checkpoint')
    const third = await log.start()
    for (const batch of batches) await third.services.publishFixed({ ...batch }, NEVER)
    await third.services.publishFixed(trades('A-B', ...ids(100, 110)), NEVER)
    assert.deepEqual(await third.idsIn(TRADES), [...ids(0, 20), ...ids(50, 110)])
    assert.deepEqual(third.alerts, { 'lost:market.trades:0': 'OFFSET_OUT_OF_RANGE' })
  })

test('a log that loses its end right before a take-over reads it is looked at anew, and nobody waits for what is gone', async (t) => {
  const { log, first } = await setUpStream(t, 50)
  await first.crash()
  const second = await log.start()
  const { openReader } = second.mine
  second.mine.openReader = async (...call) => {
    const reader = await openReader(...call)
    const { assign } = reader
    reader.assign = (positions, signal) => {
      if (positions.some(({ topic }) => topic === TRADES)) {
        second.mine.openReader = openReader
        log.loseEnd(1)
      }
      return assign.call(reader, positions, signal)
    }
    return reader
  }
  const batch = trades('A-B', ...ids(50, 60))
  const tooLong = AbortSignal.timeout(20_000)
  await assert.rejects(second.services.publishFixed(batch, tooLong), {
    code: 'BROKER_UNAVAILABLE',
    message: /market\.trades has lost its end/,
  })
  await second.services.publishFixed(batch, tooLong)
  await second.derive()
  assert.deepEqual(await second.idsIn(TRADES), ids(0, 60))
  assert.deepEqual(await log.got('app.one'), ids(0, 60))
})

/** It writes one batch, and dies before it gets to know where that lies. */
async function dieInWrite(log: ReturnType<typeof setUpLog>, owner: Producer, batch: SourceBatch) {
  const { publish } = log.broker
  log.broker.publish = async (...call) => {
    const acks = await publish.apply(log.broker, call)
    if (call[0].some(({ topic }) => topic === TRADES)) {
      log.broker.publish = publish
      await owner.crash()
    }
    return acks
  }
  owner.services.publishFixed({ ...batch }, NEVER).catch(() => undefined)
  await until('it is dead', () => log.broker.publish === publish)
}

for (const { what, isKnown, lost } of [
  { what: 'in front of the place of its checkpoint', isKnown: true, lost: 30 },
  { what: 'behind the place of its checkpoint', isKnown: false, lost: 5 },
])
  test(`one batch in the place of a lost end ${what}, by an owner that dies before its next step, comes to the streams after a reset`, async (t) => {
    const { log, first } = await setUpStream(t, 40)
    await checkpoint(first)
    await trade(first, 40, 50)
    if (isKnown) await checkpoint(first)
    log.loseEnd(lost)
    const batch = trades('A-B', ...ids(50, 90))
    await dieInWrite(log, first, batch)
    const left = ids(0, 50 - lost)
    for (const next of [ids(90, 95), ids(95, 99)]) {
      const owner = await log.start()
      await owner.services.publishFixed({ ...batch }, NEVER)
      await owner.services.publishFixed(trades('A-B', ...next), NEVER)
      await owner.derive()
      if (next[0] === 't90') {
        assert.deepEqual(owner.alerts, { 'lost:market.trades:0': 'OFFSET_OUT_OF_RANGE' })
        await checkpoint(owner)
      } else assert.deepEqual(owner.alerts, {}, 'once')
      await owner.crash()
    }
    const last = await log.start()
    assert.deepEqual(await last.idsIn(TRADES), [...left, ...ids(50, 99)])
    assert.deepEqual(await log.got('app.one'), [...ids(0, 50), 'reset', ...ids(50, 99)])
  })

test('what an owner writes late behind the marker of the next one is no sign of a lost end', async (t) => {
  const { log, first } = await setUpStream(t, 50)
  const { headers } = log.broker.topics.get(TRADES)?.partition(0).records.at(-1) ?? {}
  assert.ok(headers)
  await first.crash()
  log.loseEnd(30)
  const second = await log.start()
  await trade(second, 50, 60)
  await checkpoint(second)
  const late = { key: null, value: null, headers: { ...headers, expected: 50 } }
  await log.broker.publish([{ topic: TRADES, partition: 0, records: [late] }], NEVER)
  await second.crash()
  const third = await log.start()
  await trade(third, 60, 70)
  assert.deepEqual(third.alerts, {})
  assert.deepEqual(await log.got('app.one'), [...ids(0, 50), 'reset', ...ids(50, 70)])
})

test('what an owner wrote in the place of a long lost end is known to the next owner', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await trade(first, 0, 10)
  for (let from = 10; from < 1_510; from += 500) await trade(first, from, from + 500)
  await checkpoint(first)
  await first.crash()
  log.loseEnd(1_300)
  const second = await log.start()
  const crash = withoutCheckpoints(second)
  const batch = trades('A-B', ...ids(1_510, 2_910))
  await second.services.publishFixed({ ...batch }, NEVER)
  await crash()
  const third = await log.start()
  await third.services.publishFixed({ ...batch }, NEVER)
  await third.services.publishFixed(trades('A-B', ...ids(2_910, 2_920)), NEVER)
  assert.deepEqual(await third.idsIn(TRADES), [...ids(0, 210), ...ids(1_510, 2_920)])
})

for (const late of [5, 60])
  test(`${late} late records of a former owner, where the marker of the one after it was lost, are known to the next owner and derived`, async (t) => {
    const { log, first } = await setUpStream(t, 10)
    const { headers } = log.broker.topics.get(TRADES)?.partition(0).records.at(-1) ?? {}
    assert.ok(headers)
    await first.crash()
    const second = await log.start()
    await trade(second, 10, 40)
    await checkpoint(second)
    await second.crash()
    log.loseEnd(35)
    const batch = trades('A-B', ...ids(40, 40 + late))
    const records = batch.items.map(({ event }) => ({
      ...{ key: 'x:A-B', value: encodeEvent(event), headers },
    }))
    await log.broker.publish([{ topic: TRADES, partition: 0, records }], NEVER)
    const third = await log.start()
    await third.services.publishFixed({ ...batch }, NEVER)
    await trade(third, 200, 210)
    await checkpoint(third)
    await third.derive()
    const left = (await third.idsIn(TRADES)).indexOf('t40')
    const all = [...ids(40, 40 + late), ...ids(200, 210)]
    assert.deepEqual(await third.idsIn(TRADES), [...ids(0, left), ...all])
    const got = await log.got('app.one')
    assert.deepEqual(got.slice(0, 41), [...ids(0, 40), 'reset'])
    assert.deepEqual(got.slice(-all.length), all, 'what it lacks comes after the reset')
    assert.deepEqual(third.alerts, { 'lost:market.trades:0': 'OFFSET_OUT_OF_RANGE' })
    await third.crash()
    const fourth = await log.start()
    await trade(fourth, 210, 220)
    assert.deepEqual((await log.got('app.one')).slice(-all.length - 10), [...all, ...ids(210, 220)])
  })

test('a topic that lost its end unseen until its shard is taken over for another reason: its streams are told', async (t) => {
  const log = setUpLog(t)
  const producer = await log.start()
  await producer.announce('app.one', ['*'], 0)
  await trade(producer, 0, 50)
  log.loseEnd(10)
  // Quotes alone fail: the shard is taken over before any trade is published again.
  producer.before(NAMES.fixed.quote, async () => {
    throw new TapelineError('BROKER_UNAVAILABLE', 'away for a moment')
  })
  const quotes = { items: both(0, 1).items.filter(({ channel }) => channel === 'quote') }
  await assert.rejects(producer.services.publishFixed(quotes, NEVER))
  await producer.services.publishFixed(quotes, NEVER)
  await trade(producer, 50, 75)
  assert.deepEqual(await log.got('app.one'), [...ids(0, 50), 'reset', ...ids(50, 75)])
  assert.deepEqual(producer.alerts, { 'lost:market.trades:0': 'OFFSET_OUT_OF_RANGE' })
})

test('a fixed topic that the broker does not show is away: the take-over waits, and no stream is told of a loss', async (t) => {
  const { log, first } = await setUpStream(t, 50)
  await first.end()

  const { broker } = log
  const describe = broker.describeTopics.bind(broker)
  let hidden = false
  t.mock.method(broker, 'describeTopics', async (names: readonly string[], signal: AbortSignal) => {
    const shown = await describe(names, signal)
    const isTakeOver = names.length === CHANNELS.length
    return hidden && isTakeOver ? shown.filter(({ name }) => name !== TRADES) : shown
  })
  hidden = true
  const second = await log.start()
  await assert.rejects(second.services.publishFixed(trades('A-B', ...ids(50, 55)), NEVER), {
    code: 'TOPIC_MISSING',
  })
  hidden = false
  await trade(second, 50, 55)
  assert.deepEqual(await second.idsIn(TRADES), ids(0, 55))
  assert.deepEqual(await log.got('app.one'), ids(0, 55))
  assert.deepEqual(second.alerts, {})
})

for (const { lost, what } of [
  { lost: 30, what: 'more than the checkpoint had' },
  { lost: 5, what: 'only what came after the checkpoint' },
])
  test(`a fixed topic that lost its end while no producer ran, ${what}`, async (t) => {
    const { log, first } = await setUpStream(t, 30)
    // The last checkpoint is of before these.
    await first.services.publishFixed({ items: [] }, NEVER)
    first.clock.skippedMs += 2_000
    await first.services.publishFixed({ items: [] }, NEVER)
    await trade(first, 30, 50)
    await first.crash()
    log.loseEnd(lost)
    const second = await log.start()
    await trade(second, 50, 60)
    await trade(second, 60, 100)
    assert.deepEqual(await log.got('app.one'), [...ids(0, 50), 'reset', ...ids(50, 100)])
  })

test('a fixed topic that holds epochs which the registry never gave is not published to, and it is told', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await trade(first, 0, 5)
  await first.end()
  const headers = { v: 1, kind: 'marker', shard: 0, epoch: 9_999 } as const
  await log.broker.publish(
    [{ topic: TRADES, partition: 0, records: [{ key: null, value: null, headers }] }],
    NEVER,
  )
  const second = await log.start()
  await assert.rejects(second.services.publishFixed(trades('A-B', ...ids(5, 6)), NEVER), {
    code: 'PREFIX_TAKEN',
    message:
      /partition 0 of .* has records of epoch 9999, but tapeline.registry ends at \d+: it gave no such epoch/,
  })
  assert.deepEqual(await second.idsIn(TRADES), ids(0, 5))
})
