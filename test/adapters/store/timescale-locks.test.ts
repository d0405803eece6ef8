import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspectTimescale } from '../../../src/adapters/store/timescale.ts'
import { toTapelineError } from '../../../src/errors.ts'
import { deadline } from '../../contract/store-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { postgresMissing } from '../../servers/postgres.ts'
import { query } from './psql.ts'
import { openStore, settingsFor, temporaryServer } from './timescale-server.ts'

const CHUNKS = 1_500

test(
  'a statement that takes more locks than the server has is told how many there should be',
  requireServer(postgresMissing()),
  async (t) => {
    const server = await temporaryServer(t, {
      settings: { max_connections: '20', max_locks_per_transaction: '10' },
    })
    const store = await openStore(t, server.url)
    await store.migrate(deadline())
    await query(server, 'create table many (n int) partition by list (n)')
    for (let i = 0; i < CHUNKS; i += 50)
      await query(
        server,
        Array.from(
          { length: 50 },
          (_, n) => `create table many_${i + n} partition of many for values in (${i + n})`,
        ).join(';'),
      )
    const thrown = await store
      .query('select count(*) from many', { maxRows: 1, timeoutMs: 10_000 }, deadline())
      .then(
        () => undefined,
        (error: unknown) => toTapelineError(error),
      )
    assert.equal(thrown?.code, 'SQL_TOO_LARGE')
    const advice =
      /max_locks_per_transaction of the server to (\d+) \(it is 10; the largest table has 1500 chunks\)/
    assert.match(thrown?.remedy ?? '', advice)
    const wanted = Number(advice.exec(thrown?.message ?? '')?.[1])
    assert.ok(wanted * 20 > CHUNKS * 4 && wanted <= 1024, `${wanted}`)
    const finding = (await inspectTimescale(settingsFor(server.url), deadline())).find(
      ({ check }) => check === 'store locks',
    )
    assert.equal(finding?.status, 'warn')
    assert.match(finding?.remedy ?? '', advice)

    await server.restart({ max_locks_per_transaction: String(wanted) })
    const again = await openStore(t, server.url)
    const { rows } = await again.query(
      'select count(*) as n from many',
      { maxRows: 1, timeoutMs: 10_000 },
      deadline(),
    )
    assert.deepEqual(rows, [{ n: 0 }])
  },
)
