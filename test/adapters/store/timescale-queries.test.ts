import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import pg from 'pg'
import { inspectTimescale } from '../../../src/adapters/store/timescale.ts'
import { deadline, segment, sql, store as storeRows, trade, unique } from '../../contract/store-fixtures.ts'
import { blocksOf } from '../../recipes.ts'
import { requireServer } from '../../servers/availability.ts'
import { postgresMissing } from '../../servers/postgres.ts'
import { query } from './psql.ts'
import { openStore, settingsFor, temporaryDatabase, temporaryServer } from './timescale-server.ts'

describe('queries under a login of their own', requireServer(postgresMissing()), () => {
  test('a role that may only read answers queries, and cannot write', async (t) => {
    const server = await temporaryServer(t)
    await query(server, 'create role tapeline login; grant usage, create on schema public to tapeline')
    const own = server.url.replace('postgres://postgres@', 'postgres://tapeline@')
    const owner = await openStore(t, own)
    await owner.migrate(deadline())
    const [recipe] = blocksOf('A role that may only read')
    assert.equal(recipe?.language, 'sql')
    await query(server, `${recipe.code.trim().replace(/;$/, '')}; create table secret (word text)`)
    const url = server.url.replace('postgres://postgres@', 'postgres://market_reader@')
    const store = await openStore(t, own, { queries: { url } })
    const symbol = unique('S')
    await storeRows(store, segment('trade', [trade({ symbol })]))
    assert.equal((await store.trades({ symbol, limit: 1 }, deadline())).length, 1)
    assert.deepEqual((await sql(store, 'select current_user as who')).rows, [{ who: 'market_reader' }])
    await assert.rejects(sql(store, 'select * from secret'), { code: 'STORE_FORBIDDEN' })
    for (const view of ['quotes', 'candles_4h', 'tapeline_offsets'])
      await assert.doesNotReject(sql(store, `select count(*) from ${view}`), view)
    // A table of a later version, made by the platform's own role.
    await owner.close()
    const later = new pg.Client(own)
    await later.connect()
    await later.query('create table later as select 1 as one').finally(() => later.end())
    assert.deepEqual((await sql(store, 'select one from later')).rows, [{ one: 1 }])
    const reader = new pg.Client(url)
    await reader.connect()
    try {
      await assert.rejects(reader.query('create temporary table mine (a int)'), { code: '25006' })
      await assert.rejects(reader.query('insert into trades select * from trades'), { code: '25006' })
      await reader.query('set default_transaction_read_only = off')
      await assert.rejects(reader.query('insert into trades select * from trades'), { code: '42501' })
    } finally {
      await reader.end()
    }

    const finding = async () => {
      const found = await inspectTimescale(settingsFor(own, { queries: { url } }), deadline())
      return found.find(({ check }) => check === 'store queries')
    }
    assert.match((await finding())?.detail ?? '', /may only read/)
    await query(server, 'alter role market_reader reset temp_file_limit')
    assert.match((await finding())?.detail ?? '', /reader .* has no temp_file_limit/)
    await query(server, 'grant insert on trades to market_reader')
    assert.match((await finding())?.detail ?? '', /may also write/)
    await query(server, 'revoke select on quotes from market_reader')
    assert.deepEqual((await finding())?.status, 'fail')
  })

  test('a login that is refused is told when the store is opened', async (t) => {
    const server = await temporaryDatabase(t)
    const url = server.url.replace('postgres://postgres@', 'postgres://nobody-of-that-name@')
    await assert.rejects(openStore(t, server.url, { queries: { url } }), { code: 'STORE_UNAUTHORIZED' })
  })

  test('a statement waits for a lock no longer than two seconds', async (t) => {
    const server = await temporaryDatabase(t)
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
