import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { compileSpec } from '../../src/domain/compiled-spec.ts'
import type { Candle, Channel, EventOf, Trade } from '../../src/domain/events.ts'
import { OpenWindows, type WindowRule, type WindowsState } from '../../src/domain/open-windows.ts'
import { parseStreamRequest } from '../../src/domain/stream-spec.ts'
import { SEED } from '../seed.ts'

const SECOND = 1_000_000
const MINUTE = 60 * SECOND

type Step = { readonly event: Trade } | { readonly tick: number }

function ruleOf(request: object): WindowRule {
  const { spec } = parseStreamRequest({ channel: 'trade', symbols: ['*'], ...request }, 0)
  return compileSpec(spec).windows ?? assert.fail('a stream without windows')
}

function trade(ts: number, price: number, more: Partial<Trade> = {}): Trade {
  const market = { exchange: 'kraken', symbol: 'A-B' }
  return { ...market, id: String(ts), side: 'buy', price, size: 1, ts, recvTs: ts, ...more }
}

/** What a stream gives for these trades, one after the other. */
function run(rule: WindowRule, steps: readonly Step[], windows = new OpenWindows(rule)): EventOf[Channel][] {
  return steps.flatMap((each) => {
    const step = windows.begin()
    const closed = 'tick' in each ? step.tick(each.tick) : step.take(each.event)
    step.commit()
    return closed
  })
}

const tradesOf = (...trades: Trade[]): Step[] => trades.map((event) => ({ event }))

