import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import pg from 'pg'
import { inspectTimescale } from '../../../src/adapters/store/timescale.ts'
import { deadline, segment, sql, store as storeRows, trade, unique } from '../../contract/store-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { postgresMissing } from '../../servers/postgres.ts'
import { query } from './psql.ts'
import { openStore, settingsFor, temporaryServer } from './timescale-server.ts'

describe('queries under a login of their own', requireServer(postgresMissing()), () => {
  test('a role that may only read answers queries, and cannot write', async (t) => {
    const server = await temporaryServer(t)
    const owner = await openStore(t, server.url)
    await owner.migrate(deadline())
    await query(
      server,
      `create role reader login; grant usage on schema public to reader;
       grant select on all tables in schema public to reader;
       create table secret (word text); revoke all on secret from reader`,
    )
    const url = server.url.replace('postgres://postgres@', 'postgres://reader@')
    const store = await openStore(t, server.url, { queries: { url } })
    const symbol = unique('S')
    await storeRows(store, segment('trade', [trade({ symbol })]))
    assert.equal((await store.trades({ symbol, limit: 1 }, deadline())).length, 1)
    assert.deepEqual((await sql(store, 'select current_user as who')).rows, [{ who: 'reader' }])
    await assert.rejects(sql(store, 'select * from secret'), { code: 'STORE_FORBIDDEN' })

    const finding = async () => {
      const found = await inspectTimescale(settingsFor(server.url, { queries: { url } }), deadline())
      return found.find(({ check }) => check === 'store queries')
    }
    assert.match((await finding())?.detail ?? '', /reader .* has no temp_file_limit/)
    await query(server, "alter role reader set temp_file_limit = '1GB'")
    assert.match((await finding())?.detail ?? '', /may only read/)
    await query(server, 'grant insert on trades to reader')
    assert.match((await finding())?.detail ?? '', /may also write/)
    await query(server, 'revoke select on quotes from reader')
    assert.deepEqual((await finding())?.status, 'fail')
  })

  test('a login that is refused is told when the store is opened', async (t) => {
    const server = await temporaryServer(t)
    const url = server.url.replace('postgres://postgres@', 'postgres://nobody-of-that-name@')
    await assert.rejects(openStore(t, server.url, { queries: { url } }), { code: 'STORE_UNAUTHORIZED' })
  })

  test('a statement waits for a lock no longer than two seconds', async (t) => {
    const server = await temporaryServer(t)
    const store = await openStore(t, server.url)
    await store.migrate(deadline())
    const held = new pg.Client(server.url)
    await held.connect()
    try {
      await held.query('begin; lock table trades in access exclusive mode')
      await assert.rejects(
        store.query('select count(*) from trades', { maxRows: 1, timeoutMs: 25_000 }, deadline()),
        { code: 'STORE_UNAVAILABLE', message: /lock timeout/ },
      )
    } finally {
      await held.end()
    }
  })
})
