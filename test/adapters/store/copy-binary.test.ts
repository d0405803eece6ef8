import assert from 'node:assert/strict'
import { test } from 'node:test'
import { copyStream, joinPieces, TupleWriter } from '../../../src/adapters/store/copy-binary.ts'

test('a COPY stream has the documented bytes', () => {
  const writer = new TupleWriter(8)
  writer.startRow(6)
  writer.text('é')
  writer.double(1.5)
  writer.timestamp(946_684_800_000_001)
  writer.text(undefined)
  writer.integer(7)
  writer.boolean(true)
  assert.equal(writer.rows, 1)
  const bytes = Buffer.concat(copyStream([writer.finish()]))
  const expected = [
    '5047434f50590aff0d0a00' + '00000000' + '00000000',
    '0006',
    '00000002' + 'c3a9',
    '00000008' + '3ff8000000000000',
    '00000008' + '0000000000000001',
    'ffffffff',
    '00000004' + '00000007',
    '00000001' + '01',
    'ffff',
  ]
  assert.equal(bytes.toString('hex'), expected.join(''))
})

test('text of any kind and length is UTF-8', () => {
  const texts = ['', 'BTC-USD', 'é', 'BTC-€', 'x'.repeat(33), 'ü'.repeat(33), '\u{1f4c8}', 'a\0b']
  for (const text of texts) {
    const writer = new TupleWriter(1)
    writer.text(text)
    const bytes = Buffer.from(writer.finish())
    assert.equal(bytes.readInt32BE(0), Buffer.byteLength(text))
    assert.equal(bytes.toString('utf8', 4), text)
  }
})

test('times before 2000 and far ahead keep their microseconds', () => {
  for (const micros of [0, 1, 946_684_799_999_999, 4_102_444_800_123_456]) {
    const writer = new TupleWriter()
    writer.timestamp(micros)
    const bytes = Buffer.from(writer.finish())
    assert.equal(bytes.readBigInt64BE(4), BigInt(micros) - 946_684_800_000_000n)
  }
})

test('segments of several partitions travel in one stream', () => {
  const segment = (id: string): Uint8Array => {
    const writer = new TupleWriter()
    writer.startRow(1)
    writer.text(id)
    return writer.finish()
  }
  const both = Buffer.from(joinPieces(copyStream([segment('a'), segment('b')])))
  assert.equal(both.length, 19 + 2 * (2 + 4 + 1) + 2)
})
