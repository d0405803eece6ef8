import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openEngine } from '../../../src/adapters/store/embedded/engine.ts'
import { type EmbeddedStoreSettings, openEmbeddedStore } from '../../../src/adapters/store/embedded.ts'
import { candles } from '../../../src/adapters/store/market-queries.ts'
import { checksum, MIGRATIONS_TABLE, migrate } from '../../../src/adapters/store/migrate.ts'
import { MIGRATIONS } from '../../../src/adapters/store/migrations/index.ts'
import { claim } from '../../../src/adapters/store/offsets.ts'
import { planWrite, write } from '../../../src/adapters/store/write.ts'
import { INTERVALS } from '../../../src/domain/events.ts'
import { deadline, MIDNIGHT, segment, sql, trade, writeOf } from '../../contract/store-fixtures.ts'
import { quietLog } from '../../quiet.ts'
import { copyDatabaseTemplate, temporaryStore } from '../../store-template.ts'
import { openTemporaryStore, sharedProgram } from './temporary.ts'

const HOUR = 3_600_000
const POLICIES = {
  chunkIntervalMs: HOUR,
  columnstoreAfterMs: HOUR,
  retentionMs: undefined,
  jobs: 'server' as const,
}

/** Opens a store, brings it up to date, asks, and closes it. */
async function ask<const Statements extends readonly string[]>(
  settings: Omit<EmbeddedStoreSettings, 'log'>,
  ...statements: Statements
) {
  const store = await openEmbeddedStore({ ...settings, log: quietLog })
  try {
    await store.migrate(deadline())
    const answers = []
    for (const statement of statements) answers.push((await sql(store, statement)).rows)
    return answers as { [K in keyof Statements]: (typeof answers)[number] }
  } finally {
    await store.close()
  }
}

const JOBS = `
  select hypertable_name as on, proc_name as does, job_id,
    coalesce(config->>'compress_after', config->>'drop_after', config->>'end_offset') as after,
    config->>'start_offset' as start
  from timescaledb_information.jobs where hypertable_schema = 'public' order by 1, 2`

test('tables are hypertables with the asked chunks, and trades have no unique index', async (t) => {
  const store = await openTemporaryStore(t)
  const dimensions = await sql(
    store,
    `select hypertable_name as name, column_name as column, extract(epoch from time_interval)::int as seconds
     from timescaledb_information.dimensions where hypertable_schema = 'public' order by 1`,
  )
  const week = 7 * 86_400
  assert.deepEqual(dimensions.rows, [
    { name: 'books', column: 'ts', seconds: 3600 },
    { name: 'candles', column: 'ts', seconds: week },
    { name: 'quotes', column: 'ts', seconds: 3600 },
    { name: 'status', column: 'ts', seconds: week },
    { name: 'trades', column: 'ts', seconds: 3600 },
  ])
  const aggregates = await sql(
    store,
    `select view_name as name, materialized_only from timescaledb_information.continuous_aggregates order by 1`,
  )
  assert.deepEqual(
    aggregates.rows,
    ['15m', '1d', '1h', '1m', '4h', '5m'].map((width) => ({
      name: `trade_candles_${width}`,
      materialized_only: false,
    })),
  )
  const compression = await sql(
    store,
    `select hypertable::text as name, segmentby, orderby from timescaledb_information.hypertable_columnstore_settings
     where segmentby is not null order by 1`,
  )
  assert.deepEqual(
    compression.rows,
    ['books', 'quotes', 'trades'].map((name) => ({ name, segmentby: 'symbol', orderby: 'ts DESC' })),
  )
  const indexes = await sql(store, "select indexdef from pg_indexes where tablename = 'trades'")
  assert.deepEqual(indexes.rows, [
    { indexdef: 'CREATE INDEX trades_symbol_ts ON public.trades USING btree (symbol, ts DESC)' },
  ])
})

