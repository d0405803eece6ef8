import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { openControlBus } from '../../../src/control/bus.ts'
import { createDeadLetterDesk } from '../../../src/control/dead-letters.ts'
import { joinMembership } from '../../../src/control/membership.ts'
import { readRanges } from '../../../src/control/read-range.ts'
import { openRegistry } from '../../../src/control/registry.ts'
import { ensureTopics, fixedTopics } from '../../../src/control/topics.ts'
import { marketKey, shardOf, type Trade } from '../../../src/domain/events.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { Broker, StoredRecord } from '../../../src/ports/broker.ts'
import type { Source, SourceBatch } from '../../../src/ports/source.ts'
import { writeDeadLetters } from '../../../src/services/consumer-fixed/dead-letters.ts'
import { createProducerServices } from '../../../src/services/producer/producer.ts'
import { quietLog, quietMeter } from '../../quiet.ts'

const NEVER = new AbortController().signal
const TOPICS = fixedTopics('market')
const PARTITIONS = 2
const encoder = new TextEncoder()

const trade = (symbol: string, id: string): Trade => ({
  ...{ exchange: 'x', symbol, id, side: 'buy', price: 1, size: 1, ts: 1_000, recvTs: 1_000 },
})
/** A symbol of each shard. */
const SYMBOLS = [0, 1].map((k) => {
  const symbol = ['A-A', 'A-B', 'B-C', 'A-D', 'B-E'].find(
    (each) => shardOf(marketKey({ exchange: 'x', symbol: each }), PARTITIONS) === k,
  )
  assert.ok(symbol)
  return symbol
}) as [string, string]

interface Bad {
  readonly value: string
  readonly topic?: string
  readonly partition?: number
  readonly version?: number
}

/** A broker with dead letters, a desk, and producers that each own some shards. */
async function setUp(t: TestContext, { answerMs = 5_000 } = {}) {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  const topicSettings = {
    prefix: 'market',
    partitions: PARTITIONS,
    retentionMs: 1e9,
    deadLetterRetentionMs: 1e9,
  }
  await ensureTopics(broker, topicSettings, NEVER)
  const bus = await openControlBus(broker, quietLog, NEVER)
  const registry = await openRegistry(broker, quietLog, NEVER)
  const gatewayMembership = joinMembership(
    bus,
    { instance: 'gateway', roles: ['gateway'] },
    Date.now,
    quietLog,
  )
  const closings: (() => Promise<void> | void)[] = []
  t.after(async () => {
    for (const close of closings.reverse()) await close()
    gatewayMembership.close()
    await registry.close()
    await bus.close()
    await broker.close()
  })
  let ids = 0
  const newId = (): string => `id-${ids++}`
  const desk = createDeadLetterDesk({
    ...{ instance: 'gateway', broker, bus, membership: gatewayMembership, newId, log: quietLog, answerMs },
  })

  /** A producer of some shards whose machine publishes what it is given at once; `hold` keeps it from doing so. */
  const produce = async (
    name: string,
    shards: readonly number[],
    { through = broker as Broker, hold = false } = {},
  ) => {
    const mine: Broker = {
      ...through,
      createTopics: (specs, signal) => through.createTopics(specs, signal),
      listTopics: (prefix, signal) => through.listTopics(prefix, signal),
      publish: (entries, signal) => through.publish(entries, signal),
      takeOver: (id, signal) => through.takeOver(id, signal),
      openReader: () => through.openReader(),
      joinGroup: async ({ topics, onAssignment }) => {
        await onAssignment(topics.flatMap((topic) => shards.map((partition) => ({ topic, partition }))))
        return { commit: async () => {}, leave: async () => {} }
      },
    }
    const services = await createProducerServices(
      {
        ...{ source: idleSource, broker: mine, registry, bus, instance: name, topics: TOPICS },
        ...{ partitions: PARTITIONS, standing: new Map(), lingerMs: 0, now: Date.now, newId },
        ...{ log: quietLog, meter: quietMeter },
      },
      NEVER,
    )
    await services.publishFixed({ items: [] }, NEVER)
    const membership = joinMembership(bus, { instance: name, roles: ['producer'] }, Date.now, quietLog)
    const batches: SourceBatch[] = []
    const unlisten = services.onReplay((batch) => {
      batches.push(batch)
      if (!hold) void services.publishFixed(batch, NEVER).catch(() => undefined)
    })
    await until(() => gatewayMembership.live().some(({ instance }) => instance === name))
    closings.push(async () => {
      unlisten()
      membership.close()
      await services.close(NEVER)
    })
    return { services, batches }
  }

  let refused = 0
  /** Keeps records as dead letters; gives their ids. */
  const bury = async (bad: readonly Bad[]): Promise<string[]> => {
    const rejected = bad.map(({ value, topic = TOPICS.trade, partition = 0, version = 1 }) => ({
      ...{ topic, partition },
      record: {
        ...{ offset: refused++, timestamp: 1_700_000_000_000, key: null, value: encoder.encode(value) },
        headers: { v: version, kind: 'event' as const },
      },
      error: new TapelineError('EVENT_INVALID', 'the table refuses it'),
    }))
    await writeDeadLetters(broker, rejected, NEVER)
    return rejected.map(({ topic, partition, record }) => `${topic}:${partition}:${record.offset}`)
  }

  /** The events of a topic, without markers. */
  const published = async (
    topic: string = TOPICS.trade,
  ): Promise<(StoredRecord & { partition: number })[]> => {
    const [described] = await broker.listTopics(topic, NEVER)
    const found: (StoredRecord & { partition: number })[] = []
    const ranges = (described?.offsets ?? []).map(({ earliest, end }, partition) => ({
      topic,
      partition,
      offset: earliest,
      end,
    }))
    await readRanges(
      broker,
      ranges,
      ({ partition, records }) => {
        for (const record of records)
          if (record.headers.kind === 'event') found.push({ ...record, partition })
      },
      NEVER,
    )
    return found
  }
  return { broker, desk, produce, bury, published }
}

