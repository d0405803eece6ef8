import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compressNextChunk } from '../../../src/adapters/store/columnstore.ts'
import { Maintenance } from '../../../src/adapters/store/embedded/maintenance.ts'
import { refreshNextWindow } from '../../../src/adapters/store/embedded/refresh.ts'
import { candles } from '../../../src/adapters/store/market-queries.ts'
import { openTemporaryEngine } from './temporary.ts'

const DAY = 86_400_000
const START = Date.UTC(2026, 5, 10, 12)
const POLICIES = {
  chunkIntervalMs: 3_600_000,
  columnstoreAfterMs: DAY,
  retentionMs: undefined,
  jobs: 'server' as const,
}

type Load = Parameters<Maintenance['step']>[0]

const TRADES = (from: string, rows: number, every: string) => `
  insert into trades select 'coinbase', 'S' || i % 50, i::text, 'buy', i % 100, 1,
    timestamptz '${from}' + i * interval '${every}', now()
  from generate_series(0, ${rows - 1}) i`

test('under load there are checkpoints only, each hundred thousand rows or half a minute', async (t) => {
  const engine = await openTemporaryEngine(t)
  let now = START
  const maintenance = new Maintenance(engine, () => now)
  await engine.execute(TRADES('2026-06-08 11:30:00+00', 100, '1 second'))
  maintenance.wrote(100_000)
  const did = async (load: Load) => (await maintenance.step(load)).did
  assert.equal(await did('idle'), undefined, 'nothing before the schema is up to date')
  maintenance.begin(POLICIES)
  assert.equal(await did('busy'), 'checkpoint')
  assert.equal(await did('busy'), undefined)
  maintenance.wrote(0)
  assert.equal(await did('busy'), undefined, 'a few rows wait for their time')
  now += 30_000
  assert.equal(await did('busy'), 'checkpoint')
  const light = new Set<string | undefined>()
  for (let i = 0; i < 40; i++) light.add((await did('light'))?.split(' ')[0])
  assert.deepEqual([...light].sort(), ['columnstore', 'refresh', 'vacuum', undefined])
})

test('a window of a refresh reads as many rows as it may, but at least one bucket where that is wanted', async (t) => {
  const engine = await openTemporaryEngine(t)
  await engine.execute(TRADES('2026-06-08 11:00:00+00', 36_000, '100 milliseconds'))
  const limits = { now: START, largeBuckets: false, retentionMs: undefined }
  assert.equal(await refreshNextWindow(engine, { ...limits, maxRows: 300 }), undefined)
  const window = async (maxRows: number, largeBuckets = false) => {
    const did = await refreshNextWindow(engine, { ...limits, maxRows, largeBuckets })
    const [, view, from, to] = /^refresh (\w+) (\S+) to (\S+)$/.exec(did ?? '') ?? []
    return { view, minutes: (Date.parse(to ?? '') - Date.parse(from ?? '')) / 60_000 }
  }
  assert.deepEqual(await window(300, true), { view: 'trade_candles_1m', minutes: 1 })
  const { view, minutes } = await window(6_000)
  assert.equal(view, 'trade_candles_1m')
  assert.ok(minutes >= 5 && minutes <= 20, `6,000 of 600 a minute took ${minutes} minutes`)
  assert.equal((await window(100_000)).view, 'trade_candles_1m')
  assert.equal((await window(100_000)).view, 'trade_candles_5m', 'the next wider one when it is done')
})

