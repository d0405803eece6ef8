import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { openTimescaleStore } from '../../../src/adapters/store/timescale.ts'
import {
  claimOne,
  deadline,
  segment,
  storedIds,
  trade,
  unique,
  writeOf,
} from '../../contract/store-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { postgresMissing } from '../../servers/postgres.ts'
import { query } from './psql.ts'
import { type Database, openStore, settingsFor, temporaryDatabase } from './timescale-server.ts'

const ENDLESS = 'select count(*) from pg_proc a, pg_proc b, pg_proc c, pg_proc d'

/** The connections of a store to the database that is asked. */
const OURS = "application_name = 'tapeline' and datname = current_database()"

async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = deadline()
  while (!(await condition())) {
    end.throwIfAborted()
    await delay(10)
  }
}

async function backends(server: Database, where = 'true'): Promise<number> {
  const rows = await query(server, `select 1 from pg_stat_activity where ${OURS} and ${where}`)
  return rows.length
}

/** Holds the row of a partition, as somebody in the middle of a transaction does, until it is let go. */
function hold(server: Database, topic: string): Promise<() => Promise<void>> {
  return holdBy(server, 'select 1 from tapeline_offsets where topic = $1 for update', [topic])
}

/** Runs a statement in a transaction that stays open until the function is called. */
async function holdBy(
  server: Database,
  statement: string,
  parameters: readonly string[] = [],
): Promise<() => Promise<void>> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: server.port,
    user: 'postgres',
    database: server.database,
  })
  await client.connect()
  await client.query('begin')
  await client.query(statement, [...parameters])
  return () => client.end()
}

