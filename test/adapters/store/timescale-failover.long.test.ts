import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Store } from '../../../src/ports/store.ts'
import { deadline, unique } from '../../contract/store-fixtures.ts'
import { SEED } from '../../seed.ts'
import { requireServer } from '../../servers/availability.ts'
import { postgresMissing, startStandby } from '../../servers/postgres.ts'
import { query } from './psql.ts'
import { openStore, temporaryServer } from './timescale-server.ts'
import { randomOf, writeAll } from './write-all.ts'

const END = 40_000

describe('two servers, the first and its standby', requireServer(postgresMissing()), () => {
  for (const [how, isCrash] of [
    ['stops', false],
    ['is killed', true],
  ] as const)
    test(`the first ${how} in the middle of writes and the standby takes over: nothing lost, nothing twice (seed ${SEED})`, async (t) => {
      const primary = await temporaryServer(t)
      const standby = await startStandby(primary)
      t.after(() => standby.close())
      // The standby comes first: it is passed over while it takes no writes.
      const store = await openStore(
        t,
        `postgres://postgres@127.0.0.1:${standby.port},127.0.0.1:${primary.port}/postgres`,
      )
      await store.migrate(deadline())
      const topic = unique('topic')
      // A standby that is behind would else show the beginning when all is written.
      const change = Promise.withResolvers<void>()
      const untilChange: Store = {
        ...store,
        write: async (writes, signal) => {
          if (writes.some(({ newOffset }) => newOffset > END / 2)) await change.promise
          return store.write(writes, signal)
        },
      }
      const writing = writeAll(untilChange, topic, 0, END, randomOf(SEED))
      const database = { port: standby.port, database: 'postgres' }
      const storedAt = async (): Promise<number> => {
        const [row] = await query(
          database,
          `select coalesce(max(next_offset), 0) as n from tapeline_offsets where topic = '${topic}'`,
        ).catch(() => [])
        return Number(row?.['n'] ?? 0)
      }
      const patience = deadline()
      while ((await storedAt()) < END / 8) {
        patience.throwIfAborted()
        await delay(10)
      }
      change.resolve()
      if (isCrash) await primary.kill()
      else await primary.stop()
      await query(database, 'select pg_promote()')
      const failures = await writing
      t.diagnostic(`${failures} writes failed`)
      assert.ok(failures > 0, 'the change met a write')
      const [found] = await query(
        database,
        `select count(*)::int as rows, count(distinct id)::int as ids, max(id::bigint)::int as high
         from trades where symbol = '${topic}-0'`,
      )
      assert.deepEqual(found, { rows: END, ids: END, high: END - 1 })
    })
})