describe('windows', () => {
  test('the latest trade of each period comes, once the time has passed it', () => {
    const rule = ruleOf({ every: '1s', lateness: '0s' })
    const steps = tradesOf(trade(100, 1), trade(900_000, 2), trade(SECOND + 5, 3), trade(3 * SECOND, 4))
    const closed = run(rule, steps) as Trade[]
    assert.deepEqual(
      closed.map(({ price, ts }) => [price, ts]),
      [
        [2, 900_000],
        [3, SECOND + 5],
      ],
    )
  })

  test('a late trade corrects its candle while the window is open, and is counted afterwards', () => {
    const windows = new OpenWindows(ruleOf({ interval: '1m' }))
    const begin = [trade(10 * SECOND, 5), trade(61 * SECOND, 7), trade(5 * SECOND, 4), trade(50 * SECOND, 9)]
    assert.deepEqual(run(ruleOf({ interval: '1m' }), tradesOf(...begin), windows), [])
    const step = windows.begin()
    const [candle, ...more] = step.take(trade(62 * SECOND, 8))
    assert.deepEqual(more, [])
    assert.deepEqual(candle, {
      ...{ exchange: 'kraken', symbol: 'A-B', interval: '1m', ts: 0, closed: true, origin: 'trades' },
      ...{ open: 4, high: 9, low: 4, close: 9, volume: 3, trades: 3 },
    })
    assert.deepEqual(step.take(trade(59 * SECOND, 1)), [])
    assert.equal(step.late, 1)
  })

  test('a trade dated in the future closes no window', () => {
    const rule = ruleOf({ interval: '1m' })
    const future = trade(500 * SECOND, 1, { recvTs: 20 * SECOND })
    assert.deepEqual(run(rule, tradesOf(trade(10 * SECOND, 5), future, trade(30 * SECOND, 6))), [])
  })

  test('trades of one time count by the value of their ids', () => {
    const rule = ruleOf({ interval: '1s', lateness: '0s' })
    const at = { ts: 5, recvTs: 5 }
    const steps = tradesOf(trade(5, 2, { ...at, id: '10' }), trade(5, 1, { ...at, id: '9' }))
    const [candle] = run(rule, [...steps, { tick: SECOND }]) as Candle[]
    assert.deepEqual([candle?.open, candle?.close], [1, 2])
  })

  test('a tick closes what no trade closes, and periods without trades have candles where they are asked for', () => {
    const rule = ruleOf({ interval: '1m', empty: true, lateness: '0s' })
    const steps: Step[] = [...tradesOf(trade(10 * SECOND, 5)), { tick: 3 * MINUTE }, { tick: 4 * MINUTE }]
    assert.deepEqual(
      (run(rule, steps) as Candle[]).map(({ ts, open, volume, trades }) => [
        ts / MINUTE,
        open,
        volume,
        trades,
      ]),
      [
        [0, 5, 1, 1],
        [1, 5, 0, 0],
        [2, 5, 0, 0],
        [3, 5, 0, 0],
      ],
    )
  })

  test('a long pause has no empty candles', () => {
    const rule = ruleOf({ interval: '1s', empty: true, lateness: '0s' })
    const closed = run(rule, [...tradesOf(trade(10, 5)), { tick: 3_600 * SECOND }, { tick: 3_601 * SECOND }])
    assert.deepEqual(
      (closed as Candle[]).map(({ ts }) => ts / SECOND),
      [0, 3_600],
    )
  })

  test('what one market is late no other market is', () => {
    const rule = ruleOf({ every: '1s', lateness: '0s' })
    const other = { symbol: 'C-D' }
    const steps = tradesOf(trade(100, 1), trade(60 * SECOND, 2, other), trade(200, 3), trade(9 * SECOND, 4))
    const closed = run(rule, steps) as Trade[]
    assert.deepEqual(
      closed.map(({ symbol, price }) => [symbol, price]),
      [['A-B', 3]],
    )
  })

  test('what is not committed never was', () => {
    const rule = ruleOf({ every: '1s', lateness: '0s' })
    const windows = new OpenWindows(rule)
    run(rule, tradesOf(trade(100, 1)), windows)
    const before = structuredClone(windows.state)
    const dropped = windows.begin()
    assert.equal(dropped.take(trade(5 * SECOND, 2)).length, 1)
    assert.deepEqual(windows.state, before)
    assert.equal(windows.dueBefore(0), SECOND)
  })

  test(`windows that are saved and restored anywhere give the same (seed ${SEED})`, () => {
    const markets = ['A-B', 'C-D', 'E-F']
    const steps = fc.array(
      fc.oneof(
        fc.record({
          ts: fc.integer({ min: 0, max: 20 * SECOND }),
          lag: fc.integer({ min: -SECOND, max: SECOND }),
          symbol: fc.constantFrom(...markets),
          price: fc.integer({ min: 1, max: 9 }),
        }),
        fc.record({ tick: fc.integer({ min: 0, max: 25 * SECOND }) }),
      ),
      { maxLength: 60 },
    )
    const requests = [
      { every: '1s' },
      { every: '250ms', lateness: '0s' },
      { interval: '1s' },
      { interval: '5s', empty: true, lateness: '1s' },
    ]
    fc.assert(
      fc.property(steps, fc.constantFrom(...requests), fc.nat(), (given, request, random) => {
        const rule = ruleOf(request)
        const all = given.map((each, i): Step => {
          if ('tick' in each) return each
          const { ts, lag, symbol, price } = each
          return { event: trade(ts, price, { symbol, id: String(i), recvTs: Math.max(0, ts + lag) }) }
        })
        const whole = run(rule, all)
        const cut = all.length === 0 ? 0 : random % all.length
        const first = new OpenWindows(rule)
        const before = run(rule, all.slice(0, cut), first)
        const saved = JSON.parse(JSON.stringify(first.state)) as WindowsState
        const after = run(rule, all.slice(cut), new OpenWindows(rule, saved))
        assert.deepEqual([...before, ...after], whole)
        // In one step it is the same.
        const step = new OpenWindows(rule).begin()
        const together = all.flatMap((each) =>
          'tick' in each ? step.tick(each.tick) : step.take(each.event),
        )
        assert.deepEqual(together, whole)
      }),
      { seed: SEED, numRuns: 300 },
    )
  })
})
