import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pageOf, type RowOrder, type RowPosition } from '../../src/domain/row-cursor.ts'
import type { RowChannel, StoredRow } from '../../src/domain/stored-rows.ts'
import type { RowQuery, Store } from '../../src/ports/store.ts'
import { deadline, MIDNIGHT, quote, segment, store as storeRows, trade, unique } from './store-fixtures.ts'

const MINUTE = 60_000_000
const HOUR = 60 * MINUTE

/** Reading a market page by page, in both directions. */
export function describePages(store: () => Store): void {
  test('pages of trades give each once in both directions, also at one time and where they are alike in everything', async () => {
    const symbol = unique('S')
    const rows = Array.from({ length: 23 }, (_, i) =>
      // Far apart, some at one microsecond, and a few that nothing tells apart.
      trade({
        symbol,
        id: ['b', '10', '9', ''][i % 4] ?? '',
        ts: MIDNIGHT + Math.floor(i / 8) * 30 * HOUR,
        exchange: i % 3 === 0 ? 'kraken' : 'coinbase',
        price: 0.1 + (i % 2) * 1e-9,
      }),
    )
    await storeRows(store(), segment('trade', rows))
    await assertPages('trade', { symbol }, 23, (query) => store().trades(query, deadline()))
    await assertPages('trade', { symbol, exchange: 'kraken' }, 8, (query) =>
      store().trades(query, deadline()),
    )
    const range = { from: MIDNIGHT + 1, to: MIDNIGHT + 30 * HOUR }
    await assertPages('trade', { symbol, ...range }, 8, (query) => store().trades(query, deadline()))
  })

  test('pages of quotes do so too, where values are absent', async () => {
    const symbol = unique('S')
    const rows = Array.from({ length: 12 }, (_, i) =>
      quote({
        symbol,
        ts: MIDNIGHT + Math.floor(i / 6) * 30 * HOUR,
        ...(i % 2 === 0 && { bid: 1 + (i % 3), bidSize: 0.1 }),
        ...(i % 3 === 0 && { ask: 3, volume24h: 7.5 }),
      }),
    )
    await storeRows(store(), segment('quote', rows))
    await assertPages('quote', { symbol }, 12, (query) => store().quotes(query, deadline()))
    const [first] = await store().quotes({ symbol, limit: 1, order: 'desc' }, deadline())
    assert.deepEqual(Object.keys(first ?? {}).slice(0, 4), ['exchange', 'symbol', 'bid', 'bidSize'])
    assert.equal(first?.ts, '2100-01-02T06:00:00.000000Z')
  })

  test('pages of candles do so too', async () => {
    const symbol = unique('S')
    const rows = Array.from({ length: 10 }, (_, i) =>
      trade({ symbol, ts: MIDNIGHT + i * 50 * MINUTE, exchange: i % 2 === 0 ? 'kraken' : 'coinbase' }),
    )
    await storeRows(
      store(),
      segment('trade', rows),
      segment('trade', [{ ...(rows[0] ?? trade()), exchange: 'x' }]),
    )
    for (const interval of ['1m', '4h'] as const)
      await assertPages('candle', { symbol }, interval === '1m' ? 11 : 5, (query) =>
        store().candles({ ...query, interval, origin: 'trades' }, deadline()),
      )
  })

  test('rows that arrive between two pages move none of the others', async () => {
    const symbol = unique('S')
    const at = (n: number) => trade({ symbol, id: String(n), ts: MIDNIGHT + n })
    await storeRows(store(), segment('trade', [2, 4, 6, 8].map(at)))
    for (const [order, expected] of [
      ['asc', ['2', '4', '6', '7', '8']],
      ['desc', ['8', '7', '6', '4', '3', '2', '1']],
    ] as const) {
      const query = { symbol, order, limit: 2 }
      const first = pageOf('trade', await store().trades({ ...query, limit: 3 }, deadline()), query)
      // One before the place that was read to, one after it.
      await storeRows(store(), segment('trade', (order === 'asc' ? [1, 7] : [9, 3]).map(at)))
      assert.ok(first.next)
      const rest = await store().trades({ ...query, limit: 100, after: first.next }, deadline())
      assert.deepEqual(
        [...first.rows, ...rest].map(({ id }) => id),
        expected,
        order,
      )
    }
  })
}

/** Reads everything by pages of different sizes, and compares with one read of everything. */
async function assertPages<C extends RowChannel>(
  channel: C,
  market: Omit<RowQuery, 'limit'>,
  count: number,
  read: (query: RowQuery) => Promise<readonly StoredRow<C>[]>,
): Promise<void> {
  const whole = await read({ ...market, limit: 1000, order: 'asc' })
  assert.equal(whole.length, count)
  assert.deepEqual(await read({ ...market, limit: 1000, order: 'desc' }), whole.toReversed())
  assert.deepEqual(await read({ ...market, limit: 1000 }), whole)
  for (const order of ['asc', 'desc', undefined] as const)
    for (const limit of [1, 3, count]) {
      const rows = await readPages(channel, { ...market, limit, ...(order && { order }) }, read)
      assert.deepEqual(order === 'desc' ? rows.toReversed() : rows, whole, `${order} by ${limit}`)
    }
}

async function readPages<C extends RowChannel>(
  channel: C,
  query: RowQuery & { readonly order?: RowOrder },
  read: (query: RowQuery) => Promise<readonly StoredRow<C>[]>,
): Promise<StoredRow<C>[]> {
  const rows: StoredRow<C>[] = []
  let after: RowPosition | undefined
  do {
    const found = await read({ ...query, limit: query.limit + 1, ...(after && { after }) })
    const page = pageOf(channel, found, { ...query, after })
    if (query.order === undefined) rows.unshift(...page.rows)
    else rows.push(...page.rows)
    after = page.next
  } while (after !== undefined)
  return rows
}
