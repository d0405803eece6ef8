import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Status } from '../../../src/domain/events.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { SourceItem } from '../../../src/ports/source.ts'
import { NEVER, setUp, trades } from './one-shard.ts'
import { bodyOf } from './producers.ts'

const HUGE = 'x'.repeat(1_200_000)

const status = (detail: string): SourceItem => ({
  channel: 'status',
  event: { source: 'test', exchange: 'x', state: 'stale', detail, ts: 1 },
})

test('an event that no record takes is left out and counted, and stops nothing beside it', async (t) => {
  const world = await setUp(t)
  const { services, counted } = world
  const { items: good } = trades('A-B', 't0', 't1')
  const { items: odd } = trades('A-B', `t${HUGE}`)
  const { items: next } = trades('A-B', 't2')
  const name = HUGE.toUpperCase()
  const book: SourceItem = {
    channel: 'book',
    event: {
      ...{ exchange: 'x', symbol: 'A-B', snapshot: true, asks: [], seq: 1, ts: 1, recvTs: 1 },
      bids: Array.from({ length: 100_000 }, (_, i) => [i + 1, 1] as const),
    },
  }
  const quote: SourceItem = {
    channel: 'quote',
    event: { exchange: 'x', symbol: name, bid: 1, ts: 1, recvTs: 1 },
  }
  await services.publishFixed({ items: [status(HUGE), ...good, ...odd, book, quote, status('fine')] }, NEVER)
  await services.publishFixed({ items: [...next, ...odd] }, NEVER)

  assert.deepEqual(await world.idsIn('market.trades'), ['t0', 't1', 't2'])
  assert.equal((await world.idsIn('market.status')).length, 1)
  assert.deepEqual(counted('oversized_events_total'), { status: 1, trade: 2, book: 1, quote: 1 })
  assert.deepEqual(
    world.warnings.filter(({ code }) => code === 'RECORD_TOO_LARGE').map(({ channel }) => channel),
    ['status'],
    'one a minute',
  )
})

test('a trade that its topic does not take is set aside with a gap; what is in front of it and after it is there once', async (t) => {
  const world = await setUp(t)
  const { services, counted, mine, broker } = world
  await services.publishFixed(trades('A-B', 't0'), NEVER)
  let refusals = 0
  mine.beforePublish = async (entries) => {
    for (const entry of entries) {
      const at = entry.records.findIndex(({ value }) => value && Buffer.from(value).includes('"large'))
      const record = entry.records[at]
      if (record === undefined) continue
      refusals++
      const before = { ...entry, records: entry.records.slice(0, at) }
      if (at > 0) await broker.publish([before], NEVER)
      throw new TapelineError('RECORD_TOO_LARGE', 'larger than the topic takes', { values: [record.value] })
    }
  }
  await services.publishFixed(trades('A-B', 't1', 't2', 'large-1', 't3', 'large-2', 't4'), NEVER)
  await services.publishFixed(trades('A-B', 't5'), NEVER)

  assert.deepEqual(await world.idsIn('market.trades'), ['t0', 't1', 't2', 't3', 't4', 't5'])
  assert.equal(refusals, 2, 'each is asked for once')
  assert.deepEqual(counted('oversized_events_total'), { trade: 2 })
  const reader = await broker.openReader(NEVER)
  await reader.assign([{ topic: 'market.status', partition: 0, offset: 0 }], NEVER)
  const found = await reader.poll({ maxRecords: 100, waitMs: 0 }, NEVER)
  await reader.close(NEVER)
  const events = found.flatMap((fetch) => (fetch.kind === 'records' ? fetch.records : []))
  const gaps = events.filter(
    ({ value }) => value && /larger than its topic takes/.test(String(Buffer.from(value))),
  )
  assert.equal(gaps.length, 2)
  for (const gap of gaps) assert.equal(bodyOf<Status>(gap).cause, 'overflow')
})

test('a record that the topic of a stream does not take is left out of it with a reset, and stops neither it nor another', async (t) => {
  const world = await setUp(t)
  const { services, counted, mine, announce, idsIn, derive, clock, alerts } = world
  await announce('app.small', ['*'], 0)
  await announce('app.other', ['*'], 0)
  let refusals = 0
  mine.beforePublish = async (entries) => {
    for (const { topic, records } of entries) {
      const large = records.find(({ value }) => value && value.length > 200)
      if (topic !== 'app.small' || large === undefined) continue
      refusals++
      const partitions = [{ topic, partition: 0 }]
      throw new TapelineError('RECORD_TOO_LARGE', 'larger than it takes', {
        partitions,
        values: [large.value],
      })
    }
  }
  const large = (id: string): string => id + 'x'.repeat(120)
  const all = ['t0', large('t1'), large('t2'), 't3', large('t4'), 't5']
  await services.publishFixed(trades('A-B', ...all), NEVER)
  await services.publishDynamic(NEVER)
  clock.skippedMs += 2_000
  await derive()
  const told = async (topic: string): Promise<string[]> =>
    (await idsIn(topic)).map((each) => /^fixed (.*) of shard 0 left out/.exec(each)?.[1] ?? each.slice(0, 2))
  assert.deepEqual(await told('app.other'), ['t0', 't1', 't2', 't3', 't4', 't5'])
  assert.deepEqual(await told('app.small'), ['t0', 'records 2 to 3', 't3', 'record 5', 't5'])
  assert.equal(services.topicsAside(), 0)
  assert.equal(refusals, 1, 'what is as large is not tried')
  assert.deepEqual(counted('oversized_derived_total'), { trade: 3 })
  assert.deepEqual(alerts, { oversized: 'RECORD_TOO_LARGE' })

  // The topic takes more by now.
  mine.beforePublish = async () => undefined
  clock.skippedMs += 600_000
  await services.publishFixed(trades('A-B', large('t6')), NEVER)
  await derive()
  assert.equal((await told('app.small')).at(-1), 't6')
  assert.deepEqual(alerts, {})
})
