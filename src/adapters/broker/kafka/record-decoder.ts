import { compressionsAlgorithmsByBitmask } from '@platformatic/kafka'
import { TapelineError } from '../../../errors.ts'
import type { StoredRecord } from '../../../ports/broker.ts'
import type { HeaderDecoder } from './header-decoder.ts'

/** Where the parts of a batch lie. Source of the format: https://kafka.apache.org/documentation/#recordbatch */
export const AT = {
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastDelta: 23,
  firstTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  sequence: 53,
  count: 57,
  records: 61,
} as const
/** What a batch has in front of its records. */
export const BATCH_HEAD_BYTES = AT.records
/** The format of batches since Kafka 0.11. */
export const MAGIC = 2
const COMPRESSION = 0b111
const LOG_APPEND_TIME = 1 << 3
/** Attributes, the deltas, the lengths of key and value, and the number of headers take a byte each at least. */
const SHORTEST_RECORD_BYTES = 6

/** Where the batch ends that begins there, by its own word. */
export function endOf(bytes: Buffer, start: number): number {
  return start + AT.leaderEpoch + bytes.readInt32BE(start + AT.length)
}

/** The offset of the last record of the batch that begins there. */
export function lastOffsetOf(bytes: Buffer, start: number): number {
  return readInt64(bytes, start) + bytes.readInt32BE(start + AT.lastDelta)
}

/**
 * Decodes the records of one batch from an offset on. Raises BATCH_UNDECODABLE, and what unpacking raises; some of the records may be
 * in `into` then.
 */
export function decodeRecords(
  bytes: Buffer,
  start: number,
  end: number,
  from: number,
  headers: HeaderDecoder,
  into: StoredRecord[],
): void {
  const attributes = bytes.readInt16BE(start + AT.attributes)
  const isAppendTime = (attributes & LOG_APPEND_TIME) !== 0
  const batch: Batch = {
    baseOffset: readInt64(bytes, start),
    from,
    isAppendTime,
    timestamp: readInt64(bytes, start + (isAppendTime ? AT.maxTimestamp : AT.firstTimestamp)),
    count: bytes.readInt32BE(start + AT.count),
  }
  const compression = attributes & COMPRESSION
  const packed = bytes.subarray(start + AT.records, end)
  readRecords(compression === 0 ? packed : unpack(packed, compression), batch, headers, into)
}

interface Batch {
  readonly baseOffset: number
  /** Records in front of it are passed over. */
  readonly from: number
  readonly isAppendTime: boolean
  readonly timestamp: number
  readonly count: number
}

function unpack(bytes: Buffer, compression: number): Buffer {
  const algorithm = compressionsAlgorithmsByBitmask[compression]
  if (algorithm === undefined)
    throw undecodable(`it is compressed in a way that is not known (${compression})`)
  return algorithm.decompressSync(bytes)
}

function undecodable(reason: string): TapelineError {
  return new TapelineError('BATCH_UNDECODABLE', reason)
}

/** Reads the records of a batch. No closure, no array and no big number a record: this is where the time of a reader goes. */
function readRecords(
  bytes: Buffer,
  { baseOffset, from, isAppendTime, timestamp, count }: Batch,
  headers: HeaderDecoder,
  into: StoredRecord[],
): void {
  const cursor = new Cursor(bytes, 0)
  for (let i = 0; i < count; i++) {
    const length = cursor.varint()
    const end = cursor.at + length
    if (length < SHORTEST_RECORD_BYTES || end > bytes.length)
      throw undecodable(`record ${i} of ${count} has a length that cannot be (${length} bytes)`)
    cursor.at++
    const timeDelta = cursor.varint()
    const offset = baseOffset + cursor.varint()
    if (offset >= from) {
      const keyLength = cursor.varint()
      const key = keyLength < 0 ? null : bytes.toString('utf8', cursor.at, cursor.at + keyLength)
      if (keyLength > 0) cursor.at += keyLength
      const valueLength = cursor.varint()
      const value = valueLength < 0 ? null : bytes.subarray(cursor.at, cursor.at + valueLength)
      if (valueLength > 0) cursor.at += valueLength
      if (cursor.at >= end) throw undecodable(`a part of record ${i} of ${count} is longer than the record`)
      into.push({
        offset,
        timestamp: isAppendTime ? timestamp : timestamp + timeDelta,
        key,
        value,
        headers: headers.decode(bytes, cursor.at, end),
      })
    }
    cursor.at = end
  }
}

/** Reads numbers of variable length, zigzag, up to 2^53. */
class Cursor {
  readonly #bytes: Buffer
  at: number

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.at = at
  }

  varint(): number {
    const first = this.#bytes[this.at++] ?? 0
    if (first < 0x80) return (first & 1) === 0 ? first >>> 1 : -((first + 1) >>> 1)
    let value = first & 0x7f
    let scale = 0x80
    for (;;) {
      const byte = this.#bytes[this.at++] ?? 0
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
      scale *= 0x80
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
}

/** A signed integer of 64 bits, exact up to 2^53. */
export function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4_294_967_296 + bytes.readUInt32BE(at + 4)
}