test('a window of a refresh makes eight chunks of candles at the most, however long those of trades are', async (t) => {
  const engine = await openTemporaryEngine(t)
  await engine.execute(`select set_chunk_time_interval('trades', interval '28 days')`)
  await engine.execute(TRADES('2025-10-01 11:00:00+00', 224, '1 day'))
  const limits = { now: START, maxRows: 100_000, largeBuckets: false, retentionMs: undefined }
  const chunksOf = async (): Promise<number> => {
    const { rows } = await engine.rows(`
      select count(*) from timescaledb_information.chunks c join timescaledb_information.continuous_aggregates a
        on a.materialization_hypertable_name = c.hypertable_name where a.view_name = 'trade_candles_1m'`)
    return Number(rows[0]?.[0])
  }
  let before = 0
  for (let steps = 1; ; steps++) {
    const did = await refreshNextWindow(engine, limits)
    if (!did?.includes('trade_candles_1m')) break
    const after = await chunksOf()
    assert.ok(after - before <= 8, `${did} made ${after - before} chunks`)
    before = after
    assert.ok(steps < 20, 'it comes to an end')
  }
  assert.equal(before, 33)
})

test('candles of trades that retention has removed stay, even where one of them comes again', async (t) => {
  const engine = await openTemporaryEngine(t)
  await engine.execute(TRADES('2026-06-08 11:00:00+00', 3_600, '1 second'))
  const limits = { now: START, maxRows: 100_000, largeBuckets: true }
  while ((await refreshNextWindow(engine, { ...limits, retentionMs: undefined })) !== undefined);
  await engine.execute(`select drop_chunks('trades', timestamptz '2026-06-09 00:00:00+00')`)
  await engine.execute(TRADES('2026-06-08 11:00:01+00', 2, '1 second'))
  while ((await refreshNextWindow(engine, { ...limits, retentionMs: DAY })) !== undefined);
  const found = await candles(engine, { symbol: 'S1', interval: '1h', origin: 'trades', limit: 10 })
  assert.deepEqual(
    found.map(({ trades }) => trades),
    [72],
  )
})

test('the oldest chunk that is small enough is compressed, and larger ones are named', async (t) => {
  const engine = await openTemporaryEngine(t)
  await engine.execute(TRADES('2026-06-08 10:00:00+00', 20_000, '100 milliseconds'))
  await engine.execute(TRADES('2026-06-08 12:00:00+00', 1_000, '100 milliseconds'))
  const before = Date.UTC(2026, 5, 9)
  const first = await compressNextChunk(engine, before, 5_000)
  assert.ok(first.compressed)
  assert.equal(first.larger.length, 1)
  const rows = first.larger[0]?.rows ?? 0
  assert.ok(rows > 15_000 && rows < 25_000, `20,000 rows are taken for ${rows}`)
  assert.equal((await compressNextChunk(engine, before, 5_000)).compressed, undefined)
  assert.ok((await compressNextChunk(engine, before, 50_000)).compressed)
  assert.equal((await compressNextChunk(engine, before, 50_000)).larger.length, 0)
  assert.deepEqual((await engine.rows('select count(*) from trades')).rows, [['21000']])
})

test('a task that fails is reported, rests, and keeps no other from its turn', async (t) => {
  const engine = await openTemporaryEngine(t)
  let now = START
  const maintenance = new Maintenance(engine, () => now)
  maintenance.begin(POLICIES)
  const found = await engine.rows(`
    select format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)
    from timescaledb_information.continuous_aggregates where view_name = 'trade_candles_1m'`)
  const materialized = found.rows[0]?.[0]
  await engine.execute(`
    insert into trades values ('coinbase', 'S', '1', 'buy', 1, 1, timestamptz '2026-06-08 11:30:00+00', now());
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;
    create trigger refuse before insert on ${materialized}
      for each row execute function refuse();`)
  const reports = []
  for (let i = 0; i < 6; i++) reports.push(await maintenance.step('idle'))
  const problems = reports.flatMap(({ problem }) => problem ?? [])
  assert.equal(problems.length, 1, 'once, although there were six steps')
  assert.match(problems[0] ?? '', /^refresh failed: refused/)
  assert.ok(reports.some(({ did }) => did?.startsWith('columnstore')))
  await engine.execute(`drop trigger refuse on ${materialized}`)
  now += 60_000
  assert.match((await maintenance.step('idle')).did ?? '', /^refresh trade_candles_1m/)
})
