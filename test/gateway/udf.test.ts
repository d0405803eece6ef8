import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTemporaryStore } from '../adapters/store/temporary.ts'
import { segment, sql, trade, store as write } from '../contract/store-fixtures.ts'
import { assertProblem, call } from './http.ts'
import { startPlatform } from './platform.ts'

/** 2026-03-02T00:00:00Z, in seconds. */
const DAY = Date.UTC(2026, 2, 2) / 1_000
const MINUTE = 60
/** Trades fall into these minutes: between them nothing was traded for an hour. */
const MINUTES = [0, 1, 2, 62, 63]
const TRADES = MINUTES.flatMap((minute) =>
  [0, 20, 40].map((second, i) =>
    trade({
      id: String(minute * 10 + i),
      price: 100 + minute + i / 8,
      size: 0.5,
      ts: (DAY + minute * MINUTE + second) * 1_000_000,
    }),
  ),
)

interface Bars {
  readonly s: string
  readonly nextTime?: number
  readonly t?: readonly number[]
  readonly o?: readonly number[]
  readonly c?: readonly number[]
  readonly v?: readonly number[]
}

test('the routes of TradingView: search, symbol, and the bars that SQL says, over a gap and in front of the first trade', async (t) => {
  const store = await openTemporaryStore(t)
  await write(store, segment('trade', TRADES))
  const { url } = await startPlatform(t, { store })
  const get = async (path: string) => (await call(`${url}/udf/${path}`)).json() as unknown
  const history = async (from: number, to: number, more = '', resolution = '1') =>
    (await get(
      `history?symbol=COINBASE:BTC-USD&resolution=${resolution}&from=${from}&to=${to}${more}`,
    )) as Bars

  const config = (await get('config')) as { exchanges: { value: string }[]; supports_search: boolean }
  assert.deepEqual(
    [config.supports_search, config.exchanges.map(({ value }) => value)],
    [true, ['', 'coinbase']],
  )
  const now = await call(`${url}/udf/time`)
  assert.match(now.text, /^\d{10}$/)
  assert.match(String(now.headers['content-type']), /^text\/plain/)

  assert.deepEqual(await get('search?query=btc&type=&exchange=&limit=10'), [
    {
      symbol: 'BTC-USD',
      full_name: 'COINBASE:BTC-USD',
      description: 'BTC-USD on coinbase',
      exchange: 'COINBASE',
      ticker: 'COINBASE:BTC-USD',
      type: 'crypto',
    },
  ])
  assert.deepEqual(await get('search?query=nothing&limit=10'), [])
  assert.deepEqual(await get('search?query=%22*%25'), [])
  for (const exchange of ['%00', 'no%20name', '%27'])
    assert.deepEqual(await get(`search?query=btc&exchange=${exchange}`), [], exchange)
  const symbol = (await get('symbols?symbol=coinbase:btc-usd')) as Record<string, unknown>
  assert.deepEqual(
    [symbol['ticker'], symbol['pricescale'], symbol['session'], symbol['timezone'], symbol['minmov']],
    ['COINBASE:BTC-USD', 1000, '24x7', 'Etc/UTC', 1],
  )
  assert.deepEqual(await get('symbols?symbol=coinbase:NONE-USD'), { s: 'error', errmsg: 'unknown_symbol' })
  assert.deepEqual(await get('symbols?symbol=BTC'), { s: 'error', errmsg: 'unknown_symbol' })

  const { rows } = await sql(
    store,
    `select extract(epoch from time_bucket('1 minute', ts))::int as t, first(price, ts) as o, last(price, ts) as c, sum(size) as v
     from trades group by 1 order by 1`,
  )
  const all = await history(DAY, DAY + 7_200)
  assert.equal(all.s, 'ok')
  assert.deepEqual(
    all.t?.map((time, i) => ({ t: time, o: all.o?.[i], c: all.c?.[i], v: all.v?.[i] })),
    rows,
  )
  // The end is not among them, the beginning is.
  assert.deepEqual((await history(DAY + MINUTE, DAY + 2 * MINUTE)).t, [DAY + MINUTE])
  // Within the hour without trades: the last candle before it is what the chart asks for next.
  assert.deepEqual(await history(DAY + 10 * MINUTE, DAY + 20 * MINUTE), {
    s: 'no_data',
    nextTime: DAY + 2 * MINUTE,
  })
  // With a count it looks back over the gap.
  assert.deepEqual(
    (await history(DAY + 61 * MINUTE, DAY + 63 * MINUTE, '&countback=3')).t,
    [1, 2, 62].map((minute) => DAY + minute * MINUTE),
  )
  assert.deepEqual(await history(DAY - 3_600, DAY), { s: 'no_data' })
  assert.deepEqual(await history(DAY - 3_600, DAY, '&countback=300'), { s: 'no_data' })
  assert.deepEqual((await history(DAY, DAY + 86_400, '', '1D')).t, [DAY])
  assertProblem(
    await call(`${url}/udf/history?symbol=COINBASE:BTC-USD&resolution=7&from=0&to=1`),
    'INPUT_INVALID',
  )
})
