import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Engine } from '../../../src/adapters/store/embedded/engine.ts'
import { Maintenance } from '../../../src/adapters/store/embedded/maintenance.ts'
import { candles } from '../../../src/adapters/store/market-queries.ts'
import { claim } from '../../../src/adapters/store/offsets.ts'
import { planWrite, write } from '../../../src/adapters/store/write.ts'
import { INTERVALS, type Interval, type Trade } from '../../../src/domain/events.ts'
import { isoMicros } from '../../../src/domain/time.ts'
import { segment, trade, unique, writeOf } from '../../contract/store-fixtures.ts'
import { openTemporaryEngine } from './temporary.ts'

const MINUTE = 60_000_000
const WIDTHS: Readonly<Record<Interval, number>> = {
  '1m': MINUTE,
  '5m': 5 * MINUTE,
  '15m': 15 * MINUTE,
  '1h': 60 * MINUTE,
  '4h': 240 * MINUTE,
  '1d': 1440 * MINUTE,
}

/** Where the clock of the test starts, in microseconds: noon of some day. */
const START = Date.UTC(2026, 5, 10, 12) * 1000

async function store(engine: Engine, rows: readonly Trade[]): Promise<void> {
  const topic = unique('topic')
  const [target] = await claim(engine, [{ topic, topicId: topic, partition: 0 }])
  assert.ok(target)
  await write(engine, planWrite([writeOf(target, 1, segment('trade', rows))]))
}

/** The candles that trades make, computed apart from the database. */
function expected(rows: readonly Trade[], interval: Interval) {
  const byBucket = Map.groupBy(rows, ({ exchange, ts }) =>
    JSON.stringify([Math.floor(ts / WIDTHS[interval]) * WIDTHS[interval], exchange]),
  )
  return [...byBucket]
    .map(([key, own]) => {
      const [ts, exchange] = JSON.parse(key)
      const order = own.toSorted((a, b) => a.ts - b.ts || (a.id < b.id ? -1 : 1))
      const prices = own.map(({ price }) => price)
      return {
        exchange,
        symbol: own[0]?.symbol,
        interval,
        open: order[0]?.price,
        high: Math.max(...prices),
        low: Math.min(...prices),
        close: order.at(-1)?.price,
        volume: own.reduce((sum, { size }) => sum + size, 0),
        trades: own.length,
        ts: isoMicros(ts),
        origin: 'trades',
      }
    })
    .sort((a, b) => a.ts.localeCompare(b.ts) || a.exchange.localeCompare(b.exchange))
}

async function assertCandles(engine: Engine, symbol: string, rows: readonly Trade[], when: string) {
  for (const interval of INTERVALS) {
    const found = await candles(engine, { symbol, interval, origin: 'trades', limit: 100_000 })
    assert.deepEqual(found, expected(rows, interval), `${interval} ${when}`)
  }
}

/** Trades anywhere in the days before the start, a few at the same microsecond, and some on a market of their own. */
const tradesOf = (days: number) =>
  fc.array(
    fc.record({
      day: fc.integer({ min: 0, max: days - 1 }),
      second: fc.constantFrom(0, 59, 60, 299, 300, 3599, 3600, 7201),
      micros: fc.constantFrom(0, 1, 999_999),
      price: fc.integer({ min: 1, max: 1000 }),
      size: fc.integer({ min: 1, max: 9 }),
      exchange: fc.constantFrom('coinbase', 'kraken'),
    }),
    { minLength: 1, maxLength: 40 },
  )

type SomeTrades = ReturnType<typeof tradesOf> extends fc.Arbitrary<infer T> ? T : never

function placed(trades: SomeTrades, symbol: string): Trade[] {
  return trades.map(({ day, second, micros, ...rest }) => {
    const ts = START - (day * 86_400 + second) * 1_000_000 - micros
    return trade({ ...rest, symbol, id: unique('t'), ts })
  })
}

/** What happens in turn: trades arrive, the clock goes on, maintenance does some steps. */
function historyOf({ days, events }: Effort) {
  const write = fc.record({ kind: fc.constant('write' as const), trades: tradesOf(days) })
  const event = fc.oneof(
    write,
    fc.record({ kind: fc.constant('wait' as const), minutes: fc.constantFrom(1, 11, 61, 1500) }),
    fc.record({ kind: fc.constant('maintain' as const), steps: fc.integer({ min: 1, max: 40 }) }),
  )
  // The first write has a trade that is old enough to be compressed, whatever comes after it.
  const first = write.map(({ kind, trades }) => ({
    kind,
    trades: trades.map((each, i) => (i === 0 ? { ...each, day: days } : each)),
  }))
  return fc
    .tuple(first, fc.array(event, { minLength: 1, maxLength: events - 1 }))
    .map(([old, others]) => [old, ...others])
}

