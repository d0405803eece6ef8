import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseInterval, EMBEDDED_CHUNKS, SERVER_CHUNKS } from '../../../src/adapters/store/chunk-interval.ts'
import { Maintenance } from '../../../src/adapters/store/embedded/maintenance.ts'
import { trades } from '../../../src/adapters/store/market-queries.ts'
import { applyPolicies } from '../../../src/adapters/store/policies.ts'
import { openTemporaryEngine } from './temporary.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const ROW_BYTES = 110

test('the interval of chunks follows from the kind of store, the rate and the retention', () => {
  const perSecond = (rows: number) => (rows * ROW_BYTES) / 1000
  const cases = [
    [
      SERVER_CHUNKS,
      HOUR,
      undefined,
      undefined,
      DAY,
      'a server whose chunks were an hour long, nothing measured',
    ],
    [SERVER_CHUNKS, 7 * DAY, undefined, undefined, 7 * DAY, 'nothing measured: it stays'],
    [SERVER_CHUNKS, DAY, 2, undefined, 7 * DAY, 'a quiet market'],
    [SERVER_CHUNKS, 7 * DAY, 500, undefined, DAY, 'a busy one'],
    [SERVER_CHUNKS, DAY, 2, 7 * DAY, DAY, 'a week of retention'],
    [SERVER_CHUNKS, DAY, 2, DAY, 6 * HOUR, 'a day of retention'],
    [EMBEDDED_CHUNKS, HOUR, undefined, undefined, HOUR, 'embedded, nothing measured'],
    [EMBEDDED_CHUNKS, HOUR, 60, undefined, HOUR, 'embedded, busy'],
    [EMBEDDED_CHUNKS, HOUR, 0.5, undefined, DAY, 'embedded, quiet'],
    [EMBEDDED_CHUNKS, HOUR, 0.01, undefined, 7 * DAY, 'embedded, very quiet'],
    [EMBEDDED_CHUNKS, 7 * DAY, 0.01, HOUR, HOUR, 'embedded, an hour of retention'],
  ] as const
  for (const [choice, current, rate, retention, expected, about] of cases) {
    const bytesPerMs = rate === undefined ? undefined : perSecond(rate)
    assert.equal(chooseInterval(choice, { current, bytesPerMs }, retention), expected, about)
  }
})

const INTERVALS = `
  select coalesce(c.view_name, d.hypertable_name) as name, extract(epoch from d.time_interval)::bigint / 3600 as hours
  from timescaledb_information.dimensions d left join timescaledb_information.continuous_aggregates c
    on c.materialization_hypertable_name = d.hypertable_name
  where coalesce(c.view_name, d.hypertable_name) in ('trades', 'quotes', 'trade_candles_1m', 'trade_candles_1d') order by 1`

test('a folder with chunks of an hour goes on with longer ones, and expires in steps', async (t) => {
  const engine = await openTemporaryEngine(t)
  const policies = { columnstoreAfterMs: undefined, retentionMs: undefined, jobs: 'server' } as const
  await applyPolicies(engine, { ...policies, chunkIntervalMs: HOUR }, true)
  const start = Math.floor(Date.now() / HOUR) * HOUR - 100 * HOUR
  const fill = (from: number, to: number) =>
    engine.execute(`
      insert into trades select 'coinbase', 'S', i::text, 'buy', 1, 1, to_timestamp(${start / 1000} + i * 3600), now()
      from generate_series(${from}, ${to - 1}) i`)
  await fill(0, 96)
  await applyPolicies(engine, { ...policies, chunkIntervalMs: EMBEDDED_CHUNKS }, true)
  assert.deepEqual((await engine.rows(INTERVALS)).rows, [
    ['quotes', '1'],
    ['trade_candles_1d', '87600'],
    ['trade_candles_1m', '168'],
    ['trades', '168'],
  ])
  await fill(96, 100)
  const chunks = async () =>
    Number((await engine.rows(`select count(*) from show_chunks('trades')`)).rows[0]?.[0])
  assert.ok((await chunks()) < 100, `${await chunks()} chunks`)
  const found = await trades(engine, { symbol: 'S', limit: 1000 })
  assert.deepEqual(
    found.map(({ id }) => Number(id)),
    Array.from({ length: 100 }, (_, i) => i),
  )

  const maintenance = new Maintenance(engine)
  maintenance.begin({ ...policies, chunkIntervalMs: HOUR, retentionMs: 20 * HOUR })
  const did: string[] = []
  for (let i = 0; i < 12; i++) {
    const step = (await maintenance.step('idle')).did
    if (step?.startsWith('retention')) did.push(step)
  }
  assert.equal(did.length, 2, `no more than 64 chunks at a time: ${did}`)
  assert.equal((await trades(engine, { symbol: 'S', limit: 1000 }))[0]?.id, '80')
})
