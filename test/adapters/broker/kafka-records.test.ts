import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRecordsBatch, Reader, readRecordsBatch, Writer } from '@platformatic/kafka'
import fc from 'fast-check'
import { checksum } from '../../../src/adapters/broker/kafka/checksum.ts'
import { FetchedBatches } from '../../../src/adapters/broker/kafka/fetched-batches.ts'
import { encodeBatch } from '../../../src/adapters/broker/kafka/record-encoder.ts'
import type { RecordHeaders } from '../../../src/domain/record.ts'
import type { OutgoingRecord, StoredRecord } from '../../../src/ports/broker.ts'

const IDENTITY = { producerId: 4_711n, producerEpoch: 3, sequence: 99, transactional: false }
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

const counts = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const positions = fc.record(
  {
    topic: fc.stringMatching(/^[a-z][a-z0-9._-]{0,20}$/),
    partition: fc.nat(99),
    offset: counts,
    n: fc.nat(99),
  },
  { requiredKeys: ['topic', 'partition', 'offset'], noNullPrototype: true },
)
const anyHeaders: fc.Arbitrary<RecordHeaders> = fc.oneof(
  fc.constant({ v: 1, kind: 'event' } as const),
  fc
    .record(
      {
        v: fc.nat(9),
        kind: fc.constantFrom('event', 'marker', 'control'),
        shard: fc.nat(99),
        epoch: counts,
        expected: counts,
        position: positions,
        reentering: fc.constant(true as const),
        trace: fc.constantFrom(
          `00-${'ab'.repeat(16)}-${'12'.repeat(8)}-01`,
          `00-${'cd'.repeat(16)}-${'34'.repeat(8)}-01`,
        ),
      },
      { requiredKeys: ['v', 'kind'], noNullPrototype: true },
    )
    .map(({ epoch, ...rest }) =>
      rest.shard === undefined || epoch === undefined ? rest : { ...rest, epoch },
    ),
)
const records: fc.Arbitrary<OutgoingRecord[]> = fc.array(
  fc.record({
    key: fc.option(fc.string({ unit: 'grapheme', maxLength: 100 })),
    value: fc.option(fc.uint8Array({ maxLength: 300 })),
    headers: anyHeaders,
  }),
  { minLength: 1, maxLength: 150 },
)

/** A batch as a broker gives it back: it writes the offset in, and the time that it was appended. */
function stored(batch: Buffer, baseOffset: number): Buffer {
  const copy = Buffer.from(batch)
  copy.writeBigInt64BE(BigInt(baseOffset), 0)
  return copy
}

function decode(bytes: Buffer, from: number, maxRecords = 1e6): { read: StoredRecord[]; nextOffset: number } {
  const batches = new FetchedBatches({ bytes, aborted: [], lastStableOffset: 1e9 }, from, true)
  const read: StoredRecord[] = []
  while (!batches.isDone) batches.read(read, read.length + maxRecords)
  return { read, nextOffset: batches.nextOffset }
}

const plain = ({ key, value, headers }: OutgoingRecord) => ({ key, headers, value: value && [...value] })

test('records come back as they were, in every compression, from any offset', () => {
  fc.assert(
    fc.property(
      fc.array(records, { minLength: 1, maxLength: 3 }),
      fc.constantFrom(...CODECS),
      fc.nat(200),
      counts,
      (batches, codec, skip, far) => {
        const base = Math.min(far, 2 ** 52)
        let offset = base
        const bytes = batches.map((batch) => {
          const encoded = stored(encodeBatch(batch, IDENTITY, codec), offset)
          offset += batch.length
          return encoded
        })
        const { read, nextOffset } = decode(Buffer.concat(bytes), base + skip, 7)
        assert.deepEqual(read.map(plain), batches.flat().slice(skip).map(plain))
        assert.deepEqual(
          read.map((record) => record.offset),
          batches
            .flat()
            .map((_, i) => base + i)
            .slice(skip),
        )
        assert.equal(nextOffset, Math.max(offset, base + skip))
      },
    ),
    { numRuns: 150 },
  )
})

test('the library reads what we write', () => {
  fc.assert(
    fc.property(records, fc.constantFrom(...CODECS), (batch, codec) => {
      const read = readRecordsBatch(Reader.from(encodeBatch(batch, IDENTITY, codec)))
      assert.deepEqual([read.producerId, read.producerEpoch, read.firstSequence], [4_711n, 3, 99])
      assert.equal(read.lastOffsetDelta, batch.length - 1)
      assert.deepEqual(
        read.records.map(({ key, value }) => [key?.toString() ?? null, value && [...value]]),
        batch.map(({ key, value }) => [key, value && [...value]]),
      )
    }),
    { numRuns: 50 },
  )
})