test('policies follow the settings at each start, and stay where nothing has changed', async (t) => {
  const folder = await temporaryStore(t)
  const refresh = (on: string, after: string, start: string | null = null) => ({
    on,
    does: 'policy_refresh_continuous_aggregate',
    after,
    start,
  })
  const others = [
    refresh('trade_candles_15m', '01:00:00'),
    refresh('trade_candles_1d', '48:00:00'),
    refresh('trade_candles_1h', '03:00:00'),
    refresh('trade_candles_4h', '12:00:00'),
    refresh('trade_candles_5m', '00:30:00'),
  ]
  const without = (rows: Awaited<ReturnType<typeof sql>>['rows']) =>
    rows.map(({ job_id: _, ...rest }) => rest)
  const byName = (a: { on: unknown; does: unknown }, b: typeof a) =>
    `${a.on} ${a.does}`.localeCompare(`${b.on} ${b.does}`)

  const [first] = await ask({ folder }, JOBS)
  const columnstore = (on: string, after: string) => ({ on, does: 'policy_compression', after, start: null })
  assert.deepEqual(
    without(first),
    [
      ...others,
      refresh('trade_candles_1m', '00:10:00'),
      columnstore('books', '06:00:00'),
      columnstore('quotes', '06:00:00'),
      columnstore('trades', '06:00:00'),
    ].sort(byName),
  )
  assert.deepEqual(await ask({ folder }, JOBS), [first], 'the same settings leave the same jobs')

  const settings = {
    folder,
    chunkIntervalMs: HOUR / 4,
    columnstoreAfterMs: 0,
    retentionMs: 30 * 24 * HOUR,
  }
  const retention = (on: string) => ({ on, does: 'policy_retention', after: '720:00:00', start: null })
  const chunks = `select distinct extract(epoch from time_interval)::int as seconds
    from timescaledb_information.dimensions where hypertable_name in ('trades', 'quotes', 'books')`
  const [jobs, seconds] = await ask(settings, JOBS, chunks)
  assert.deepEqual(
    without(jobs),
    [
      ...others,
      refresh('trade_candles_1m', '00:10:00', '720:00:00'),
      retention('books'),
      retention('quotes'),
      retention('trades'),
    ].sort(byName),
  )
  assert.deepEqual(seconds, [{ seconds: 900 }])
  const [back] = await ask({ folder }, JOBS)
  assert.deepEqual(without(back), without(first), 'and back')
})

test('a migration with another text, or one that is not known, stops the start', async (t) => {
  const folder = await temporaryStore(t)
  const mismatch = (message: RegExp) => ({ code: 'MIGRATION_MISMATCH', message, remedy: /version/ })
  const engine = await openEngine(await sharedProgram(), join(folder, 'pg'), false)
  await engine.execute(`update tapeline_migrations set checksum = 'x' where id = 2`)
  await assert.rejects(migrate(engine, POLICIES), mismatch(/0002-hypertables/))
  const [second] = MIGRATIONS.filter(({ id }) => id === 2)
  assert.ok(second)
  await engine.execute(`update tapeline_migrations set checksum = '${checksum(second)}' where id = 2`)
  await engine.execute(`insert into tapeline_migrations (id, name, checksum) values (999, '0999-later', 'x')`)
  await engine.close()
  const store = await openEmbeddedStore({ folder, log: quietLog })
  await assert.rejects(store.migrate(deadline()), mismatch(/0999-later.*newer/))
  await store.close()
})

test('a new folder is filled, also where an earlier start was cut off; a foreign one is refused', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'tapeline-store-test-'))
  t.after(() => rm(parent, { recursive: true, force: true }))
  const folder = join(parent, 'deep', 'store')
  await assert.rejects(openEmbeddedStore({ folder, mustExist: true, log: quietLog }), {
    code: 'DATA_FOLDER_UNUSABLE',
  })
  assert.ok(!existsSync(folder), 'nothing was made')
  await mkdir(join(folder, 'pg'), { recursive: true })
  await writeFile(join(folder, 'pg', 'PG_VERSION'), '17')
  const store = await openEmbeddedStore({ folder, log: quietLog })
  const report = await store.migrate(deadline())
  await store.close()
  assert.deepEqual(report, {
    applied: MIGRATIONS.map(({ name }) => name),
    current: '0013-books-columnstore',
    missing: [],
  })
  assert.deepEqual(await ask({ folder, mustExist: true }, 'select count(*) as n from trades'), [[{ n: 0 }]])
  await writeFile(join(folder, 'engine.json'), JSON.stringify({ engine: 'another' }))
  await assert.rejects(openEmbeddedStore({ folder, log: quietLog }), {
    code: 'DATA_FOLDER_UNUSABLE',
    message: /written by another/,
  })
})

