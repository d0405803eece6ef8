import assert from 'node:assert/strict'
import { test } from 'node:test'
import { claimOne, deadline, segment, sql, trade, unique, writeOf } from '../../contract/store-fixtures.ts'
import { openTemporaryStore } from './temporary.ts'

const DAY = 86_400_000_000
const START = Date.UTC(2016, 0, 4) * 1000

test('few trades of years lie in long chunks, and what comes now in short ones', async (t) => {
  const store = await openTemporaryStore(t)
  const write = async (times: readonly number[], span?: { readonly from: number; readonly to: number }) => {
    const trades = times.map((ts, i) => trade({ id: String(i), ts }))
    const part = writeOf(await claimOne(store, unique('topic')), 1, segment('trade', trades))
    await store.write([{ ...part, ...(span && { times: span }) }], deadline())
  }
  const lengths = async (): Promise<unknown[]> => {
    const found = await sql(
      store,
      `select distinct extract(epoch from range_end - range_start)::int / 3600 as hours
       from timescaledb_information.chunks where hypertable_name = 'trades' order by 1`,
    )
    return found.rows.map(({ hours }) => hours)
  }
  const days = Array.from({ length: 100 }, (_, i) => START + i * DAY)
  await write(days, { from: START, to: START + 100 * DAY })
  assert.deepEqual(await lengths(), [672])
  const { rows } = await sql(
    store,
    "select count(*) as chunks from timescaledb_information.chunks where hypertable_name = 'trades'",
  )
  assert.ok(Number(rows[0]?.['chunks']) <= 5, JSON.stringify(rows))
  const now = Date.now() * 1000
  await write([now])
  await write([now - 30 * DAY, now - DAY], { from: now - 30 * DAY, to: now })
  assert.deepEqual(await lengths(), [1, 672], 'chunks that reach into the present stay short')
  assert.equal((await store.trades({ symbol: 'BTC-USD', limit: 1_000 }, deadline())).length, 103)
})
