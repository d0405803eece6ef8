import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { shardOf } from '../../src/domain/events.ts'
import { parseMoment } from '../../src/domain/moment.ts'
import { admit, emptyMemory } from '../../src/domain/reader-rules.ts'
import { formatPosition, parsePosition, type RecordHeaders } from '../../src/domain/record.ts'
import { isoMicros, parseDuration, parseIsoMicros } from '../../src/domain/time.ts'
import { ulid } from '../../src/domain/ulid.ts'

const record = (epoch: number, offset?: number, kind: RecordHeaders['kind'] = 'event'): RecordHeaders => ({
  v: 1,
  kind,
  shard: 0,
  epoch,
  ...(offset === undefined ? {} : { position: { topic: 't', partition: 0, offset } }),
})

describe('the rules of readers', () => {
  test('a lower epoch after a higher one counts for nobody, a marker raises the epoch and never counts', () => {
    const memory = emptyMemory()
    assert.equal(admit(memory, record(1)), true)
    assert.equal(admit(memory, record(3, undefined, 'marker')), false)
    assert.equal(admit(memory, record(1)), false)
    assert.equal(admit(memory, record(3)), true)
    assert.equal(admit(memory, { ...record(1), shard: 1 }), true, 'each shard has its own epochs')
  })

  test('a position that does not rise is dropped', () => {
    const memory = emptyMemory()
    assert.deepEqual(
      [5, 5, 4, 6, 6, 9].map((offset) => admit(memory, record(1, offset))),
      [true, false, false, true, false, true],
    )
  })
})

describe('positions', () => {
  test('positions have a text form', () => {
    for (const text of ['market.trades:3:1234', 'market.trades:0:0:7']) {
      const position = parsePosition(text)
      assert.ok(position)
      assert.equal(formatPosition(position), text)
    }
    for (const text of ['', 'a:b:c', 'a:1', 'a:1:2:3:4']) assert.equal(parsePosition(text), undefined)
  })
})

describe('names and times', () => {
  test('the shard of a key never changes: data already written depends on it', () => {
    const keys = ['coinbase:BTC-USD', 'kraken:ETH-EUR', 'binance:DOGE-USDT', ':']
    assert.deepEqual(
      keys.map((key) => shardOf(key, 4)),
      [1, 3, 3, 1],
    )
  })

  test('ISO times keep all six digits', () => {
    assert.equal(isoMicros(1_618_677_817_089_723), '2021-04-17T16:43:37.089723Z')
    assert.equal(parseIsoMicros('2021-04-17T16:43:37.089723Z'), 1_618_677_817_089_723)
    assert.equal(parseIsoMicros('2021-04-17 16:43:37+00:00'), 1_618_677_817_000_000)
    assert.equal(parseIsoMicros('yesterday'), undefined)
  })

  test('ISO times are those of the calendar, in whatever zone', () => {
    const times: Readonly<Record<string, number | undefined>> = {
      '2026-02-28T00:00:00Z': Date.UTC(2026, 1, 28) * 1000,
      '2024-02-29T23:59:59.9Z': Date.UTC(2024, 1, 29, 23, 59, 59, 900) * 1000,
      '2000-02-29 00:00:00': Date.UTC(2000, 1, 29) * 1000,
      '0001-01-01T00:00:00Z': Date.parse('0001-01-01T00:00:00Z') * 1000,
      '2026-11-20T10:00:00.123456789+05:30': Date.UTC(2026, 10, 20, 4, 30, 0, 123) * 1000 + 456,
      '2026-11-20T10:00:00-0130': Date.UTC(2026, 10, 20, 11, 30) * 1000,
      '2026-02-29T00:00:00Z': undefined,
      '2026-02-30T00:00:00Z': undefined,
      '1900-02-29T00:00:00Z': undefined,
      '2026-04-31T00:00:00Z': undefined,
      '2026-13-01T00:00:00Z': undefined,
      '2026-00-01T00:00:00Z': undefined,
      '2026-01-00T00:00:00Z': undefined,
      '2026-11-20T24:00:00Z': undefined,
      '2026-11-20T23:60:00Z': undefined,
      '2016-12-31T23:59:60Z': undefined,
      '2026-11-20T10:00:00+24:00': undefined,
      '2026-11-20T10:00:00+01:60': undefined,
      '2026-11-20T10:00:00.Z': undefined,
      '2026-11-20T10:00Z': undefined,
    }
    for (const [text, micros] of Object.entries(times)) assert.equal(parseIsoMicros(text), micros, text)
  })

  test('a moment is what its text says in seconds, milliseconds, microseconds or nanoseconds, a day, or how long ago', () => {
    const now = Date.UTC(2026, 0, 31, 12)
    const noon = now * 1000
    const moments: Readonly<Record<string, number | undefined>> = {
      '2026-01-31T12:00:00.000001Z': noon + 1,
      '1769860800': noon,
      '1769860800.5': noon + 500_000,
      '1769860800.1234567': noon + 123_456,
      '1769860800123': noon + 123_000,
      '1769860800123456': noon + 123_456,
      '1769860800123456789': noon + 123_456,
      '2026-01-31': noon - 12 * 3_600_000_000,
      '15m': noon - 900_000_000,
      '1.5h': noon - 5_400_000_000,
      '7d': noon - 7 * 86_400_000_000,
    }
    for (const [text, micros] of Object.entries(moments))
      assert.equal(parseMoment(text, 'first', now), micros, text)
    assert.equal(
      parseMoment('2026-01-31', 'last', now),
      noon + 12 * 3_600_000_000 - 1,
      'its last microsecond',
    )
    const none = [
      '',
      '0',
      '1',
      '20260131',
      '176986080',
      '17698608000',
      '176986080012345',
      '-1769860800',
      '1e9',
    ]
    none.push('1769860800123.5', '2026-02-29', '2026-01', '2026-01-31T12:00Z', 'yesterday', '-1h', '1y', '7')
    for (const text of none) assert.equal(parseMoment(text, 'first', now), undefined, text)
  })

  test('durations', () => {
    assert.deepEqual(['250ms', '30s', '5m', '1h', '7d', '2', 2, '-1s', 'x', ''].map(parseDuration), [
      250,
      30_000,
      300_000,
      3_600_000,
      604_800_000,
      2_000,
      2_000,
      undefined,
      undefined,
      undefined,
    ])
  })

  test('ulids sort by time', () => {
    const early = ulid(1_700_000_000_000, Math.random)
    assert.match(early, /^[0-9a-hjkmnp-tv-z]{26}$/)
    assert.ok(early < ulid(1_700_000_000_001, Math.random))
  })
})
