import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Engine, openEngine } from '../../../src/adapters/store/embedded/engine.ts'
import { candles, trades } from '../../../src/adapters/store/market-queries.ts'
import { AGGREGATES } from '../../../src/adapters/store/policies.ts'
import type { SqlSession } from '../../../src/adapters/store/session.ts'
import { MOST_CHUNKS } from '../../../src/adapters/store/time-windows.ts'
import { seededRandom } from '../../../src/simulator/random.ts'
import { EFFORT } from '../../effort.ts'
import { SEED } from '../../seed.ts'
import { makeTemporaryStore } from '../../store-template.ts'
import { sharedProgram } from './temporary.ts'

/** Chunks of an hour with trades, hours apart: a busy market, and one that trades now and then. */
const HOURS = 90
const START = Date.UTC(2016, 0, 1) * 1000
const HOUR = 3_600_000_000

let engine: Engine
let remove: () => Promise<void>

before(async () => {
  const made = await makeTemporaryStore()
  remove = made.remove
  engine = await openEngine(await sharedProgram(), join(made.folder, 'pg'), false)
  await engine.execute(`
    insert into trades
    select case when i % 3 = 0 then 'kraken' else 'coinbase' end, case when i % 40 = 0 then 'QUIET' else 'BUSY' end, i::text,
      'buy', i % 100, 1, timestamptz '2016-01-01 00:00:00+00' + (i / 4) * interval '7 hours' + (i % 4) * interval '13 minutes', now()
    from generate_series(0, ${HOURS * 4 - 1}) i`)
})
after(async () => {
  await engine.close()
  await remove()
})

/** The session, and the most chunks that one statement of it is planned over. */
function watched(): {
  readonly session: SqlSession
  readonly most: () => number
  readonly statements: () => number
} {
  let most = 0
  let statements = 0
  const session: SqlSession = {
    rows: async (sql, parameters) => {
      statements++
      if (/ from (trades|candles_)/.test(sql)) {
        const { rows } = await engine.rows(`explain ${sql}`, parameters)
        const chunks = new Set(rows.flatMap(([line]) => line?.match(/_hyper_\d+_\d+_chunk\b/g) ?? []))
        most = Math.max(most, chunks.size)
      }
      return engine.rows(sql, parameters)
    },
    firstRows: (sql, limits) => engine.firstRows(sql, limits),
    execute: (sql) => engine.execute(sql),
    rollback: () => engine.rollback(),
    transaction: (steps) => engine.transaction(steps),
  }
  return { session, most: () => most, statements: () => statements }
}

const INTERVALS = ['1m', '5m', '15m', '1h', '4h', '1d'] as const

/** Asks at random, and compares with what one statement over everything says. */
async function compare(times: number): Promise<void> {
  const random = seededRandom(String(SEED))
  for (let i = 0; i < times; i++) {
    const symbol = random() < 0.4 ? 'QUIET' : 'BUSY'
    const exchange = random() < 0.5 ? 'kraken' : undefined
    const from = random() < 0.5 ? START + Math.floor(random() * HOURS * 7) * HOUR : undefined
    const to = random() < 0.5 ? START + Math.floor(random() * HOURS * 7 * 60) * (HOUR / 60) : undefined
    const limit = [1, 5, 50, 2000][Math.floor(random() * 4)] ?? 1
    const isForward = random() < 0.4
    const market = {
      ...{ symbol, limit, ...(exchange && { exchange }), ...(from && { from }), ...(to && { to }) },
      ...(isForward && { order: 'asc' as const }),
    }
    const order = isForward ? 'asc' : 'desc'
    const inOrder = <T>(rows: T[]): T[] => (isForward ? rows : rows.reverse())
    const where = (time: string) =>
      [
        `symbol = '${symbol}'`,
        ...(exchange ? [`exchange = '${exchange}'`] : []),
        ...(from ? [`${time} >= to_timestamp(${from / 1e6})`] : []),
        ...(to ? [`${time} <= to_timestamp(${to / 1e6})`] : []),
      ].join(' and ')
    const about = JSON.stringify(market)
    const { session, most } = watched()
    const { rows } = await engine.rows(
      `select id from trades where ${where('ts')} order by ts ${order} limit ${limit}`,
    )
    const found = await trades(session, market)
    assert.deepEqual(inOrder(found.map(({ id }) => id)), rows.flat(), about)
    const interval = INTERVALS[i % INTERVALS.length] ?? '1m'
    const computed = await engine.rows(
      `select extract(epoch from bucket)::bigint * 1000, exchange, trades, open, close from candles_${interval}
       where ${where('bucket')} order by bucket ${order}, exchange ${order} limit ${limit}`,
    )
    const read = await candles(session, { ...market, interval, origin: 'trades' })
    assert.deepEqual(
      inOrder(
        read.map((each) =>
          [Date.parse(each.ts), each.exchange, each.trades, each.open, each.close].map(String),
        ),
      ),
      computed.rows,
      `${interval} ${about}`,
    )
    assert.ok(most() <= MOST_CHUNKS + 16, `a statement is planned over ${most()} chunks: ${about}`)
  }
}

test(`market queries (seed ${SEED}) read a few chunks a statement, and find what one statement over everything would`, async () => {
  await compare(6 * EFFORT)
})

test('so do they once the candles are materialised, halfway and wholly', async () => {
  const half = `timestamptz '2016-01-01 00:00:00+00' + interval '${Math.floor((HOURS * 7) / 2)} hours'`
  for (const until of [half, "timestamptz '2017-01-01 00:00:00+00'"]) {
    for (const { view } of AGGREGATES)
      await engine.execute(
        `call refresh_continuous_aggregate('${view}', timestamptz '2015-01-01 00:00:00+00', ${until})`,
      )
    await compare(3 * EFFORT)
  }
})

test('a market that nobody has, or that has been quiet for long, is told from the candles of an hour', async () => {
  for (const market of [{ symbol: 'NONE' }, { symbol: 'ENDED' }, { symbol: 'BUSY', exchange: 'nobody' }]) {
    for (const order of ['asc', 'desc'] as const) {
      const { session, statements } = watched()
      assert.deepEqual(await trades(session, { ...market, limit: 10, order }), [])
      const asked = statements()
      assert.ok(asked <= 8, `${asked} statements for the trades of ${JSON.stringify(market)}`)
    }
  }
  await engine.execute(`
    insert into trades values ('kraken', 'ENDED', 'late', 'buy', 1, 1, timestamptz '2016-01-02 00:10:00+00', now())`)
  const { session } = watched()
  const late = async () => (await trades(session, { symbol: 'ENDED', limit: 10 })).map(({ id }) => id)
  assert.deepEqual(await late(), ['late'], 'a trade that came after its hour was computed')
  for (const { view } of AGGREGATES)
    await engine.execute(
      `call refresh_continuous_aggregate('${view}', null, timestamptz '2017-01-01 00:00:00+00')`,
    )
  for (const order of ['asc', 'desc'] as const)
    assert.equal((await trades(session, { symbol: 'ENDED', limit: 10, order })).length, 1, 'and once it is')
})
