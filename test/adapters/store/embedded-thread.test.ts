import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openEmbeddedStore } from '../../../src/adapters/store/embedded.ts'
import { parseIsoMicros } from '../../../src/domain/time.ts'
import type { Store } from '../../../src/ports/store.ts'
import {
  claimOne,
  deadline,
  quote,
  segment,
  sql,
  storedIds,
  store as storeRows,
  trade,
  unique,
  writeOf,
} from '../../contract/store-fixtures.ts'
import { quietLog } from '../../quiet.ts'
import { makeTemporaryStore } from '../../store-template.ts'
import { openTemporaryStore } from './temporary.ts'

const HOUR_MS = 3_600_000

/** Nested so deep that the call stack of the database ends, and the database with it. */
const DEADLY = `select ${'1+'.repeat(60_000)}1`

/** Waits until a statement's one value is true. */
async function until(store: Store, what: string, statement: string): Promise<void> {
  const end = Date.now() + 90_000
  for (;;) {
    const { rows } = await sql(store, statement)
    if (Object.values(rows[0] ?? {})[0] === true) return
    assert.ok(Date.now() < end, `${what}: not so after 90 s`)
    await delay(250)
  }
}

describe('the thread of the embedded store', () => {
  let store: Store
  let remove: () => Promise<void>
  before(async () => {
    const made = await makeTemporaryStore()
    remove = made.remove
    store = await openEmbeddedStore({ folder: made.folder, log: quietLog })
    await store.migrate(deadline())
  })
  after(async () => {
    await store.close()
    await remove()
  })

  test('a database that ends takes only the call with it that it was serving; the next opens it again', async () => {
    const symbol = unique('S')
    await storeRows(store, segment('trade', [trade({ symbol })]))
    const dying = sql(store, DEADLY)
    const waiting = storedIds(store, symbol)
    await assert.rejects(dying, { code: 'STORE_UNAVAILABLE' })
    assert.deepEqual(await waiting, ['1'])
    const claim = await claimOne(store, unique('topic'))
    await store.write([writeOf(claim, 1, segment('trade', [trade({ symbol, id: '2' })]))], deadline())
    assert.equal((await storedIds(store, symbol)).length, 2)
  })

  test('calls that wait are bounded, and one that is given up while it waits is not made', async () => {
    const topic = unique('topic')
    const before = await claimOne(store, topic)
    const abort = new AbortController()
    const running = sql(store, 'select count(*) from generate_series(1, 500_000)')
    const target = { topic, topicId: before.topicId, partition: 0 }
    const given = store.claim([target], abort.signal)
    const calls = Array.from({ length: 300 }, () => sql(store, 'select 1'))
    const settled = Promise.allSettled(calls)
    abort.abort()
    await assert.rejects(given, { name: 'AbortError' })
    await running
    const refused = (await settled).filter((each) => each.status === 'rejected')
    assert.ok(refused.length > 0 && refused.length < 300, `${refused.length} of 300 were refused`)
    for (const { reason } of refused) assert.equal(reason.code, 'STORE_UNAVAILABLE')
    assert.equal((await claimOne(store, topic)).fence, before.fence + 1, 'the claim given up was not made')
  })

  // The last one: the store is closed then.
  test('close lets what runs end and refuses what waits', async () => {
    const symbol = unique('S')
    const claim = await claimOne(store, unique('topic'))
    const running = store.write([writeOf(claim, 1, segment('trade', [trade({ symbol })]))], deadline())
    const waiting = sql(store, 'select 1')
    const closing = store.close()
    await assert.rejects(waiting, { code: 'SHUTTING_DOWN' })
    const [advanced] = await running
    assert.equal(advanced?.nextOffset, 1)
    await closing
  })
})

test('a database that does not open again is tried at most once a second, and used when it does', async (t) => {
  const { folder, remove } = await makeTemporaryStore()
  const store = await openEmbeddedStore({ folder, log: quietLog })
  t.after(async () => {
    await store.close()
    await remove()
  })
  const marker = join(folder, 'engine.json')
  const right = await readFile(marker, 'utf8')
  await writeFile(marker, JSON.stringify({ engine: 'another' }))
  await assert.rejects(sql(store, DEADLY), { code: 'STORE_UNAVAILABLE' })
  await assert.rejects(sql(store, 'select 1'), { code: 'DATA_FOLDER_UNUSABLE' })
  await assert.rejects(sql(store, 'select 1'), { code: 'STORE_UNAVAILABLE' })
  await writeFile(marker, right)
  const end = Date.now() + 20_000
  for (;;) {
    const [found] = await Promise.allSettled([sql(store, 'select 1 as one')])
    if (found.status === 'fulfilled') break
    assert.equal(found.reason.code, 'STORE_UNAVAILABLE')
    assert.ok(Date.now() < end, 'it opens in the end')
    await delay(50)
  }
})