/** How much is tried at random. */
interface Effort {
  /** How many histories, of how many events at most, with trades of so many days. */
  readonly histories: number
  readonly events: number
  readonly days: number
  /** How many writes at the moment at which their trades happen. */
  readonly moments: number
}

/** Candles of the embedded store are what their trades make, while its maintenance goes on. */
export function testCandles(effort: Effort): void {
  test('once maintenance has nothing more to do, every candle is what its trades make, however late they came', async (t) => {
    const seed = Number(process.env['TAPELINE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    t.diagnostic(`seed ${seed} (TAPELINE_TEST_SEED)`)
    const engine = await openTemporaryEngine(t)
    let now = START / 1000
    const maintenance = new Maintenance(engine, () => now)
    maintenance.begin({
      chunkIntervalMs: 3_600_000,
      columnstoreAfterMs: 86_400_000,
      retentionMs: undefined,
      jobs: 'server' as const,
    })
    let [refreshes, compressed] = [0, 0]
    const step = async () => {
      const { did, problem } = await maintenance.step('idle')
      assert.equal(problem, undefined)
      if (did?.startsWith('refresh')) refreshes++
      if (did?.startsWith('columnstore')) compressed++
      now += 1000
      return did
    }
    /** Until each task, rested, has found nothing to do. */
    const settle = async () => {
      for (let idle = 0; idle < 8; ) {
        if ((await step()) !== undefined) idle = 0
        else idle++
        if (idle > 0) now += 60_000
      }
    }
    const property = fc.asyncProperty(historyOf(effort), async (events) => {
      const [symbol, rows] = [unique('S'), [] as Trade[]]
      for (const event of events) {
        if (event.kind === 'wait') now += event.minutes * 60_000
        if (event.kind === 'maintain') for (let i = 0; i < event.steps; i++) await step()
        if (event.kind !== 'write') continue
        const arrived = placed(event.trades, symbol)
        rows.push(...arrived)
        await store(engine, arrived)
        maintenance.wrote(arrived.length)
      }
      await settle()
      await assertCandles(engine, symbol, rows, 'after everything is materialised')
    })
    await fc.assert(property, { seed, numRuns: effort.histories })
    assert.ok(refreshes > 0 && compressed > 0, `${refreshes} refreshes, ${compressed} compressed chunks`)
  })

  test('while days of trades are being materialised, every candle is right after every step', async (t) => {
    const seed = Number(process.env['TAPELINE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    t.diagnostic(`seed ${seed} (TAPELINE_TEST_SEED)`)
    const engine = await openTemporaryEngine(t)
    const maintenance = new Maintenance(engine, () => START / 1000)
    maintenance.begin({
      chunkIntervalMs: 3_600_000,
      columnstoreAfterMs: 86_400_000,
      retentionMs: undefined,
      jobs: 'server' as const,
    })
    const symbol = unique('S')
    const rows = fc
      .sample(tradesOf(effort.days), { seed, numRuns: effort.histories })
      .flatMap((each) => placed(each, symbol))
    await store(engine, rows)
    for (let quiet = 0, steps = 0; quiet < 4; steps++) {
      const { did } = await maintenance.step('idle')
      quiet = did === undefined ? quiet + 1 : 0
      await assertCandles(engine, symbol, rows, `after step ${steps}: ${did}`)
    }
  })

  test('what is newer than everything materialised is in its candles at once', async (t) => {
    const seed = Number(process.env['TAPELINE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    t.diagnostic(`seed ${seed} (TAPELINE_TEST_SEED)`)
    const engine = await openTemporaryEngine(t)
    let now = START / 1000
    const maintenance = new Maintenance(engine, () => now)
    maintenance.begin({
      chunkIntervalMs: 3_600_000,
      columnstoreAfterMs: undefined,
      retentionMs: undefined,
      jobs: 'server' as const,
    })
    const [symbol, rows] = [unique('S'), [] as Trade[]]
    const live = fc.array(
      fc.record({
        micros: fc.integer({ min: 0, max: 9 * MINUTE }),
        price: fc.integer({ min: 1, max: 1000 }),
        size: fc.integer({ min: 1, max: 9 }),
      }),
      { minLength: 1, maxLength: 30 },
    )
    const property = fc.asyncProperty(live, fc.integer({ min: 1, max: 90 }), async (events, minutes) => {
      now += minutes * 60_000
      const arrived = events.map(({ micros, ...rest }) =>
        trade({ ...rest, symbol, id: unique('t'), ts: now * 1000 - micros }),
      )
      rows.push(...arrived)
      await store(engine, arrived)
      await assertCandles(engine, symbol, rows, 'at once')
      for (let i = 0; i < 12; i++) {
        now += 1000
        await maintenance.step('light')
      }
      await assertCandles(engine, symbol, rows, 'after some maintenance')
    })
    await fc.assert(property, { seed, numRuns: effort.moments })
  })
}
