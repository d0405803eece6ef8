import assert from 'node:assert/strict'
import { test } from 'node:test'
import { marketKey, type Status, type StatusState, shardOf, type Trade } from '../../../src/domain/events.ts'
import { openGaps } from '../../../src/domain/open-gaps.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { HistoryPage, Source } from '../../../src/ports/source.ts'
import { until } from '../until.ts'
import { bodyOf, MARKETS, PARTITIONS, setUp, TOPICS } from './producers.ts'

const PAGE = 4

type Past = NonNullable<Source['history']>

test('gaps of many markets are filled by whoever owns their shards, also after a kill in the middle, and streams get none of it', async (t) => {
  const world = await setUp(t)
  const { exchange, counted } = world
  const asked: string[] = []

  /** A connection whose exchange gives its past page by page; with a gate, the second page of each market waits for it. */
  const connect = (gate?: Promise<void>): Source => {
    const { source } = exchange.connect()
    const history = async function* (
      market: { readonly exchange: string; readonly symbol: string },
      { from, to }: { readonly from: number; readonly to: number },
      signal: AbortSignal,
    ): AsyncGenerator<HistoryPage> {
      asked.push(`${market.symbol} ${from}`)
      const own = exchange.ledger.filter(
        (trade) => marketKey(trade) === marketKey(market) && trade.ts >= from && trade.ts <= to,
      )
      for (let at = 0; at < own.length; at += PAGE) {
        if (at > 0 && gate)
          await Promise.race([gate, new Promise((_, reject) => signal.addEventListener('abort', reject))])
        yield { events: own.slice(at, at + PAGE).map((event) => ({ channel: 'trade', event })), since: from }
      }
    }
    source.subscribe(MARKETS)
    return { ...source, history }
  }
  const start = async (source: Source) => {
    const producer = await world.start({ source })
    producer.services.onReentry((data) => producer.machine.send({ type: 'PUBLISH_FIXED', data }))
    return producer
  }
  const trades = async (): Promise<readonly { readonly trade: Trade; readonly again: boolean }[]> =>
    (await counted(TOPICS.trade)).map((record) => ({
      trade: bodyOf<Trade>(record),
      again: record.headers.reentering === true,
    }))
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i++) exchange.trade(MARKETS)
  }
  const published = async (wanted: number): Promise<void> => {
    await until(`${wanted} trades are published`, async () => {
      const ids = new Set((await trades()).map(({ trade }) => trade.id))
      return ids.size >= wanted
    })
  }

  const first = await start(connect())
  rounds(3)
  await published(3 * MARKETS.length)
  await first.kill()
  rounds(20)

  const second = await start(connect(new Promise(() => {})))
  rounds(1)
  await until('a part is filled', async () => (await trades()).some(({ again }) => again))
  await second.kill()
  rounds(10)

  asked.length = 0
  const third = await start(connect())
  rounds(1)
  const statuses = async () => (await counted(TOPICS.status)).map((record) => bodyOf<Status>(record))
  await until('nothing is missing', async () => {
    const told = await statuses()
    return told.some(({ state }) => state === 'recovered') && openGaps(told).length === 0
  })
  const all = await trades()
  assert.deepEqual(
    [...new Set(all.map(({ trade }) => trade.id))].toSorted(),
    exchange.ledger.map(({ id }) => id).toSorted(),
  )
  const live = all.filter(({ again }) => !again).map(({ trade }) => trade.id)
  assert.equal(new Set(live).size, live.length, 'nothing came live twice')
  const recovered = (await statuses()).filter(
    ({ state, detail }) => state === 'recovered' && /history/.test(detail),
  )
  assert.ok(recovered.length >= 2 * MARKETS.length - 1, `${recovered.length} gaps are filled`)
  assert.ok(asked.length >= MARKETS.length)
  const streamed = async () => (await counted('app.all')).map((record) => bodyOf<Trade>(record).id)
  await until('the stream is complete', async () => (await streamed()).length >= live.length)
  assert.deepEqual((await streamed()).toSorted(), live.toSorted())
  await third.leave()
})

test('what history does not reach of a gap is marked once, and asked for by no later owner', async (t) => {
  const world = await setUp(t)
  const { exchange, counted } = world
  const keys = Map.groupBy(MARKETS, (market) => shardOf(marketKey(market), PARTITIONS))
  const markets = [...keys.values()].find(({ length }) => length >= 3)?.slice(0, 3) ?? []
  const [partly, wholly, refused] = markets
  assert.ok(partly && wholly && refused)
  const asked: string[] = []
  const start = async (history: Past) => {
    const { source } = exchange.connect()
    source.subscribe(markets)
    const producer = await world.start({ source: { ...source, history } })
    producer.services.onReentry((data) => producer.machine.send({ type: 'PUBLISH_FIXED', data }))
    return producer
  }
  const past = (reach: (symbol: string, from: number, to: number) => number): Past =>
    async function* ({ symbol }, { from, to }) {
      asked.push(`${symbol} ${from}`)
      const since = reach(symbol, from, to)
      const own = exchange.ledger.filter(
        (trade) => trade.symbol === symbol && trade.ts >= since && trade.ts <= to,
      )
      yield { events: own.map((event) => ({ channel: 'trade', event })), since }
    }
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i++) exchange.trade(markets)
  }
  const statuses = async () => (await counted(TOPICS.status)).map((record) => bodyOf<Status>(record))
  const toldOf = async (wanted: StatusState, of: string): Promise<readonly Status[]> =>
    (await statuses()).filter(({ state, symbol }) => state === wanted && symbol === of)

  const first = await start(past((_, from) => from))
  rounds(1)
  await until('all have begun', async () => (await counted(TOPICS.trade)).length >= markets.length)
  await first.kill()
  rounds(20)

  const second = await start(
    past((symbol, from, to) => {
      if (symbol === refused.symbol) throw new TapelineError('SOURCE_UNAVAILABLE', 'away')
      return symbol === partly.symbol ? from + 10 : to + 1
    }),
  )
  rounds(1)
  await until('two of the gaps are done', async () => (await toldOf('recovered', wholly.symbol)).length > 0)
  const [gap] = await toldOf('gap', partly.symbol)
  assert.ok(gap?.from !== undefined && gap.to !== undefined)
  const [{ from, to, lostFrom } = {}] = await toldOf('recovered', partly.symbol)
  assert.deepEqual({ from, to, lostFrom }, { from: gap.from + 10, to: gap.to, lostFrom: gap.from })
  const [lost] = await toldOf('recovered', wholly.symbol)
  const [hole] = await toldOf('gap', wholly.symbol)
  assert.deepEqual(
    { from: lost?.from, to: lost?.to, lostFrom: lost?.lostFrom },
    { from: undefined, to: hole?.to, lostFrom: hole?.from },
  )
  const open = openGaps(await statuses()).filter(({ symbol }) => symbol !== refused.symbol)
  assert.deepEqual(
    open.map(({ symbol, to: end }) => [symbol, end]),
    [
      [partly.symbol, gap.from + 10],
      [wholly.symbol, hole?.to],
    ],
    'it stays a hole',
  )
  await second.kill()

  asked.length = 0
  const [last] = await toldOf('gap', refused.symbol)
  const third = await start(past((_, since) => since))
  await until('what was not answered is asked for again', () =>
    asked.includes(`${refused.symbol} ${last?.from}`),
  )
  // Of one source the oldest comes first, and all of a shard are read at once.
  assert.deepEqual(asked, [`${refused.symbol} ${last?.from}`])
  await third.leave()
})