test('a database without TimescaleDB works the same on plain tables, and gets the rest once it has it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-store-test-'))
  const directory = join(folder, 'plain')
  await copyDatabaseTemplate(directory)
  let engine = await openEngine(await sharedProgram(), directory, false)
  t.after(async () => {
    await engine.close()
    await rm(folder, { recursive: true, force: true })
  })
  await engine.execute('drop extension timescaledb cascade')
  const plain = await migrate(engine, POLICIES)
  assert.deepEqual(plain.applied, [
    '0001-tables',
    '0005-reentering',
    '0006-offsets-forward',
    '0007-trade-identity',
    '0010-instruments',
    '0011-books',
  ])
  assert.equal(plain.missing.length, 1)
  assert.match(plain.missing[0] ?? '', /TimescaleDB is not installed/)
  assert.deepEqual((await migrate(engine, POLICIES)).applied, [])

  const rows = [
    trade({ id: '1', price: 3 }),
    trade({ id: '10', ts: MIDNIGHT + 1, price: 9 }),
    trade({ id: '11', ts: MIDNIGHT + 1, price: 5, size: 2 }),
    trade({ id: '12', ts: MIDNIGHT + 86_400_000_000, price: 7 }),
  ]
  const [target] = await claim(engine, [{ topic: 't', topicId: 't', partition: 0 }])
  assert.ok(target)
  await write(engine, planWrite([writeOf(target, 4, segment('trade', rows))]))
  const read = () =>
    Promise.all(
      INTERVALS.map((interval) =>
        candles(engine, { symbol: 'BTC-USD', interval, origin: 'trades', limit: 10 }),
      ),
    )
  const computed = await read()
  const [minute] = computed
  assert.deepEqual(
    minute?.map(({ open, high, low, close, volume, trades }) => [open, high, low, close, volume, trades]),
    [
      [3, 9, 3, 5, 4, 3],
      [7, 7, 7, 7, 1, 1],
    ],
  )
  await engine.close()
  engine = await openEngine(await sharedProgram(), directory, true)
  const whole = await migrate(engine, POLICIES)
  assert.deepEqual(whole.missing, [])
  const community = [
    '0002-hypertables',
    '0003-candle-aggregates',
    '0004-columnstore',
    '0008-candle-order',
    '0009-wider-candles',
    '0012-books-hypertable',
    '0013-books-columnstore',
  ]
  assert.deepEqual(whole.applied, community)
  assert.deepEqual(await read(), computed, 'the candles are the same, now from aggregates')
})

test('aggregates of a former version are replaced: candles are in order at once, and those of removed trades stay', async (t) => {
  for (const isRetained of [true, false]) {
    const folder = await mkdtemp(join(tmpdir(), 'tapeline-store-test-'))
    await copyDatabaseTemplate(join(folder, 'former'))
    const engine = await openEngine(await sharedProgram(), join(folder, 'former'), false)
    t.after(async () => {
      await engine.close()
      await rm(folder, { recursive: true, force: true })
    })
    for (const { id, sql } of MIGRATIONS) if (id <= 5) await engine.transaction([{ sql }])
    await engine.execute(`${MIGRATIONS_TABLE};
      ${MIGRATIONS.filter(({ id }) => id <= 5)
        .map(
          (each) =>
            `insert into tapeline_migrations values (${each.id}, '${each.name}', '${checksum(each)}');`,
        )
        .join('')}
      insert into trades select 'x', 'S', i::text, 'buy', i, 1, day, day
      from (values (timestamptz '2026-01-01 00:30+00'), ('2026-01-03 00:30+00'), ('2026-01-04 00:30+00')) as days(day),
        generate_series(8, 11) i`)
    for (const view of ['candles_1m', 'candles_5m', 'candles_1h', 'candles_1d'])
      await engine.execute(`call refresh_continuous_aggregate('${view}', null, null)`)
    if (isRetained) await engine.execute(`select drop_chunks('trades', timestamptz '2026-01-02 00:00+00')`)
    await migrate(engine, POLICIES)
    for (const interval of INTERVALS) {
      const found = await candles(engine, { symbol: 'S', interval, origin: 'trades', limit: 10 })
      const byOldOrder = [10, 9, 4]
      assert.deepEqual(
        found.map(({ open, close, trades }) => [open, close, trades]),
        [isRetained ? byOldOrder : [8, 11, 4], [8, 11, 4], [8, 11, 4]],
        `${interval}, ${isRetained ? 'the first day is removed' : 'every trade is there'}`,
      )
    }
    const left = await engine.rows(
      `select count(*) from timescaledb_information.continuous_aggregates where view_name like 'former%'`,
    )
    assert.deepEqual(left.rows, [[isRetained ? '4' : '0']])
    assert.deepEqual((await migrate(engine, POLICIES)).applied, [], 'and once is enough')
  }
})
