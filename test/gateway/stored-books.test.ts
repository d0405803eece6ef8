import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTemporaryStore } from '../adapters/store/temporary.ts'
import { book, segment, store as write } from '../contract/store-fixtures.ts'
import { assertProblem, call } from './http.ts'
import { startPlatform } from './platform.ts'

/** 2026-03-02T00:00:00Z, in microseconds. */
const DAY = Date.UTC(2026, 2, 2) * 1_000
const second = (n: number) => ({ ts: DAY + n * 1_000_000, recvTs: DAY + n * 1_000_000 + 500 })

test('GET /v1/books/{exchange}/{symbol}/stored: of one market, in a time, the latest first, doubts among them', async (t) => {
  const store = await openTemporaryStore(t)
  await write(
    store,
    segment('book', [
      book(second(0)),
      book({ ...second(10), bids: [] }),
      book({ ...second(15), bids: [], asks: [], doubt: 'checksum' }),
      book({ ...second(16), exchange: 'okx' }),
      book({ ...second(17), symbol: 'ETH-USD' }),
    ]),
  )
  const { url } = await startPlatform(t, { store })
  const get = (search: string) => call(`${url}/v1/books/Kraken/btc-usd/stored?${search}`)
  assert.deepEqual((await get('')).json(), {
    books: [
      {
        ...{ bids: [], asks: [], doubt: 'checksum' },
        ...{ ts: '2026-03-02T00:00:15.000000Z', recvTs: '2026-03-02T00:00:15.000500Z' },
      },
      {
        ...{ bids: [], asks: [[10, 2]], doubt: null },
        ...{ ts: '2026-03-02T00:00:10.000000Z', recvTs: '2026-03-02T00:00:10.000500Z' },
      },
      {
        ...{ bids: [[9, 1]], asks: [[10, 2]], doubt: null },
        ...{ ts: '2026-03-02T00:00:00.000000Z', recvTs: '2026-03-02T00:00:00.000500Z' },
      },
    ],
  })
  const times = async (search: string) =>
    ((await get(search)).json() as unknown as { books: { ts: string }[] }).books.map(({ ts }) =>
      ts.slice(17, 19),
    )
  assert.deepEqual(await times('to=2026-03-02T00:00:12Z&limit=1'), ['10'])
  assert.deepEqual(await times('from=2026-03-02T00:00:05Z'), ['15', '10'])
  for (const bad of ['limit=0', 'limit=1001', 'from=2026-03-03&to=2026-03-02', 'to=never', 'depth=1'])
    assertProblem(await get(bad), 'INPUT_INVALID', bad)
})
