import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Interval } from '../../src/domain/events.ts'
import type { ErrorCode } from '../../src/errors.ts'
import type { Store } from '../../src/ports/store.ts'
import { SEED } from '../seed.ts'
import { deadline, MIDNIGHT, segment, sql, store as storeRows, trade, unique } from './store-fixtures.ts'
import { compareCandles } from './stream-candles.ts'

/** The market queries and the way in for SQL. */
export function describeQueries(store: () => Store): void {
  test('trades: the newest that match, oldest first, both ends included', async () => {
    const symbol = unique('S')
    const rows = Array.from({ length: 10 }, (_, i) =>
      trade({ symbol, id: String(i), ts: MIDNIGHT + i, exchange: i % 2 === 0 ? 'even' : 'odd' }),
    )
    await storeRows(store(), segment('trade', [...rows].reverse()))
    const ids = async (query: object) =>
      (await store().trades({ symbol, limit: 100, ...query }, deadline())).map(({ id }) => Number(id))
    assert.deepEqual(await ids({}), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert.deepEqual(await ids({ limit: 3 }), [7, 8, 9])
    assert.deepEqual(await ids({ from: MIDNIGHT + 3, to: MIDNIGHT + 6 }), [3, 4, 5, 6])
    assert.deepEqual(await ids({ exchange: 'odd', to: MIDNIGHT + 8, limit: 2 }), [5, 7])
    assert.deepEqual(await ids({ symbol: unique('none') }), [])
    assert.deepEqual(await ids({ symbol: "' or true --" }), [])
  })

  test('markets: first and last time and the number of trades, of symbols and exchanges', async () => {
    const symbol = unique('S_%')
    const rows = (exchange: string, times: readonly number[]) =>
      times.map((time, i) => trade({ symbol, exchange, id: String(i), ts: MIDNIGHT + time }))
    const day = 86_400_000_000
    await storeRows(
      store(),
      segment('trade', [...rows('kraken', [5, 7, 40 * day + 1]), ...rows('coinbase', [3])]),
      segment('trade', [trade({ symbol: symbol.replace('_', 'x'), ts: MIDNIGHT })]),
    )
    const [coinbase, kraken] = [
      {
        exchange: 'coinbase',
        symbol,
        first: '2100-01-01T00:00:00.000003Z',
        last: '2100-01-01T00:00:00.000003Z',
        trades: 1,
        listing: null,
      },
      {
        exchange: 'kraken',
        symbol,
        first: '2100-01-01T00:00:00.000005Z',
        last: '2100-02-10T00:00:00.000001Z',
        trades: 3,
        listing: null,
      },
    ]
    const read = (query: object) => store().markets({ limit: 10, ...query }, deadline())
    assert.deepEqual(await read({ symbols: symbol }), [coinbase, kraken])
    assert.deepEqual(await read({ symbols: `${symbol.slice(0, -1)}*`, exchange: 'kraken' }), [kraken])
    assert.deepEqual(await read({ symbols: symbol, limit: 1 }), [coinbase])
    assert.deepEqual(await read({ symbols: symbol, limit: 1, after: coinbase }), [kraken])
    assert.deepEqual(await read({ symbols: symbol, after: kraken }), [])
    assert.deepEqual(await read({ symbols: unique('none') }), [])
  })

  test('markets: what an exchange lists stands beside what is stored, and the last word counts', async () => {
    const [symbol, other] = [unique('BTC'), unique('NEW')].map((name) => name.toUpperCase())
    assert.ok(symbol !== undefined && other !== undefined)
    const listed = { exchange: 'kraken', name: `X%${symbol}`, base: 'BTC', quote: 'USD' } as const
    const trading = { ...listed, symbol, tick: '0.10', status: 'trading' as const, ts: MIDNIGHT + 1 }
    const gone = {
      ...listed,
      name: 'gone',
      symbol: other,
      lot: '1',
      status: 'delisted' as const,
      ts: MIDNIGHT + 2,
    }
    await storeRows(
      store(),
      segment('trade', [trade({ symbol, exchange: 'kraken', ts: MIDNIGHT })]),
      segment('instrument', [
        { ...trading, tick: '1' },
        { ...gone, name: 'before', ts: MIDNIGHT + 3 },
      ]),
    )
    await storeRows(
      store(),
      segment('instrument', [{ ...trading, status: 'halted' }, trading]),
      segment('instrument', [gone], true),
    )
    const common = { exchange: 'kraken', symbol, trades: 1 }
    const time = '2100-01-01T00:00:00.000000Z'
    const names = { base: 'BTC', quote: 'USD' }
    const stored = {
      ...{ ...common, first: time, last: time },
      listing: {
        ...{ ...names, name: `X%${symbol}`, tick: '0.10', lot: null },
        ...{ status: 'trading', since: '2100-01-01T00:00:00.000001Z' },
      },
    }
    const unread = {
      ...{ exchange: 'kraken', symbol: other, first: null, last: null, trades: 0 },
      listing: {
        ...{ ...names, name: 'gone', tick: null, lot: '1' },
        ...{ status: 'delisted', since: '2100-01-01T00:00:00.000002Z' },
      },
    }
    const read = (query: object) => store().markets({ limit: 10, ...query }, deadline())
    assert.deepEqual(await read({ symbols: symbol }), [stored])
    assert.deepEqual(await read({ symbols: other }), [unread])
    assert.deepEqual(await read({ symbols: other, stored: true }), [])
    assert.deepEqual(await read({ search: `x%${symbol.slice(0, 12).toLowerCase()}` }), [stored])
    assert.deepEqual(await read({ search: `${symbol}*`, stored: false }), [])
    assert.deepEqual(await read({ search: other, stored: false }), [unread])
  })

  test('trades of one time are in the order of their ids by value, and of their arrival where ids are no numbers', async () => {
    const recvTs = (n: number) => MIDNIGHT + n
    const big = ['9007199254740992', '9007199254740993', '123456789012345678901', '123456789012345678910']
    const orders: readonly (readonly [ids: readonly string[], expected: readonly string[]])[] = [
      [
        ['11', '8', '10', '9'],
        ['8', '9', '10', '11'],
      ],
      [
        ['100', '0099', '98'],
        ['98', '0099', '100'],
      ],
      [[...big].reverse(), big],
      [
        ['z', 'b', 'a'],
        ['z', 'b', 'a'],
      ],
      [
        ['b', '10', 'a', '9'],
        ['9', '10', 'b', 'a'],
      ],
    ]
    for (const [ids, expected] of orders) {
      const symbol = unique('S')
      const rows = ids.map((id, i) =>
        trade({ symbol, id, recvTs: recvTs(i), price: 1 + expected.indexOf(id) }),
      )
      await storeRows(store(), segment('trade', rows))
      const read = async (limit: number) =>
        (await store().trades({ symbol, limit }, deadline())).map(({ id }) => id)
      assert.deepEqual(await read(100), expected)
      assert.deepEqual(await read(2), expected.slice(-2), 'a page has the latest')
      for (const interval of ['1m', '4h'] as const) {
        const [candle] = await store().candles({ symbol, interval, origin: 'trades', limit: 1 }, deadline())
        assert.deepEqual([candle?.open, candle?.close], [1, expected.length], `${interval} of ${expected}`)
      }
    }
  })

  test('candles of trades are there at once, each interval from the same trades', async () => {
    const symbol = unique('S')
    const minute = 60_000_000
    const rows = [
      { id: '1', ts: MIDNIGHT, price: 10 },
      { id: '2', ts: MIDNIGHT + 1, price: 30 },
      { id: '4', ts: MIDNIGHT + minute - 1, price: 25, size: 2.5 },
      { id: '3', ts: MIDNIGHT + minute - 1, price: 5 },
      { id: '5', ts: MIDNIGHT + 6 * minute, price: 7 },
    ].map((changes) => trade({ symbol, ...changes }))
    await storeRows(store(), segment('trade', rows))
    const read = async (interval: Interval, query = {}) =>
      store().candles({ symbol, interval, origin: 'trades', limit: 10, ...query }, deadline())
    const first = {
      exchange: 'coinbase',
      symbol,
      open: 10,
      high: 30,
      low: 5,
      close: 25,
      volume: 5.5,
      trades: 4,
      ts: '2100-01-01T00:00:00.000000Z',
      origin: 'trades',
    }
    const second = { ...first, open: 7, high: 7, low: 7, close: 7, volume: 1, trades: 1 }
    assert.deepEqual(await read('1m'), [
      { ...first, interval: '1m' },
      { ...second, interval: '1m', ts: '2100-01-01T00:06:00.000000Z' },
    ])
    assert.deepEqual(await read('5m'), [
      { ...first, interval: '5m' },
      { ...second, interval: '5m', ts: '2100-01-01T00:05:00.000000Z' },
    ])
    const whole = { ...first, close: 7, volume: 6.5, trades: 5 }
    for (const interval of ['15m', '1h', '4h', '1d'] as const)
      assert.deepEqual(await read(interval), [{ ...whole, interval }])
    assert.deepEqual(await read('1m', { limit: 1 }), (await read('1m')).slice(1))
    assert.deepEqual(await read('1m', { to: MIDNIGHT }), (await read('1m')).slice(0, 1))
    assert.deepEqual(await read('1m', { exchange: 'kraken' }), [])
  })

  test(`candles of a stream are those of its trades in the store, but for what came too late (seed ${SEED})`, () =>
    compareCandles(
      {
        write: (trades) => storeRows(store(), segment('trade', trades)),
        // Nothing of these times has been materialised.
        refresh: async () => {},
        json: async (statement) => (await sql(store(), statement)).rows[0]?.['candles'],
        candles: (symbol) =>
          store().candles({ symbol, interval: '1m', origin: 'trades', limit: 1_000 }, deadline()),
      },
      MIDNIGHT,
    ))

  test('a query returns what JSON can carry, and loses no digit', async () => {
    const { columns, rows } = await sql(
      store(),
      `select timestamptz '2021-04-17 18:43:37.089723+02' as micros, timestamptz '2021-04-17 00:00:00+00' as whole,
         timestamp '2021-04-17 01:02:03.5' as local, date '2021-04-17' as day, timestamptz 'infinity' as never,
         9007199254740991 as safe, 9007199254740993 as large, 7::int as small, true as yes, null as nothing,
         1.50::numeric as exact, 12345678901234567890.5::numeric as inexact, 0.1::float8 as double,
         'nan'::float8 as nan, '{"a":[1,null]}'::jsonb as json, 'null'::json as json_null, '\\xdeadbeef'::bytea as bytes,
         array[1, null, 3] as numbers, array['a,b', 'say "x"', null, '\\', ''] as texts, '{}'::text[] as none,
         array[array[1.5, 2], array[3, 4]]::float8[] as nested,
         array[timestamptz '2021-04-17 00:00:00+00'] as times, interval '1 day 02:00' as span, 1 as a, 2 as a`,
    )
    assert.deepEqual(rows, [
      {
        micros: '2021-04-17T16:43:37.089723Z',
        whole: '2021-04-17T00:00:00.000000Z',
        local: '2021-04-17T01:02:03.500000',
        day: '2021-04-17',
        never: 'infinity',
        safe: 9007199254740991,
        large: '9007199254740993',
        small: 7,
        yes: true,
        nothing: null,
        exact: 1.5,
        inexact: '12345678901234567890.5',
        double: 0.1,
        nan: 'NaN',
        json: { a: [1, null] },
        json_null: null,
        bytes: '\\xdeadbeef',
        numbers: [1, null, 3],
        texts: ['a,b', 'say "x"', null, '\\', ''],
        none: [],
        nested: [
          [1.5, 2],
          [3, 4],
        ],
        times: ['2021-04-17T00:00:00.000000Z'],
        span: '1 day 02:00:00',
        a: 1,
        a_2: 2,
      },
    ])
    assert.deepEqual(columns, Object.keys(rows[0] ?? {}))
    assert.deepEqual(await sql(store(), 'select 1 as a where false'), { columns: ['a'], rows: [] })
  })

  test('statements that read are taken in every form', async () => {
    const taken = [
      'select 1',
      '  -- a comment\n /* another */ (select 1);',
      'with a as (select 1) select * from a',
      'values (1), (2)',
      'table tapeline_offsets limit 0',
      'show timezone',
      'explain select 1',
      'explain (analyze, costs off) select 1',
      'explain analyze verbose values (1)',
      "select 'delete from trades; drop table trades' as text",
      "select count(*) from trades where ts > now() - interval '1 minute' and random() < 2",
    ]
    for (const statement of taken) await assert.doesNotReject(sql(store(), statement), statement)
  })

  test('no statement changes anything, and each refusal has its code', async () => {
    const symbol = unique('S')
    await storeRows(store(), segment('trade', [trade({ symbol })]))
    const state = () =>
      sql(
        store(),
        `select (select count(*) from pg_class where relpersistence <> 't') as relations,
           (select count(*) from trades where symbol = '${symbol}') as trades,
           current_setting('timezone') as zone, current_setting('standard_conforming_strings') as strings`,
      )
    const before = await state()
    for (const [statement, code] of REFUSED) {
      await assert.rejects(sql(store(), statement), { code }, statement)
    }
    assert.deepEqual(await state(), before)
  })

  test('an error names the place in the statement as it was sent', async () => {
    await assert.rejects(sql(store(), 'select price, nope from trades'), {
      code: 'SQL_INVALID',
      message: /"nope" does not exist, at character 15/,
    })
  })

  test('an answer with more rows than asked for is refused, and one with as many is not', async () => {
    const few = await sql(store(), 'select * from generate_series(1, 3)', 3)
    assert.equal(few.rows.length, 3)
    await assert.rejects(sql(store(), 'select * from generate_series(1, 4)', 3), { code: 'SQL_TOO_LARGE' })
    const many = await sql(store(), 'select * from generate_series(1, 2500)', 2500)
    assert.equal(many.rows.length, 2500)
    await assert.rejects(sql(store(), 'select * from generate_series(1, 2501)', 2500), {
      code: 'SQL_TOO_LARGE',
    })
    const wide = "select repeat('x', 1000000) from generate_series(1, 100)"
    await assert.rejects(sql(store(), wide), { code: 'SQL_TOO_LARGE' })
  })

  test('a statement that takes too long is ended, and the store goes on', async () => {
    const symbol = unique('S')
    await storeRows(store(), segment('trade', [trade({ symbol })]))
    const endless = 'select count(*) from pg_proc a, pg_proc b, pg_proc c, pg_proc d'
    await assert.rejects(store().query(endless, { maxRows: 1, timeoutMs: 200 }, deadline()), {
      code: 'TIMEOUT',
    })
    await storeRows(store(), segment('trade', [trade({ symbol, id: '2' })]))
    const found = await store().trades({ symbol, limit: 10 }, deadline())
    assert.equal(found.length, 2)
  })

  test('an answer that no memory holds is refused, and the store goes on', async () => {
    for (const statement of [
      "select repeat('x', 80000000)",
      "select repeat('x', 60000000) from generate_series(1, 1000)",
      "select g, repeat('y', 100000) from generate_series(1, 100000) g",
      "select case when g < 5000 then '' else repeat('z', 30000000) end from generate_series(1, 10000) g",
    ])
      await assertRefusedAsTooLarge(store(), statement)
  })

  test('a call whose signal has gone off is not made', async () => {
    const gone = AbortSignal.abort()
    await assert.rejects(store().trades({ symbol: 'S', limit: 1 }, gone), { name: 'AbortError' })
    await assert.rejects(store().query('select 1', { maxRows: 1, timeoutMs: 100 }, gone), {
      name: 'AbortError',
    })
    await assert.rejects(store().claim([], gone), { name: 'AbortError' })
  })
}

/** The statement's answer is refused, and the next statement has its own. */
export async function assertRefusedAsTooLarge(store: Store, statement: string): Promise<void> {
  // A busy machine needs its time to make it.
  const limits = { maxRows: 10_000, timeoutMs: 60_000 }
  const asked = store.query(statement, limits, AbortSignal.timeout(90_000))
  await assert.rejects(asked, { code: 'SQL_TOO_LARGE' }, statement)
  const { rows } = await store.query('select 1 as one', { maxRows: 1, timeoutMs: 10_000 }, deadline())
  assert.deepEqual(rows, [{ one: 1 }], `after ${statement}`)
}

const REFUSED: readonly (readonly [statement: string, code: ErrorCode])[] = [
  ['', 'SQL_INVALID'],
  ['-- nothing', 'SQL_INVALID'],
  ['selec 1', 'SQL_READ_ONLY'],
  ['select from where', 'SQL_INVALID'],
  ['select * from nowhere', 'SQL_INVALID'],
  ["select 'open", 'SQL_INVALID'],
  ['select 1 \0', 'SQL_INVALID'],
  ['select 1 / 0', 'SQL_INVALID'],
  ['select $1::int', 'SQL_INVALID'],
  ['select 1; select 2', 'SQL_INVALID'],
  ['select 1; drop table trades', 'SQL_INVALID'],
  ['insert into trades select * from trades', 'SQL_READ_ONLY'],
  ['update trades set price = 0', 'SQL_READ_ONLY'],
  ['delete from trades', 'SQL_READ_ONLY'],
  ['truncate trades', 'SQL_READ_ONLY'],
  ['drop table trades', 'SQL_READ_ONLY'],
  ['create table made (a int)', 'SQL_READ_ONLY'],
  ['create temporary table made (a int)', 'SQL_READ_ONLY'],
  ['begin', 'SQL_READ_ONLY'],
  ['commit', 'SQL_READ_ONLY'],
  ["set timezone = 'Asia/Tokyo'", 'SQL_READ_ONLY'],
  ['vacuum', 'SQL_READ_ONLY'],
  ['do $$ begin delete from trades; end $$', 'SQL_READ_ONLY'],
  ["copy trades to '/tmp/trades'", 'SQL_READ_ONLY'],
  ["copy trades from program 'id'", 'SQL_READ_ONLY'],
  ['copy (select 1) to stdout', 'SQL_READ_ONLY'],
  ['call anything()', 'SQL_READ_ONLY'],
  ['prepare p as select 1', 'SQL_READ_ONLY'],
  ['lock table trades', 'SQL_READ_ONLY'],
  ['select * into made from trades', 'SQL_READ_ONLY'],
  ['select * from trades for update', 'SQL_READ_ONLY'],
  ['with gone as (delete from trades returning *) select * from gone', 'SQL_READ_ONLY'],
  ["with made as (insert into trades (id) values ('1') returning 1) select * from made", 'SQL_READ_ONLY'],
  ['explain analyze delete from trades', 'SQL_READ_ONLY'],
  ['explain (analyze) create table made as select 1', 'SQL_READ_ONLY'],
  ['explain analyze with gone as (delete from trades returning 1) select * from gone', 'SQL_READ_ONLY'],
  ["select set_config('timezone', 'Asia/Tokyo', false)", 'SQL_READ_ONLY'],
  ["select pg_catalog . SET_CONFIG /* */ ('timezone', 'Asia/Tokyo', false)", 'SQL_READ_ONLY'],
  ["select \"set_config\"('timezone', 'Asia/Tokyo', false)", 'SQL_READ_ONLY'],
  ["select U&\"set\\005fconfig\"('timezone', 'Asia/Tokyo', false)", 'SQL_READ_ONLY'],
  [
    "select query_to_xml('select set_' || 'config(''timezone'', ''Asia/Tokyo'', false)', true, true, '')",
    'SQL_READ_ONLY',
  ],
  ['select pg_terminate_backend(pg_backend_pid())', 'SQL_READ_ONLY'],
  ["select pg_read_file('/etc/passwd')", 'SQL_READ_ONLY'],
  ["select lo_import('/etc/passwd')", 'SQL_READ_ONLY'],
  ['select pg_advisory_lock(1)', 'SQL_READ_ONLY'],
  ['select pg_sleep(100)', 'SQL_READ_ONLY'],
  ["select tapeline_advance('[]')", 'SQL_READ_ONLY'],
]
