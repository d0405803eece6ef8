import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { inspectTimescale, openTimescaleStore } from '../../../src/adapters/store/timescale.ts'
import {
  claimOne,
  deadline,
  segment,
  sql,
  storedIds,
  trade,
  unique,
  writeOf,
} from '../../contract/store-fixtures.ts'
import { SEED } from '../../seed.ts'
import { requireServer } from '../../servers/availability.ts'
import { type PostgresServer, postgresMissing } from '../../servers/postgres.ts'
import { query } from './psql.ts'
import { openStore, settingsFor, temporaryDatabase, temporaryServer } from './timescale-server.ts'
import { randomOf, untilThere, writeAll } from './write-all.ts'

/** Waits until a statement of the administrator gives a row. */
async function untilRow(server: Parameters<typeof query>[0], statement: string): Promise<void> {
  const end = deadline()
  while ((await query(server, statement)).length === 0) {
    end.throwIfAborted()
    await delay(10)
  }
}

describe('outages of the database server', requireServer(postgresMissing()), () => {
  test(`the server is killed in the middle of writes: nothing lost, nothing twice (seed ${SEED})`, async (t) => {
    const server = await temporaryServer(t)
    const store = await openStore(t, server.url)
    await store.migrate(deadline())
    const random = randomOf(SEED)
    const [topic, end] = [unique('topic'), 60_000]
    let isWriting = true
    const writing = Promise.all(
      [0, 1].map((partition) => writeAll(store, topic, partition, end, random)),
    ).finally(() => {
      isWriting = false
    })
    for (let kill = 0; kill < 8 && isWriting; kill++) {
      await delay(30 + random() * 120)
      await server.kill()
      await server.restart()
    }
    const failures = (await writing).reduce((sum, each) => sum + each)
    t.diagnostic(`${failures} writes or claims failed`)
    assert.ok(failures > 0, 'a kill met a write')
    for (const partition of [0, 1]) {
      const { rows } = await sql(
        store,
        `select count(*) as rows, count(distinct id) as ids, max(id::bigint) as high,
           (select count(*) from quotes where symbol = '${topic}-${partition}') as quotes
         from trades where symbol = '${topic}-${partition}'`,
      )
      assert.deepEqual(rows, [{ rows: end, ids: end, high: end - 1, quotes: end }])
    }
  })

  test('a process that stops in the middle of a write does not hold up the new owner, and writes nothing later', async (t) => {
    const server = await temporaryDatabase(t)
    const store = await openStore(t, server.url)
    await store.migrate(deadline())
    const [symbol, topic] = [unique('S'), unique('topic')]
    const script = join(import.meta.dirname, 'timescale-zombie.ts')
    const child = spawn(process.execPath, [script, server.url, symbol, topic], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => child.kill('SIGKILL'))
    const exited = once(child, 'exit')
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    await untilRow(
      server,
      `select 1 from pg_stat_activity where datname = current_database() and query like 'begin_ select tapeline_advance%' and state = 'active'
         and wait_event = 'ClientRead'`,
    )
    const claim = await claimOne(store, topic)
    assert.deepEqual([claim.nextOffset, claim.fence], [0, 2], 'the zombie has written nothing')
    await store.write([writeOf(claim, 1, segment('trade', [trade({ symbol, id: 'owner' })]))], deadline())
    child.kill('SIGCONT')
    const { value } = await lines.next()
    assert.equal(value, 'STORE_UNAVAILABLE')
    assert.deepEqual(await exited, [0, null])
    assert.deepEqual(await storedIds(store, symbol), ['owner'])
    assert.equal((await claimOne(store, topic)).nextOffset, 1)
  })

  test('a server that stands still ends waits with TIMEOUT, and works again when it goes on', async (t) => {
    const server = await temporaryServer(t)
    const store = await openStore(t, server.url, { statementTimeoutMs: 500 })
    await store.migrate(deadline())
    const claim = await untilThere(() => claimOne(store, unique('topic')))
    await server.pause()
    await assert.rejects(store.write([writeOf(claim, 1)], deadline()), { code: 'TIMEOUT' })
    await server.resume()
    const again = await untilThere(() => claimOne(store, claim.topic))
    assert.ok(again.nextOffset <= 1, 'written or not, but known')
    await untilThere(() => store.write([writeOf(again, 1)], deadline()))
  })

  test('a server that takes no writes any more is away, and found again when it does', async (t) => {
    const server = await temporaryServer(t)
    const store = await openStore(t, server.url)
    await store.migrate(deadline())
    const claim = await claimOne(store, unique('topic'))
    const readOnly = (on: 'on' | 'off') =>
      query(server, `alter system set default_transaction_read_only = ${on}; select pg_reload_conf()`)
    await readOnly('on')
    const settled = untilRow(server, "select 1 where current_setting('default_transaction_read_only') = 'on'")
    await settled
    const refusals = async () => {
      for (;;) {
        const [next] = await store.write([writeOf(claim, 0)], deadline())
        assert.ok(next, 'writes until the server has read its new settings')
      }
    }
    await assert.rejects(refusals(), { code: 'STORE_UNAVAILABLE' })
    await assert.rejects(openTimescaleStore(settingsFor(server.url), deadline()), {
      code: 'STORE_UNAVAILABLE',
      message: /read-only/,
    })
    await query(
      server,
      'set default_transaction_read_only = off; alter system reset default_transaction_read_only; select pg_reload_conf()',
    )
    await untilThere(() => store.write([writeOf(claim, 1)], deadline()))
  })

  test('a standby is away', async (t) => {
    const server = await temporaryServer(t)
    await server.stop()
    await writeFile(join(server.data, 'standby.signal'), '')
    await server.restart()
    await assert.rejects(openTimescaleStore(settingsFor(server.url), deadline()), {
      code: 'STORE_UNAVAILABLE',
      message: /standby/,
    })
  })

  test('of several hosts it is the first that takes writes, also after a failover', async (t) => {
    const [one, two] = [await temporaryServer(t), await temporaryServer(t)]
    await one.stop()
    await writeFile(join(one.data, 'standby.signal'), '')
    await one.restart()
    const url = `postgres://postgres@127.0.0.1:1, 127.0.0.1:${one.port}, ,127.0.0.1:${two.port}/postgres`
    const store = await openStore(t, url)
    await store.migrate(deadline())
    const tables = async (server: PostgresServer) =>
      (await query(server, "select count(*) as n from pg_class where relname = 'trades'"))[0]?.['n']
    assert.deepEqual([await tables(one), await tables(two)], ['0', '1'], 'the standby is passed over')
    await query(one, 'select pg_promote()')
    await two.stop()
    await untilThere(() => store.migrate(deadline()))
    assert.equal(await tables(one), '1', 'the new primary is found')
    await two.restart()
    const findings = await inspectTimescale(settingsFor(url), deadline())
    assert.match(findings[0]?.detail ?? '', new RegExp(`127.0.0.1:${one.port}`))
  })
})
