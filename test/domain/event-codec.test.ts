import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkEvent, decodeEvent, encodeEvent } from '../../src/domain/event-codec.ts'
import type { Trade } from '../../src/domain/events.ts'
import { TapelineError } from '../../src/errors.ts'
import { SEED } from '../seed.ts'

const trade: Trade = {
  exchange: 'coinbase',
  symbol: 'BTC-USD',
  id: '1',
  side: 'buy',
  price: 100.5,
  size: 0.25,
  ts: 1_700_000_000_000_001,
  recvTs: 1_700_000_000_000_002,
}

const refusal = (work: () => unknown): TapelineError => {
  try {
    work()
  } catch (error) {
    assert.ok(error instanceof TapelineError)
    return error
  }
  throw new assert.AssertionError({ message: 'it was accepted' })
}

describe('event codec', () => {
  test('what is encoded is decoded again', () => {
    assert.deepEqual(decodeEvent('trade', encodeEvent(trade), 1), trade)
    const status = {
      source: 'x',
      exchange: '',
      state: 'gap',
      symbol: 'A-B',
      from: 1,
      to: 2,
      detail: 'd',
      ts: 3,
    } as const
    assert.deepEqual(decodeEvent('status', encodeEvent(status), 1), status)
  })

  test('bytes that are no JSON, or of another version, are EVENT_UNDECODABLE', () => {
    for (const bytes of ['', '{', 'null x', '{"a":']) {
      assert.equal(
        refusal(() => decodeEvent('trade', Buffer.from(bytes), 1)).code,
        'EVENT_UNDECODABLE',
        bytes,
      )
    }
    assert.equal(refusal(() => decodeEvent('trade', Buffer.from([0xff, 0xfe]), 1)).code, 'EVENT_UNDECODABLE')
    assert.equal(refusal(() => decodeEvent('trade', encodeEvent(trade), 2)).code, 'EVENT_UNDECODABLE')
  })

  test('an event of the wrong shape is EVENT_INVALID and names the field', () => {
    const wrong: [string, object][] = [
      ['price', { price: 'x' }],
      ['price', { price: null }],
      ['size', { size: -1 }],
      ['ts', { ts: 1.5 }],
      ['ts', { ts: -1 }],
      ['side', { side: 'BUY' }],
      ['id', { id: 7 }],
      ['symbol', { symbol: '' }],
      ['id', { id: 'a\u0000b' }],
    ]
    for (const [field, change] of wrong) {
      const error = refusal(() => checkEvent('trade', { ...trade, ...change }))
      assert.equal(error.code, 'EVENT_INVALID')
      assert.deepEqual(
        error.fields.map((each) => each.field),
        [field],
      )
    }
  })

  test(`a trade is accepted exactly if every field is what the contract says (seed ${SEED})`, () => {
    const isName = (most: number) => (value: unknown) =>
      typeof value === 'string' && value.length > 0 && value.length <= most && !value.includes('\u0000')
    const isMicros = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
    const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(value)
    const isDecimal = (value: unknown) =>
      value === undefined ||
      (typeof value === 'string' && value.length <= 96 && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value))
    const oracle: Record<keyof Trade, (value: unknown) => boolean> = {
      exchange: isName(64),
      symbol: isName(64),
      id: isName(128),
      side: (value) => value === 'buy' || value === 'sell' || value === 'unknown',
      price: isNumber,
      size: (value) => isNumber(value) && (value as number) >= 0,
      ts: isMicros,
      recvTs: isMicros,
      maybe: (value) => value === undefined || value === true,
      priceText: isDecimal,
      sizeText: isDecimal,
    }
    const value = fc.oneof(
      fc.string({ maxLength: 140 }),
      fc.string({ maxLength: 140, unit: 'binary' }),
      fc.double(),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
      fc.maxSafeInteger(),
      fc.constantFrom('buy', 'sell', 'unknown', null, undefined, true, [], {}),
    )
    const field = fc.constantFrom(...(Object.keys(oracle) as (keyof Trade)[]))
    fc.assert(
      fc.property(field, value, (name, content) => {
        let accepted = true
        try {
          checkEvent('trade', { ...trade, [name]: content })
        } catch {
          accepted = false
        }
        assert.equal(accepted, oracle[name](content), `${name} = ${JSON.stringify(content)}`)
      }),
      { seed: SEED, numRuns: 3_000 },
    )
  })
})