describe('connections to the database server', requireServer(postgresMissing()), () => {
  test('many processes that start at once migrate once', async (t) => {
    const server = await temporaryDatabase(t)
    const stores = await Promise.all([1, 2, 3, 4, 5].map(() => openStore(t, server.url)))
    const reports = await Promise.all(stores.map((store) => store.migrate(deadline())))
    assert.equal(reports.filter(({ applied }) => applied.length > 0).length, 1)
    assert.equal(new Set(reports.map(({ current }) => current)).size, 1)
  })

  test('lanes: a write that is held up does not hold up another, and one too many waits', async (t) => {
    const server = await temporaryDatabase(t)
    const store = await openStore(t, server.url, { lanes: 2 })
    assert.equal(store.lanes, 2)
    await store.migrate(deadline())
    const symbol = unique('S')
    const claims = await Promise.all(
      ['held', 'held too', 'free'].map((name) => claimOne(store, unique(name))),
    )
    const [held, other, free] = claims
    assert.ok(held && other && free)
    const write = (claim: typeof held, id: string, signal = deadline()) =>
      store.write([writeOf(claim, 1, segment('trade', [trade({ symbol, id })]))], signal)
    const letGo = await hold(server, held.topic)
    const first = write(held, 'held')
    await until(async () => (await backends(server, "wait_event_type = 'Lock'")) === 1)
    const [next] = await write(free, 'free')
    assert.ok(next)
    const letOtherGo = await hold(server, other.topic)
    const second = write(other, 'held too')
    await until(async () => (await backends(server, "wait_event_type = 'Lock'")) === 2)
    const abort = new AbortController()
    const third = write(next, 'aborted', abort.signal)
    abort.abort()
    await assert.rejects(third, { name: 'AbortError' }, 'a call that waits for a lane can be given up')
    const fourth = write(next, 'last')
    await letGo()
    await Promise.all([first, fourth])
    await letOtherGo()
    await second
    assert.deepEqual((await storedIds(store, symbol)).sort(), ['free', 'held', 'held too', 'last'])
  })

  test('a statement that takes too long is ended: TIMEOUT, nothing is written, and the claim holds', async (t) => {
    const server = await temporaryDatabase(t)
    // What has to succeed may take its time on a busy machine.
    const [patient, hasty] = [
      await openStore(t, server.url),
      await openStore(t, server.url, { statementTimeoutMs: 300 }),
    ]
    await patient.migrate(deadline())
    const claim = await claimOne(patient, unique('topic'))
    const letGo = await hold(server, claim.topic)
    await assert.rejects(hasty.write([writeOf(claim, 1)], deadline()), { code: 'TIMEOUT' })
    await letGo()
    await patient.write([writeOf(claim, 1)], deadline())
  })

  test('slow queries delay neither writes nor claims, and an abort ends them on the server too', async (t) => {
    const server = await temporaryDatabase(t)
    const store = await openStore(t, server.url)
    await store.migrate(deadline())
    const abort = new AbortController()
    let isAnswered = false
    const slow = Array.from({ length: 10 }, () =>
      store.query(ENDLESS, { maxRows: 1, timeoutMs: 60_000 }, abort.signal).finally(() => {
        isAnswered = true
      }),
    )
    const settled = Promise.allSettled(slow)
    const running = "state = 'active' and query like 'select count(*) from pg_proc%'"
    await until(async () => (await backends(server, running)) === 4)
    const claim = await claimOne(store, unique('topic'))
    await store.write([writeOf(claim, 1)], deadline())
    assert.equal(isAnswered, false)
    abort.abort()
    for (const each of await settled)
      assert.equal(each.status === 'rejected' && each.reason.name, 'AbortError')
    await until(async () => (await backends(server, running)) === 0)
    assert.deepEqual(await store.trades({ symbol: 'none', limit: 1 }, deadline()), [])
  })

  test('a reader of rows who leaves half-way gives its connection back at once', async (t) => {
    const server = await temporaryDatabase(t)
    const store = await openStore(t, server.url)
    await store.migrate(deadline())
    const letGo = await holdBy(server, 'lock table trades in access exclusive mode')
    const waiting = "wait_event_type = 'Lock' and query like '%trades%'"
    for (let i = 0; i < 8; i++) {
      const gone = new AbortController()
      const reading = store.trades({ symbol: 'BTC-USD', order: 'asc', limit: 5_000 }, gone.signal)
      await until(async () => (await backends(server, waiting)) === 1)
      gone.abort()
      await assert.rejects(reading, { name: 'AbortError' })
      await until(async () => (await backends(server, waiting)) === 0)
    }
    await letGo()
    assert.deepEqual(await store.trades({ symbol: 'BTC-USD', limit: 1 }, deadline()), [])
  })

  test('connections that the server has ended are replaced', async (t) => {
    const server = await temporaryDatabase(t)
    const store = await openStore(t, server.url)
    await store.migrate(deadline())
    const claim = await claimOne(store, unique('topic'))
    await store.trades({ symbol: 'none', limit: 1 }, deadline())
    await query(server, `select pg_terminate_backend(pid, 5000) from pg_stat_activity where ${OURS}`)
    await until(async () => (await backends(server)) === 0)
    // What the server said when it ended them has arrived: it was sent before they were gone.
    await delay(0)
    await store.write([writeOf(claim, 1)], deadline())
    assert.deepEqual(await store.trades({ symbol: 'none', limit: 1 }, deadline()), [])
  })

  test('close lets a write end, refuses those that wait, and leaves no connection', async (t) => {
    const server = await temporaryDatabase(t)
    const store = await openTimescaleStore(settingsFor(server.url, { lanes: 1 }), deadline())
    await store.migrate(deadline())
    const claim = await claimOne(store, unique('topic'))
    const letGo = await hold(server, claim.topic)
    const writing = store.write([writeOf(claim, 1)], deadline())
    await until(async () => (await backends(server, "wait_event_type = 'Lock'")) === 1)
    const waiting = Array.from({ length: 256 }, () => store.write([writeOf(claim, 1)], deadline()))
    const refusals = Promise.allSettled(waiting)
    await assert.rejects(store.write([writeOf(claim, 1)], deadline()), { code: 'STORE_UNAVAILABLE' })
    const closing = store.close()
    await letGo()
    const [advanced] = await writing
    assert.equal(advanced?.nextOffset, 1)
    await closing
    for (const each of await refusals)
      assert.equal(each.status === 'rejected' && each.reason.code, 'SHUTTING_DOWN')
    await until(async () => (await backends(server)) === 0)
  })
})
