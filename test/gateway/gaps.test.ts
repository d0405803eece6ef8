import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Status } from '../../src/domain/events.ts'
import { openTemporaryStore } from '../adapters/store/temporary.ts'
import { segment, store as write } from '../contract/store-fixtures.ts'
import { runCommand } from '../e2e/platform-process.ts'
import { assertProblem, call } from './http.ts'
import { startPlatform } from './platform.ts'

/** 2026-03-02T00:00:00Z, in microseconds; times below are minutes after it. */
const DAY = Date.UTC(2026, 2, 2) * 1_000
const at = (minute: number): number => DAY + minute * 60_000_000

interface Flag {
  readonly state?: 'gap' | 'recovered'
  readonly exchange?: string
  readonly symbol?: string | undefined
  readonly times: readonly [from: number, to: number]
  readonly flagged: number
}

function flag({ state = 'gap', exchange = 'coinbase', times: [from, to], flagged, ...rest }: Flag): Status {
  const symbol = 'symbol' in rest ? rest.symbol : 'BTC-USD'
  return {
    ...{
      source: 'simulator',
      exchange,
      state,
      from: at(from),
      to: at(to),
      detail: 'a test',
      ts: at(flagged),
    },
    ...(symbol !== undefined && { symbol }),
    ...(state === 'gap' && { cause: 'reconnect' as const }),
  }
}

const STATUSES: readonly Status[] = [
  flag({ times: [0, 10], flagged: 10 }),
  // Two halves of it, which meet at a trade.
  flag({ state: 'recovered', times: [0, 4], flagged: 60 }),
  flag({ state: 'recovered', times: [4, 10], flagged: 61 }),
  flag({ times: [20, 30], flagged: 30 }),
  flag({ state: 'recovered', times: [20, 25], flagged: 62 }),
  flag({ times: [40, 41], flagged: 41, symbol: 'ETH-USD' }),
  flag({ times: [50, 51], flagged: 51, exchange: 'kraken' }),
  flag({ times: [55, 56], flagged: 56, exchange: '', symbol: undefined }),
  // Neither is a gap with both its ends.
  { ...flag({ times: [70, 71], flagged: 71 }), state: 'disconnected' },
]

interface Answer {
  readonly gaps: readonly {
    readonly exchange: string | null
    readonly symbol: string | null
    readonly from: string
    readonly to: string
    readonly flagged: string
    readonly filled: boolean
  }[]
  readonly next: string | null
}

test('GET /v1/gaps and tapeline gaps: of all or of one market, in a time, page by page, and which are filled', async (t) => {
  const store = await openTemporaryStore(t)
  await write(store, segment('status', STATUSES))
  const { url } = await startPlatform(t, { store })
  const get = async (search: string) => (await call(`${url}/v1/gaps?${search}`)).json() as unknown as Answer
  const minutes = async (search: string) =>
    (await get(search)).gaps.map(({ flagged }) => (Date.parse(flagged) * 1_000 - DAY) / 60_000_000)

  const { gaps, next } = await get('')
  assert.deepEqual(
    gaps.map(({ exchange, symbol, filled }) => [exchange, symbol, filled]),
    [
      [null, null, false],
      ['kraken', 'BTC-USD', false],
      ['coinbase', 'ETH-USD', false],
      ['coinbase', 'BTC-USD', false],
      ['coinbase', 'BTC-USD', true],
    ],
  )
  assert.equal(next, null)
  assert.deepEqual(gaps.at(-1), {
    ...{ source: 'simulator', exchange: 'coinbase', symbol: 'BTC-USD', cause: 'reconnect', detail: 'a test' },
    ...{ from: '2026-03-02T00:00:00.000000Z', to: '2026-03-02T00:10:00.000000Z' },
    ...{ flagged: '2026-03-02T00:10:00.000000Z', filled: true },
  })
  // A gap of the whole source is one of each market.
  assert.deepEqual(await minutes('exchange=coinbase&symbol=BTC-USD'), [56, 30, 10])
  assert.deepEqual(await minutes('symbol=btc-usd'), [56, 51, 30, 10])
  assert.deepEqual(await minutes('from=2026-03-02T00:30:00Z&to=2026-03-02T00:50:00Z'), [51, 41, 30])

  const paged: number[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const search: string = `limit=2${cursor && `&cursor=${cursor}`}`
    paged.push(...(await minutes(search)))
    cursor = (await get(search)).next
  }
  assert.deepEqual(paged, [56, 51, 41, 30, 10])
  for (const bad of ['cursor=x', 'cursor=WzFd'])
    assertProblem(await call(`${url}/v1/gaps?${bad}`), 'CURSOR_INVALID')
  for (const bad of ['limit=0', 'limit=1001', 'from=2026-03-03&to=2026-03-02', "symbol='", 'to=never'])
    assertProblem(await call(`${url}/v1/gaps?${bad}`), 'INPUT_INVALID', bad)

  const listed = await runCommand(['gaps', '--api', url, '--exchange', 'coinbase', '--symbol', 'BTC-USD'])
  assert.equal(listed.code, 0, listed.stderr)
  assert.match(listed.stdout, /^BTC-USD +coinbase +2026-03-02T00:00:00.000000Z .* reconnect +yes *$/m)
  assert.match(listed.stdout, /^all +all of simulator .* reconnect +no *$/m)
  const json = JSON.parse(
    (await runCommand(['gaps', '--api', url, '--limit', '3', '--json'])).stdout,
  ) as Answer
  assert.deepEqual(json.gaps, gaps.slice(0, 3))
})
