import assert from 'node:assert/strict'
import { test } from 'node:test'
import { marketKey, shardOf, type Trade } from '../../../src/domain/events.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { Broker, StoredRecord } from '../../../src/ports/broker.ts'
import type { SourceBatch } from '../../../src/ports/source.ts'
import { writeDeadLetters } from '../../../src/services/consumer-fixed/dead-letters.ts'
import { NAMES } from '../../names.ts'
import { until } from '../until.ts'
import { NEVER, PARTITIONS, SYMBOLS, setUp, TOPICS, trade } from './reentry-world.ts'

const encoder = new TextEncoder()

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
    outcomes(await desk.reenter(ids, NEVER)),
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
  assert.deepEqual(outcomes(await desk.reenter([...ids, nobody], NEVER)), [
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
    assert.deepEqual(outcomes(await desk.reenter([id], NEVER)), [[id, 'replayed']])
    const again = (await published()).filter(({ headers }) => headers.reentering === true)
    assert.equal(again.length, times)
  }
  await services.publishFixed({ items: [{ channel: 'trade', event }] }, NEVER)
  assert.equal((await published()).length, 3, 'what the source repeats is left out as ever')
})

test('without a producer of its shard a letter is not owned, and no other is delayed for it', async (t) => {
  const { openDesk, produce, bury, published } = await setUp(t)
  // The producer's own shard has to be answered within it, on a busy machine too.
  const desk = openDesk(3_000)
  const ids = await bury([
    { value: JSON.stringify(trade(SYMBOLS[0], 'a')) },
    { value: JSON.stringify(trade(SYMBOLS[1], 'b')) },
  ])
  assert.deepEqual(
    outcomes(await desk.reenter(ids, NEVER)),
    ids.map((id) => [id, 'not-owned']),
    'nobody lives',
  )
  await produce('p', [1])
  assert.deepEqual(outcomes(await desk.reenter(ids, NEVER)), [
    [ids[0], 'not-owned'],
    [ids[1], 'replayed'],
  ])
  assert.deepEqual(idsIn(await published()), ['b'])
})

test('a producer that lost the shard in between says nothing, and the new owner publishes the letters', async (t) => {
  const { desk, openDesk, produce, bury, published } = await setUp(t)
  const zombie = await produce('zombie', [0, 1], { hold: true })
  const [id = ''] = await bury([{ value: JSON.stringify(trade(SYMBOLS[0], 'a')) }])
  assert.deepEqual(outcomes(await openDesk(300).reenter([id], NEVER)), [[id, 'not-owned']])
  await until('it has been asked', () => zombie.batches.length === 1)

  await produce('next', [0, 1], { hold: true })
  await zombie.services.publishFixed(zombie.batches[0] as SourceBatch, NEVER)
  assert.equal((await desk.list({ state: 'replayed' }, { limit: 1 }, NEVER)).total, 0)

  // What the zombie wrote stands in the way of the next one, which does not know it yet.
  await produce('owner', [0, 1])
  assert.deepEqual(outcomes(await desk.reenter([id], NEVER)), [[id, 'replayed']])
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
    describeTopics: (names, signal) => broker.describeTopics(names, signal),
    takeOver: (id, signal) => broker.takeOver(id, signal),
    openReader: (signal) => broker.openReader(signal),
    publish: async (entries, signal) => {
      const acks = await broker.publish(entries, signal)
      const isReentry = entries.some(({ records }) => records.some(({ headers }) => headers.reentering))
      if (!isReentry || failures-- <= 0) return acks
      throw new TapelineError('BROKER_UNAVAILABLE', 'the answer was lost')
    },
  }
  const { services, batches } = await produce('p', [0, 1], { through: flaky, hold: true })
  const [id = ''] = await bury([{ value: JSON.stringify(trade(SYMBOLS[0], 'a')) }])
  const replaying = desk.reenter([id], NEVER)
  await until('it has been asked', () => batches.length === 1)
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
    const answer: Awaited<ReturnType<typeof desk.reenterMatching>> = await desk.reenterMatching(
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
  const again = await desk.reenterMatching({ state: 'open' }, { limit: 500 }, NEVER)
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
    NAMES.deadLetters,
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
