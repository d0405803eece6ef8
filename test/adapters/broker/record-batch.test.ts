import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { ByteWriter } from '../../../src/adapters/broker/embedded/bytes.ts'
import {
  decodeBatch,
  encodeBatches,
  encodeSingle,
} from '../../../src/adapters/broker/embedded/record-batch.ts'
import type { RecordHeaders } from '../../../src/domain/record.ts'
import type { OutgoingRecord, StoredRecord } from '../../../src/ports/broker.ts'

const whole = fc.oneof(fc.nat(300), fc.maxSafeNat())
const key = fc.option(
  fc.oneof(fc.constantFrom('coinbase:BTC-USD', 'kraken:ETH-USD', ''), fc.string({ unit: 'grapheme' })),
)

const position = fc.record(
  {
    topic: fc.string({ unit: 'grapheme' }),
    partition: whole,
    offset: whole,
    n: fc.maxSafeNat().filter((n) => n < 2 ** 53 - 1),
  },
  { requiredKeys: ['topic', 'partition', 'offset'] },
)
const headers: fc.Arbitrary<RecordHeaders> = fc.record(
  {
    v: whole,
    kind: fc.constantFrom('event', 'marker', 'control'),
    shard: whole,
    epoch: whole,
    expected: whole,
    position,
    reentering: fc.constant(true),
    trace: fc.string({ unit: 'grapheme' }),
  },
  { requiredKeys: ['v', 'kind'] },
)
const record: fc.Arbitrary<OutgoingRecord> = fc.record({
  key,
  value: fc.option(
    fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 120, maxLength: 300 })),
  ),
  headers,
})

/** As a batch keeps them: what fast-check makes has no prototype. */
const plain = ({ key, value, headers }: OutgoingRecord) => ({
  key,
  value: value && [...value],
  headers: { ...headers, ...(headers.position && { position: { ...headers.position } }) },
})

function encode(records: readonly OutgoingRecord[]) {
  const writer = new ByteWriter(0)
  writer.text('something before')
  const ranges = encodeBatches(writer, records)
  return { ranges, bytes: new Uint8Array(writer.buffer), length: writer.length }
}

function decodeAll(
  encoded: ReturnType<typeof encode>,
  baseOffset: number,
  fromOffset: number,
): StoredRecord[] {
  const decoded: StoredRecord[] = []
  let base = baseOffset
  for (const { records, start, end } of encoded.ranges) {
    decodeBatch(encoded.bytes.subarray(start, end), { baseOffset: base, timestamp: 5, fromOffset }, decoded)
    base += records
  }
  return decoded
}

test('what is encoded is decoded, from any offset on', () => {
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 40 }),
      fc.nat(1_000_000),
      fc.nat(50),
      (records, base, skipped) => {
        const decoded = decodeAll(encode(records), base, base + skipped)
        assert.deepEqual(
          decoded.map(({ offset, timestamp, ...rest }) => [offset, timestamp, plain(rest)]),
          records.map((original, index) => [base + index, 5, plain(original)]).slice(skipped),
        )
      },
    ),
  )
})

test('a single record is a batch of its own', () => {
  fc.assert(
    fc.property(record, (original) => {
      const decoded: StoredRecord[] = []
      decodeBatch(encodeSingle(original), { baseOffset: 9, timestamp: 8, fromOffset: 9 }, decoded)
      assert.deepEqual(decoded.map(plain), [plain(original)])
    }),
  )
})

test('many records become batches of bounded size', () => {
  const make = (count: number, bytes: number): OutgoingRecord[] =>
    Array.from({ length: count }, () => ({
      key: null,
      value: new Uint8Array(bytes),
      headers: { v: 1, kind: 'event' },
    }))
  const sizes = (records: OutgoingRecord[]) => encode(records).ranges.map(({ records: count }) => count)
  assert.deepEqual(sizes(make(1_001, 10)), [500, 500, 1])
  assert.deepEqual(sizes(make(5, 100 * 1024)), [2, 2, 1])
  assert.deepEqual(sizes(make(2, 1024 * 1024)), [1, 1])
  assert.deepEqual(sizes([]), [])
})

test('bytes that are no batch are refused', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 5 }), fc.nat(), (records, seed) => {
      const { bytes, ranges } = encode(records)
      const batch = bytes.slice(ranges[0]?.start, ranges[0]?.end)
      const place = { baseOffset: 0, timestamp: 0, fromOffset: 0 }
      const unusable = { code: 'DATA_FOLDER_UNUSABLE' }
      assert.throws(() => decodeBatch(batch.subarray(0, seed % batch.length), place, []), unusable)
      assert.throws(() => decodeBatch(Uint8Array.of(...batch, 0), place, []), unusable)
      assert.throws(() => decodeBatch(Uint8Array.of(4, ...batch.subarray(1)), place, []), unusable)
      const spoilt = batch.slice()
      const at = seed % spoilt.length
      spoilt[at] = (spoilt[at] ?? 0) ^ (1 + (seed % 255))
      assert.throws(() => decodeBatch(spoilt, place, []), unusable)
    }),
  )
})

test('a batch of a format before, without an expected offset or a checksum, is read', () => {
  fc.assert(
    fc.property(
      record,
      fc.constantFrom(1, 2),
      ({ headers: { expected: _, ...headers }, ...rest }, format) => {
        const original = { ...rest, headers }
        const former = encodeSingle(original)
        former[0] = format
        const body = former.subarray(0, -4)
        new DataView(former.buffer, body.length).setUint32(0, crc32(body), true)
        const decoded: StoredRecord[] = []
        const place = { baseOffset: 9, timestamp: 8, fromOffset: 9 }
        decodeBatch(format === 1 ? body : former, place, decoded)
        assert.deepEqual(decoded.map(plain), [plain(original)])
      },
    ),
  )
})