test('we read what the library writes, also without headers of ours', () => {
  const writer = createRecordsBatch(
    [
      {
        topic: 't',
        partition: 0,
        key: Buffer.from('k'),
        value: Buffer.from('x'),
        timestamp: 1_700_000_000_000n,
      },
      {
        topic: 't',
        partition: 0,
        value: Buffer.from('y'),
        timestamp: 1_700_000_000_007n,
        headers: new Map([[Buffer.from('trace'), Buffer.from('abc')]]),
      },
    ],
    { compression: 'none' },
  )
  const { read } = decode(Writer.create().appendFrom(writer).buffer, 0)
  const headers = { v: 0, kind: 'event' } as const
  assert.deepEqual(
    read.map(({ value, ...rest }) => ({ ...rest, value: value && Buffer.from(value).toString() })),
    [
      { offset: 0, timestamp: 1_700_000_000_000, key: 'k', value: 'x', headers },
      { offset: 1, timestamp: 1_700_000_000_007, key: null, value: 'y', headers },
    ],
  )
})

test('a batch that is not whole waits for the next fetch', () => {
  const headers = { v: 1, kind: 'event' } as const
  const batch = encodeBatch([{ key: 'k', value: Buffer.from('v'), headers }], IDENTITY, 'none')
  for (let length = 0; length < batch.length; length++) {
    const { read, nextOffset } = decode(Buffer.concat([batch, stored(batch, 1).subarray(0, length)]), 0)
    assert.deepEqual([read.length, nextOffset], [1, 1])
  }
})

/** Bytes of a batch that its checksum does not cover and that tell nothing of damage: its offset and its leader's epoch. */
const isUncovered = (at: number): boolean => at < 8 || (at >= 12 && at < 16)

test('whatever byte of a batch is wrong, the batches beside it are read, and it is told with its offsets', () => {
  fc.assert(
    fc.property(
      fc.tuple(records, records, records),
      fc.constantFrom(...CODECS),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      ([first, second, third], codec, place, mask) => {
        const [a, b] = [first.length, first.length + second.length]
        const encoded = [first, second, third].map((own, i) =>
          stored(encodeBatch(own, IDENTITY, codec), [0, a, b][i] ?? 0),
        )
        const [front, spoilt, back] = encoded as [Buffer, Buffer, Buffer]
        const at = place % spoilt.length
        fc.pre(!isUncovered(at))
        spoilt[at] = (spoilt[at] ?? 0) ^ mask
        const bytes = Buffer.concat([front, spoilt, back])
        const fetched = { bytes, aborted: [], lastStableOffset: b + third.length }

        // It may have been spoilt on its way: what lies in front of it is taken, and the rest asked for again.
        const early = new FetchedBatches(fetched, 0, false)
        // A length that is too large looks like the end of what was fetched.
        assert.equal(early.end, a)
        const again = new FetchedBatches({ ...fetched, bytes: bytes.subarray(front.length) }, a, false)
        assert.deepEqual([again.isCut, again.end, again.isDone], [true, a, true])

        const last = new FetchedBatches({ ...fetched, bytes: bytes.subarray(front.length) }, a, true)
        const read: StoredRecord[] = []
        const span = last.read(read, 1e6)
        assert.ok(span !== undefined && read.length === 0)
        assert.deepEqual([span.offset, span.nextOffset], [a, b])
        assert.deepEqual(span.bytes, spoilt)
        assert.equal(last.read(read, 1e6), undefined)
        assert.deepEqual(
          read.map(({ offset }) => offset),
          third.map((_, i) => b + i),
        )
        assert.equal(last.nextOffset, b + third.length)
      },
    ),
    { numRuns: 300 },
  )
})

test('what a checksum covers and is still no record is told too, without records of the batch', () => {
  const five = Array.from({ length: 5 }, (_, i) => ({
    ...{ key: 'k', value: Buffer.from(`value ${i}`), headers: { v: 1, kind: 'event' } as const },
  }))
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 0, max: 255 }), (place, byte) => {
      const batch = encodeBatch(five, IDENTITY, 'none')
      const at = 61 + (place % (batch.length - 61))
      batch[at] = byte
      batch.writeUInt32BE(checksum(batch.subarray(21)), 17)
      const bytes = Buffer.concat([batch, stored(encodeBatch(five, IDENTITY, 'none'), 5)])
      const batches = new FetchedBatches({ bytes, aborted: [], lastStableOffset: 10 }, 0, false)
      assert.equal(batches.isCut, false, 'the bytes are those that were written')
      const read: StoredRecord[] = []
      const span = batches.read(read, 1e6)
      if (span !== undefined) {
        assert.deepEqual([read.length, span.offset, span.nextOffset], [0, 0, 5])
        batches.read(read, 1e6)
      }
      assert.deepEqual(
        read.slice(-5).map(({ offset }) => offset),
        [5, 6, 7, 8, 9],
      )
    }),
    { numRuns: 300 },
  )
})