test('maintenance goes on by itself: old chunks are compressed and removed, candles materialised', async (t) => {
  const problems: unknown[] = []
  const log = { ...quietLog, warn: (fields: object) => problems.push(fields) }
  const day = 86_400_000
  const store = await openTemporaryStore(t, { columnstoreAfterMs: day, retentionMs: 10 * day, log })
  const at = (days: number) => (Date.now() - days * day) * 1000
  const symbol = unique('S')
  await storeRows(
    store,
    segment('trade', [
      trade({ symbol, id: 'old', ts: at(20) }),
      trade({ symbol, id: 'two days', ts: at(2) }),
      trade({ symbol, id: 'now', ts: at(0) }),
    ]),
    segment('quote', [quote({ symbol, ts: at(2) })]),
  )
  await until(
    store,
    'chunks of two days ago are compressed',
    `select count(*) = 2 from timescaledb_information.chunks where is_compressed and hypertable_name in ('trades', 'quotes')`,
  )
  await until(store, 'the trade of twenty days ago is removed', `select count(*) = 2 from trades`)
  await until(
    store,
    'the candle of two days ago is materialised',
    `select count(*) = 1 from _timescaledb_catalog.continuous_agg c
     join _timescaledb_catalog.continuous_aggs_watermark w using (mat_hypertable_id)
     where user_view_name = 'trade_candles_1m' and watermark > 0`,
  )
  assert.deepEqual(await storedIds(store, symbol), ['two days', 'now'], 'compressed trades are read')
  const candles = await store.candles({ symbol, interval: '1m', origin: 'trades', limit: 10 }, deadline())
  assert.equal(candles.length, 2)
  const { rows } = await sql(store, `select ts from trades where id = 'two days'`)
  const ts = parseIsoMicros(String(rows[0]?.['ts']))
  assert.ok(ts)
  await storeRows(store, segment('trade', [trade({ symbol, id: 'two days', ts })], true))
  assert.deepEqual(await storedIds(store, symbol), ['two days', 'now'], 'a compressed trade is found again')
  assert.deepEqual(problems, [])
})

test('no query holds up the others for longer than it may, whatever time it asks for', async (t) => {
  const store = await openTemporaryStore(t, { longestQueryMs: 500 })
  const symbol = unique('S')
  const endless = 'select count(*) from pg_proc a, pg_proc b, pg_proc c, pg_proc d'
  const slow = store.query(endless, { maxRows: 1, timeoutMs: 600_000 }, deadline())
  const ended = assert.rejects(slow, { code: 'TIMEOUT', message: /500 ms/ })
  const claim = await claimOne(store, unique('topic'))
  await store.write([writeOf(claim, 1, segment('trade', [trade({ symbol })]))], deadline())
  await ended
})

test('maintenance takes its steps while nobody asks for anything, until nothing is left', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const store = await openTemporaryStore(t, { chunkIntervalMs: HOUR_MS })
  const start = Date.UTC(2020, 0, 1) * 1000
  const trades = Array.from({ length: 6 }, (_, i) => trade({ id: String(i), ts: start + i * HOUR_MS * 1000 }))
  await storeRows(store, segment('trade', trades))
  const isDone = async (): Promise<boolean> => {
    // What was asked for before these seconds counts for less with each.
    t.mock.timers.tick(10_000)
    const { rows } = await sql(
      store,
      `select (select count(*) = 6 from timescaledb_information.chunks where hypertable_name = 'trades' and is_compressed)
         and (select bool_and(watermark > ${start}) from _timescaledb_catalog.continuous_aggs_watermark
           join _timescaledb_catalog.continuous_agg using (mat_hypertable_id) where user_view_name like 'trade_candles_%') as done`,
    )
    return rows[0]?.['done'] === true
  }
  const end = Date.now() + 90_000
  while (!(await isDone())) assert.ok(Date.now() < end, 'all chunks are compressed, and all candles computed')
})