const idleSource: Source = {
  name: 'idle',
  next: async ({ waitMs }, signal) => delay(waitMs, { items: [] }, { signal }),
  ended: false,
  subscribe() {},
  unsubscribe() {},
  health: () => {
    throw new Error('not asked for here')
  },
  async close() {},
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, 'waited 10 s')
    await delay(5)
  }
}

const outcomes = (results: readonly { id: string; outcome: string; code?: string | undefined }[]) =>
  results.map(({ id, outcome, code }) => [id, outcome, ...(code ? [code] : [])])
const idsIn = (records: readonly StoredRecord[]): string[] =>
  records.map(({ value }) => (JSON.parse(Buffer.from(value ?? []).toString()) as { id: string }).id).sort()

test('each producer publishes the letters of its own shards, marked as entering again, wherever they lay', async (t) => {
  const { desk, produce, bury, published } = await setUp(t)
  const first = await produce('p0', [0])
  const second = await produce('p1', [1])
  const ids = await bury([
    { value: JSON.stringify(trade(SYMBOLS[0], 'a')), partition: 1 },
    { value: JSON.stringify(trade(SYMBOLS[1], 'b')), partition: 1 },
    { value: JSON.stringify(trade(SYMBOLS[1], 'c')), partition: 0 },
  ])
  assert.deepEqual(
    outcomes(await desk.replay(ids, NEVER)),
    ids.map((id) => [id, 'replayed']),
  )
  const records = await published()
  assert.deepEqual(idsIn(records), ['a', 'b', 'c'])
  for (const { partition, headers, value } of records) {
    const event = JSON.parse(Buffer.from(value ?? []).toString()) as Trade
    assert.equal(partition, shardOf(marketKey(event), PARTITIONS), 'in the partition of its market')
    assert.equal(headers.shard, partition)
    assert.equal(headers.reentering, true)
  }
  assert.deepEqual([first.batches.length, second.batches.length], [1, 1])
  const { letters } = await desk.list({ state: 'replayed' }, { limit: 10 }, NEVER)
  assert.deepEqual(letters.map(({ id }) => id).sort(), [...ids].sort(), 'and are noted as replayed')
})

