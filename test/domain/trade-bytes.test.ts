import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TupleWriter } from '../../src/adapters/store/copy-binary.ts'
import { decodeEvent, encodeEvent } from '../../src/domain/event-codec.ts'
import { TABLES } from '../../src/domain/rows.ts'
import { writeTradeBytes } from '../../src/domain/trade-bytes.ts'
import { SEED } from '../seed.ts'

/** The row that the bytes give directly; undefined where they are left to `decodeEvent`. */
function direct(bytes: Uint8Array): Buffer | undefined {
  const to = new TupleWriter()
  const isWritten = writeTradeBytes(to, bytes)
  assert.equal(to.rows, isWritten ? 1 : 0)
  return isWritten ? Buffer.from(to.finish()) : undefined
}

/** The row by way of JSON.parse and the checks. Raises what `decodeEvent` raises. */
function decoded(bytes: Uint8Array): Buffer {
  const to = new TupleWriter()
  TABLES.trade.write(to, decodeEvent('trade', bytes, 1))
  return Buffer.from(to.finish())
}

const name = fc.string({
  minLength: 1,
  maxLength: 70,
  unit: fc.constantFrom('a', 'Z', '-', ' ', '~', '"', '\\', 'é', '\u0000', '\n'),
})
const plain = fc.string({ minLength: 1, maxLength: 64, unit: fc.constantFrom('a', 'Z', '-', ' ', '~', '0') })
/** Nearly always the first: else hardly a trade would be plain in all of its fields. */
const mostly = <T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 15, arbitrary: usual }, { weight: 1, arbitrary: odd })

const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.double({ min: 0, max: 1e6, noNaN: true }),
  fc.integer({ min: 0, max: 1e9 }).map((n) => n / 1e8),
  fc.maxSafeNat(),
)
const micros = mostly(
  fc.maxSafeNat(),
  fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ min: 0, max: 1e17, noNaN: true })),
)
const event = fc.record({
  exchange: mostly(plain, name),
  symbol: mostly(plain, name),
  id: mostly(plain, name),
  side: mostly(fc.constantFrom('buy', 'sell', 'unknown'), fc.constantFrom('bu', 'buyer')),
  price: number,
  size: number,
  ts: micros,
  recvTs: micros,
})

test(`a row taken from the bytes is the row of the decoded trade (seed ${SEED})`, () => {
  let taken = 0
  fc.assert(
    fc.property(event, (trade) => {
      const bytes = new TextEncoder().encode(JSON.stringify(trade))
      const row = direct(bytes)
      if (row === undefined) return
      taken++
      assert.deepEqual(row, decoded(bytes))
    }),
    { seed: SEED, numRuns: 5_000 },
  )
  assert.ok(taken > 200, `only ${taken} were taken`)
})

test(`what is cut, or changed in one byte, gives the row of the decoded trade or is left to it (seed ${SEED})`, () => {
  const bytes = encodeEvent({
    ...{ exchange: 'coinbase', symbol: 'BTC-USD', id: '12', side: 'sell', price: 64_123.25, size: 0.015 },
    ...{ ts: 1_732_440_000_000_001, recvTs: 1_732_440_000_000_002 },
  })
  assert.deepEqual(direct(bytes), decoded(bytes))
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(direct(bytes.subarray(0, length)), undefined, `cut at ${length}`)
  }
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, byte) => {
      const changed = Uint8Array.from(bytes)
      changed[at] = byte
      const row = direct(changed)
      if (row !== undefined) assert.deepEqual(row, decoded(changed))
    }),
    { seed: SEED, numRuns: 20_000 },
  )
})

test('numbers as other programs write them give the same double, or are left to JSON.parse', () => {
  const numbers = [
    '0',
    '1',
    '1.0',
    '0.1',
    '100.10',
    '0.30000000000000004',
    '9007199254740993',
    '123456789.123456789',
  ]
  const others = ['01', '1.', '.5', '+1', '1e3', '-1', '1_0', '0x1', '', ' 1', 'NaN']
  const bytesWith = (price: string): Uint8Array =>
    new TextEncoder().encode(
      `{"exchange":"x","symbol":"A-B","id":"1","side":"buy","price":${price},"size":1,"ts":1,"recvTs":2}`,
    )
  for (const text of numbers) assert.deepEqual(direct(bytesWith(text)), decoded(bytesWith(text)), text)
  for (const text of others) assert.equal(direct(bytesWith(text)), undefined, text)
})
