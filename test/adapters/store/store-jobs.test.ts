import assert from 'node:assert/strict'
import { test } from 'node:test'
import { candles, trades } from '../../../src/adapters/store/market-queries.ts'
import { PlatformJobs } from '../../../src/adapters/store/platform-jobs.ts'
import { applyPolicies } from '../../../src/adapters/store/policies.ts'
import { records } from '../../../src/adapters/store/session.ts'
import { serverJobs } from '../../../src/adapters/store/timescale/server-jobs.ts'
import { openTemporaryEngine } from './temporary.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const NOW = Date.UTC(2026, 5, 10, 12)
const POLICIES = { chunkIntervalMs: DAY, columnstoreAfterMs: DAY, retentionMs: 50 * DAY } as const

test('jobs of the platform refresh, compress and remove, and no job is left on the server', async (t) => {
  const engine = await openTemporaryEngine(t)
  const count = async (sql: string) => Number((await engine.rows(`select count(*) from ${sql}`)).rows[0]?.[0])
  const jobs = "timescaledb_information.jobs where hypertable_schema = 'public'"
  await applyPolicies(engine, { ...POLICIES, jobs: 'server' }, true)
  assert.equal(await count(jobs), 12)
  await applyPolicies(engine, { ...POLICIES, jobs: 'platform' }, true)
  assert.equal(await count(jobs), 0)

  await engine.execute(`
    insert into trades select 'coinbase', 'S', i::text, 'buy', i, 1, to_timestamp(${NOW / 1000} - i * 86400), now()
    from generate_series(0, 69) i`)
  // Candles of what retention removes are there before it does.
  const early = new PlatformJobs({ ...POLICIES, retentionMs: undefined, jobs: 'platform' }, () => NOW)
  assert.deepEqual(
    (await early.tend(engine)).map(({ failure }) => failure),
    [undefined, undefined],
  )
  const platform = new PlatformJobs({ ...POLICIES, jobs: 'platform' }, () => NOW)
  const done = await platform.tend(engine)
  assert.deepEqual(
    done.map(({ name, failure }) => [name, failure]),
    ['refresh of candles', 'compression', 'retention'].map((name) => [name, undefined]),
  )
  assert.equal((await trades(engine, { symbol: 'S', limit: 100 })).length, 51)
  const daily = await candles(engine, { symbol: 'S', interval: '1d', origin: 'trades', limit: 100 })
  assert.equal(daily.length, 70, 'candles stay')
  assert.ok(
    (await count("timescaledb_information.chunks where hypertable_name = 'trades' and is_compressed")) >= 47,
  )

  // A trade that comes late, of a minute that has been refreshed and of a chunk that is compressed.
  await engine.execute(
    `insert into trades values ('coinbase', 'S', 'late', 'buy', 1000, 1, to_timestamp(${NOW / 1000} - 10 * 86400), now())`,
  )
  const later = new PlatformJobs({ ...POLICIES, jobs: 'platform' }, () => NOW + DAY)
  await later.tend(engine)
  const [late] = await candles(engine, {
    symbol: 'S',
    interval: '1d',
    origin: 'trades',
    to: (NOW - 10 * DAY) * 1000,
    limit: 1,
  })
  assert.deepEqual([late?.trades, late?.high], [2, 1000])
})

test('work of the platform that the database refuses is told, and the rest goes on', async (t) => {
  const engine = await openTemporaryEngine(t)
  await engine.execute(`
    insert into trades values ('coinbase', 'S', '1', 'buy', 1, 1, to_timestamp(${NOW / 1000} - 10 * 86400), now());
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;`)
  const [row] = records(
    await engine.rows(`select format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) as name
      from timescaledb_information.continuous_aggregates where view_name = 'trade_candles_1m'`),
  )
  await engine.execute(
    `create trigger refuse before insert on ${row?.['name']} for each row execute function refuse()`,
  )
  const platform = new PlatformJobs({ ...POLICIES, retentionMs: undefined, jobs: 'platform' }, () => NOW)
  const [refresh, compression] = await platform.tend(engine)
  assert.match(refresh?.failure ?? '', /refused \(P0001\)/)
  assert.deepEqual(compression, { name: 'compression', failure: undefined })
})

test('a job of the server that failed is told with its own message', async (t) => {
  const engine = await openTemporaryEngine(t)
  await applyPolicies(engine, { ...POLICIES, jobs: 'server' }, true)
  assert.deepEqual(
    (await serverJobs(engine)).filter(({ failure }) => failure !== undefined),
    [],
  )
  // What the scheduler of a server would write down; nothing runs jobs in WebAssembly.
  await engine.execute(`
    insert into _timescaledb_internal.bgw_job_stat
    select id, now() - interval '1 min', now(), now() + interval '1 min', '-infinity', false, 3, '1 s', '1 s', 0, 3, 0, 3, 0
    from _timescaledb_config.bgw_job where proc_name = 'policy_retention';
    insert into _timescaledb_internal.bgw_job_stat_history (job_id, pid, execution_start, execution_finish, succeeded, data)
    select id, 1, now() - interval '1 min', now(), false,
      jsonb_build_object('job', jsonb_build_object('owner', current_user, 'proc_name', proc_name, 'proc_schema', proc_schema),
        'error_data', jsonb_build_object('sqlerrcode', '0A000', 'message', 'no such thing'))
    from _timescaledb_config.bgw_job where proc_name = 'policy_retention'`)
  const failed = (await serverJobs(engine)).filter(({ failure }) => failure !== undefined)
  assert.deepEqual(
    failed.map(({ name, failure }) => [name, failure]).sort(),
    ['books', 'quotes', 'trades'].map((table) => [`policy_retention on ${table}`, 'no such thing (0A000)']),
  )
})