test('what is still refused is said with its code and not published; what nobody knows is unknown', async (t) => {
  const { desk, produce, bury, published } = await setUp(t)
  await produce('p', [0, 1])
  const good = JSON.stringify(trade(SYMBOLS[0], 'good'))
  const ids = await bury([
    { value: 'no json' },
    { value: JSON.stringify({ ...trade(SYMBOLS[0], 'x'), price: 'high' }) },
    { value: good, version: 99 },
    { value: good, topic: 'other.trades', partition: 7 },
    { value: good },
    { value: `${good}${' '.repeat(600_000)}` },
  ])
  const nobody = 'market.trades:0:4711'
  assert.deepEqual(outcomes(await desk.replay([...ids, nobody], NEVER)), [
    [ids[0], 'still-refused', 'EVENT_UNDECODABLE'],
    [ids[1], 'still-refused', 'EVENT_INVALID'],
    [ids[2], 'still-refused', 'EVENT_UNDECODABLE'],
    [ids[3], 'still-refused', 'TOPIC_UNKNOWN'],
    [ids[4], 'replayed'],
    [ids[5], 'still-refused', 'RECORD_TOO_LARGE'],
    [nobody, 'unknown'],
  ])
  assert.deepEqual(idsIn(await published()), ['good'])
  const { letters, total } = await desk.list({ state: 'open' }, { limit: 2 }, NEVER)
  assert.equal(total, 5)
  assert.deepEqual(
    letters.map(({ id }) => id),
    [ids[5], ids[3]],
    'the newest first',
  )
})

test('a letter that the producer itself published before enters again all the same, also twice', async (t) => {
  const { desk, produce, bury, published } = await setUp(t)
  const { services } = await produce('p', [0, 1])
  const event = trade(SYMBOLS[0], 'refused by the table')
  await services.publishFixed({ items: [{ channel: 'trade', event }] }, NEVER)
  const [id = ''] = await bury([{ value: JSON.stringify(event) }])
  for (let times = 1; times <= 2; times++) {
    assert.deepEqual(outcomes(await desk.replay([id], NEVER)), [[id, 'replayed']])
    const again = (await published()).filter(({ headers }) => headers.reentering === true)
    assert.equal(again.length, times)
  }
  await services.publishFixed({ items: [{ channel: 'trade', event }] }, NEVER)
  assert.equal((await published()).length, 3, 'what the source repeats is left out as ever')
})

test('without a producer of its shard a letter is not owned, and no other is delayed for it', async (t) => {
  const { desk, produce, bury, published } = await setUp(t, { answerMs: 300 })
  const ids = await bury([
    { value: JSON.stringify(trade(SYMBOLS[0], 'a')) },
    { value: JSON.stringify(trade(SYMBOLS[1], 'b')) },
  ])
  assert.deepEqual(
    outcomes(await desk.replay(ids, NEVER)),
    ids.map((id) => [id, 'not-owned']),
    'nobody lives',
  )
  await produce('p', [1])
  assert.deepEqual(outcomes(await desk.replay(ids, NEVER)), [
    [ids[0], 'not-owned'],
    [ids[1], 'replayed'],
  ])
  assert.deepEqual(idsIn(await published()), ['b'])
})

test('a producer that lost the shard in between says nothing, and the new owner replays', async (t) => {
  const { desk, produce, bury, published } = await setUp(t, { answerMs: 300 })
  const zombie = await produce('zombie', [0, 1], { hold: true })
  const [id = ''] = await bury([{ value: JSON.stringify(trade(SYMBOLS[0], 'a')) }])
  assert.deepEqual(outcomes(await desk.replay([id], NEVER)), [[id, 'not-owned']])
  assert.equal(zombie.batches.length, 1)

  await produce('next', [0, 1], { hold: true })
  await zombie.services.publishFixed(zombie.batches[0] as SourceBatch, NEVER)
  assert.equal((await desk.list({ state: 'replayed' }, { limit: 1 }, NEVER)).total, 0)

  // What the zombie wrote stands in the way of the next one, which does not know it yet.
  await produce('owner', [0, 1])
  assert.deepEqual(outcomes(await desk.replay([id], NEVER)), [[id, 'replayed']])
  const epochs = (await published()).map(({ headers }) => headers.epoch ?? -1)
  const highest = Math.max(...epochs)
  assert.equal(epochs.filter((epoch) => epoch === highest).length, 1, 'the owner wrote it once')
})

