import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isSameTime } from '../../src/domain/trade-identity.ts'
import { type KnownTrade, TradeWindow } from '../../src/domain/trade-window.ts'
import { SEED } from '../seed.ts'

const SECOND = 1_000_000
const NOON = Date.UTC(2026, 10, 20, 12) * 1000
/** What a window is allowed in these tests: no more than it must keep. */
const LITTLE = 1

function trade(id: string, ts: number, changes: Partial<KnownTrade> = {}) {
  return { id, price: 100, size: 1, ts: NOON + ts, recvTs: NOON + ts + 20_000, ...changes }
}

function restored(window: TradeWindow): TradeWindow {
  return TradeWindow.restore(JSON.parse(JSON.stringify(window.snapshot())))
}

describe('trade windows', () => {
  test('one trade far in the future, and a sweep larger than the window, make no later trade doubtful', () => {
    const window = new TradeWindow()
    for (let n = 0; n < 3_000; n++) {
      const ts = n === 10 ? 20 * 86_400 * SECOND : Math.floor(n / 1_000) * SECOND
      const each = trade(`${n}`, ts)
      assert.equal(window.judge(each), 'new', `trade ${n}`)
      window.remember(each, LITTLE)
    }
    assert.equal(restored(window).judge(trade('3000', 3 * SECOND)), 'new', 'and over a restart')
  })

  test('ids that are no numbers: what cannot be told may be a repeat, everything else is certain', () => {
    const window = new TradeWindow()
    const name = (n: number) => `t${(n * 7919) % 1_000}`
    const at = (n: number) => 1 + n * 1_001
    for (let n = 0; n < 1_000; n++) window.remember(trade(name(n), at(n)), LITTLE)
    assert.equal(window.judge(trade(name(999), at(999))), 'duplicate')
    assert.equal(window.judge(trade(name(3), at(3))), 'maybe', 'it was, and is forgotten')
    assert.equal(window.judge(trade('late', at(4))), 'maybe', 'it was not, but who knows')
    assert.equal(window.judge(trade('next', at(1_000))), 'new')
    assert.equal(window.judge(trade('between', at(998) + 3)), 'new', 'late, but later than all forgotten')
  })

  test('a late trade whose number lies in a hole of those forgotten is new', () => {
    const window = new TradeWindow()
    for (let n = 0; n < 1_000; n++) if (n !== 200) window.remember(trade(`${n}`, n), LITTLE)
    assert.equal(window.judge(trade('200', 200)), 'new')
    assert.equal(window.judge(trade('201', 201)), 'maybe', 'its content is not kept')
  })

  test('the same id with another price, size or time is another trade, and is known from then on', () => {
    const window = new TradeWindow()
    const first = trade('7', 500_123)
    window.remember(first)
    for (const change of [{ price: 77 }, { size: 2 }, { ts: NOON + 500_124 }, { ts: NOON + 9 * SECOND }]) {
      const other = { ...first, ...change }
      assert.equal(window.judge(other), 'conflict', JSON.stringify(change))
      window.remember(other)
      assert.equal(window.judge(other), 'duplicate')
      assert.equal(restored(window).judge(other), 'duplicate')
    }
    assert.equal(window.judge(first), 'duplicate')
  })

  test('a time of another precision is the same one', () => {
    for (const [a, b, isSame] of [
      [600_000, 600_050, true],
      [600_000, 600_999, true],
      [600_000, 601_000, false],
      [601_000, 600_501, true],
      [600_050, 600_051, false],
      [5 * SECOND, 5_999_999, true],
      [5 * SECOND, 4_500_000, true],
      [5 * SECOND, 4_400_000, false],
      [5 * SECOND, 6 * SECOND, false],
    ] as const) {
      assert.equal(isSameTime(NOON + a, NOON + b), isSame, `${a} and ${b}`)
      assert.equal(isSameTime(NOON + b, NOON + a), isSame, `${b} and ${a}`)
      const window = new TradeWindow()
      window.remember(trade('1', a))
      assert.equal(window.judge(trade('1', b)), isSame ? 'duplicate' : 'conflict', `${a} and ${b}`)
    }
  })

  test('a window of the version before is read: its ids decide alone, and an odd time in it silences nothing', () => {
    const times = Array.from({ length: 128 }, (_, n) => NOON + n * SECOND)
    const window = TradeWindow.restore({
      ids: times.map((_, n) => `${1_000 + n}`),
      times,
      forgottenTs: NOON + 20 * 86_400 * SECOND,
      lastTs: NOON + 20 * 86_400 * SECOND,
    })
    assert.equal(window.judge(trade('1100', 100 * SECOND, { price: 5 })), 'duplicate')
    assert.equal(window.judge(trade('900', 50 * SECOND)), 'maybe')
    assert.equal(window.judge(trade('1128', 200 * SECOND)), 'new')
    assert.deepEqual(window.highest, '1127')
  })

  test('what the version before reads of a window is there in its own terms', () => {
    const window = new TradeWindow()
    for (let n = 0; n < 300; n++) window.remember(trade(`${n}`, n * SECOND))
    const { ids, times, forgottenTs, lastTs } = window.snapshot()
    assert.deepEqual(
      ids,
      Array.from({ length: 128 }, (_, n) => `${172 + n}`),
    )
    assert.equal(times.at(-1), NOON + 299 * SECOND)
    assert.ok(forgottenTs >= NOON + 171 * SECOND && forgottenTs < NOON + 173 * SECOND)
    assert.equal(lastTs, NOON + 299 * SECOND)
  })

  test('the last trade is the latest by time, unless that cannot be; the highest id counts by value', () => {
    const window = new TradeWindow()
    window.remember(trade('9', 9 * SECOND))
    window.remember(trade('10', 10 * SECOND))
    window.remember({ ...trade('8', 8 * SECOND), recvTs: NOON + 11 * SECOND })
    assert.deepEqual([window.last, window.highest], [{ id: '10', ts: NOON + 10 * SECOND }, '10'])
    window.remember({ ...trade('11', 86_400 * SECOND), recvTs: NOON + 11 * SECOND })
    assert.equal(window.last?.ts, NOON + 71 * SECOND, 'at most a minute after it came')
    window.remember(trade('12', 12 * SECOND))
    assert.equal(window.last?.id, '12')
    assert.ok(window.reaches('12') && window.reaches('9') && !window.reaches('13'))
  })

  const histories = fc.record({
    isNumeric: fc.boolean(),
    trades: fc.array(
      fc.record({
        id: fc.nat(1_500),
        ts: fc.nat(60),
        micros: fc.constantFrom(0, 1, 1_000),
        price: fc.nat(1),
      }),
      { minLength: 1, maxLength: 1_200 },
    ),
  })

  test(`no published trade is ever new, and no other one a duplicate (seed ${SEED})`, () => {
    fc.assert(
      fc.property(histories, ({ isNumeric, trades }) => {
        const window = new TradeWindow()
        const published: ReturnType<typeof trade>[] = []
        const isPublished = (each: KnownTrade): boolean =>
          published.some(
            ({ id, price, ts }) => id === each.id && price === each.price && isSameTime(ts, each.ts),
          )
        for (const { id, ts, micros, price } of trades) {
          const each = trade(isNumeric ? `${id}` : `t${id}`, ts * 100_000 + micros, { price })
          const verdicts = [window.judge(each)]
          if (published.length % 50 === 0) verdicts.push(restored(window).judge(each))
          for (const verdict of verdicts) {
            if (isPublished(each)) assert.ok(verdict === 'duplicate' || verdict === 'maybe', verdict)
            else assert.notEqual(verdict, 'duplicate')
          }
          if (verdicts[0] === 'duplicate') continue
          window.remember(each, LITTLE)
          published.push(each)
        }
      }),
      { seed: SEED, numRuns: 60 },
    )
  })
})