test('an unknown outcome of the publish ends in one answer, and in one record more at most', async (t) => {
  const { broker, desk, produce, bury, published } = await setUp(t)
  let failures = 1
  const flaky: Broker = {
    ...broker,
    createTopics: (specs, signal) => broker.createTopics(specs, signal),
    listTopics: (prefix, signal) => broker.listTopics(prefix, signal),
    takeOver: (id, signal) => broker.takeOver(id, signal),
    openReader: () => broker.openReader(),
    publish: async (entries, signal) => {
      const acks = await broker.publish(entries, signal)
      const isReplay = entries.some(({ records }) => records.some(({ headers }) => headers.reentering))
      if (!isReplay || failures-- <= 0) return acks
      throw new TapelineError('BROKER_UNAVAILABLE', 'the answer was lost')
    },
  }
  const { services, batches } = await produce('p', [0, 1], { through: flaky, hold: true })
  const [id = ''] = await bury([{ value: JSON.stringify(trade(SYMBOLS[0], 'a')) }])
  const replaying = desk.replay([id], NEVER)
  await until(() => batches.length === 1)
  const [batch] = batches as [SourceBatch]
  await assert.rejects(services.publishFixed(batch, NEVER), { code: 'BROKER_UNAVAILABLE' })
  await services.publishFixed(batch, NEVER)
  assert.deepEqual(outcomes(await replaying), [[id, 'replayed']])
  assert.deepEqual(idsIn(await published()), ['a'], 'what had landed is not sent again')
})

test('all that fit are replayed page by page, the oldest first, and none again', async (t) => {
  const { desk, produce, bury, published } = await setUp(t)
  await produce('p', [0, 1])
  const names = Array.from({ length: 250 }, (_, i) => `t${String(i).padStart(3, '0')}`)
  const ids = await bury(
    names.map((name, i) => ({ value: i % 50 === 7 ? 'bad' : JSON.stringify(trade(SYMBOLS[0], name)) })),
  )
  const seen: string[] = []
  let from: number | null = 0
  let pages = 0
  while (from !== null) {
    const answer: Awaited<ReturnType<typeof desk.replayMatching>> = await desk.replayMatching(
      { state: 'open', code: 'EVENT_INVALID' },
      { limit: 120, from },
      NEVER,
    )
    seen.push(...answer.results.map(({ id }) => id))
    from = answer.next
    pages++
  }
  assert.equal(pages, 3)
  assert.deepEqual(seen, ids)
  const order = (await published()).map(
    ({ value }) => (JSON.parse(Buffer.from(value ?? []).toString()) as Trade).id,
  )
  assert.deepEqual(
    order,
    names.filter((_, i) => i % 50 !== 7),
  )
  const again = await desk.replayMatching({ state: 'open' }, { limit: 500 }, NEVER)
  assert.deepEqual(new Set(again.results.map(({ outcome }) => outcome)), new Set(['still-refused']))
  assert.equal((await published()).length, 245)
})

test('a letter is shown as text where it is text, else in base64, and says whether it is whole', async (t) => {
  const { broker, desk } = await setUp(t)
  const records = [
    encoder.encode('{"price": "high"}'),
    Uint8Array.from([0, 0xff, 0xfe]),
    new Uint8Array(600_000).fill(0x20),
  ]
  await writeDeadLetters(
    broker,
    records.map((value, offset) => ({
      ...{ topic: TOPICS.quote, partition: 1 },
      record: {
        offset,
        timestamp: 1_700_000_000_000,
        key: 'x:A-A',
        value,
        headers: { v: 3, kind: 'event' as const },
      },
      error: new TapelineError('EVENT_INVALID', 'quote.price: not a number', {
        fields: [{ field: 'price', value: 'high', message: 'not a number', remedy: 'none' }],
      }),
    })),
    NEVER,
  )
  const shown = await Promise.all([0, 1, 2].map((offset) => desk.get(`market.quotes:1:${offset}`, NEVER)))
  assert.deepEqual(
    shown.map(({ encoding, value, complete, size }) => [encoding, value.slice(0, 17), complete, size]),
    [
      ['utf8', '{"price": "high"}', true, 17],
      ['base64', 'AP/+', true, 3],
      ['utf8', ' '.repeat(17), false, 600_000],
    ],
  )
  const [first] = shown
  assert.ok(first)
  const { key, version, fields, reason, publishedAt, replayedAt } = first
  assert.deepEqual([key, version, reason, replayedAt], ['x:A-A', 3, 'quote.price: not a number', null])
  assert.deepEqual(fields, [{ field: 'price', message: 'not a number' }])
  assert.equal(publishedAt, '2023-11-14T22:13:20.000Z')
  await assert.rejects(desk.get('market.quotes:1:9', NEVER), { code: 'DEAD_LETTER_UNKNOWN' })
})
