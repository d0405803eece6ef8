import { compressionsAlgorithms } from '@platformatic/kafka'
import type { OutgoingRecord } from '../../../ports/broker.ts'
import { checksum } from './checksum.ts'
import { HeaderEncoder } from './header-encoder.ts'
import { AT, MAGIC } from './record-decoder.ts'
import type { KafkaSettings } from './settings.ts'
import { varintSize, writeVarint } from './varint.ts'

/** Who writes a batch, and which number its first record has among those of this writer in the partition. */
export interface BatchIdentity {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly sequence: number
  readonly transactional: boolean
}

const TRANSACTIONAL = 1 << 4
const NULL_SIZE = 1
/** Attributes and the delta of the time, which is 0: the topic's own time counts. */
const FIXED_BYTES = 2
/** The lengths of a record, its key, its value and its place in the batch. */
const LONGEST_LENGTHS = 20

const headers = new HeaderEncoder()

/** Encodes records as one batch, with the present time. */
export function encodeBatch(
  records: readonly OutgoingRecord[],
  identity: BatchIdentity,
  compression: KafkaSettings['compression'],
): Buffer {
  const plain = encodeRecords(records)
  const algorithm = compressionsAlgorithms[compression]
  const body = compression === 'none' ? plain : plain.subarray(0, AT.records)
  const packed = compression === 'none' ? undefined : algorithm.compressSync(plain.subarray(AT.records))
  const batch = packed === undefined ? body : Buffer.concat([body, packed])
  const now = BigInt(Date.now())
  batch.writeBigInt64BE(0n, 0)
  batch.writeInt32BE(batch.length - AT.leaderEpoch, AT.length)
  batch.writeInt32BE(-1, AT.leaderEpoch)
  batch.writeInt8(MAGIC, AT.magic)
  batch.writeInt16BE(algorithm.bitmask | (identity.transactional ? TRANSACTIONAL : 0), AT.attributes)
  batch.writeInt32BE(records.length - 1, AT.lastDelta)
  batch.writeBigInt64BE(now, AT.firstTimestamp)
  batch.writeBigInt64BE(now, AT.maxTimestamp)
  batch.writeBigInt64BE(identity.producerId, AT.producerId)
  batch.writeInt16BE(identity.producerEpoch, AT.producerEpoch)
  batch.writeInt32BE(identity.sequence, AT.sequence)
  batch.writeInt32BE(records.length, AT.count)
  batch.writeUInt32BE(checksum(batch.subarray(AT.attributes)), AT.crc)
  return batch
}

/** The records with room in front for what a batch begins with. */
function encodeRecords(records: readonly OutgoingRecord[]): Buffer {
  const buffer = Buffer.allocUnsafe(AT.records + largest(records))
  let at: number = AT.records
  for (const [delta, record] of records.entries()) at = writeRecord(buffer, at, delta, record)
  return buffer.subarray(0, at)
}

function largest(records: readonly OutgoingRecord[]): number {
  let bytes = 0
  for (const { key, value, headers: own } of records) {
    const keyBytes = key === null ? 0 : key.length * 3
    bytes += LONGEST_LENGTHS + FIXED_BYTES + keyBytes + (value?.length ?? 0) + headers.largest(own)
  }
  return bytes
}

function writeRecord(buffer: Buffer, start: number, delta: number, record: OutgoingRecord): number {
  const { key, value } = record
  const keyLength = key === null ? -1 : Buffer.byteLength(key)
  const ownHeaders = headers.encode(record.headers)
  const length =
    FIXED_BYTES +
    varintSize(delta) +
    (keyLength < 0 ? NULL_SIZE : varintSize(keyLength) + keyLength) +
    (value === null ? NULL_SIZE : varintSize(value.length) + value.length) +
    ownHeaders.length
  let at = writeVarint(buffer, start, length)
  buffer[at++] = 0
  buffer[at++] = 0
  at = writeVarint(buffer, at, delta)
  at = writeVarint(buffer, at, keyLength)
  if (key !== null) at += buffer.write(key, at)
  at = writeVarint(buffer, at, value === null ? -1 : value.length)
  if (value !== null) {
    buffer.set(value, at)
    at += value.length
  }
  buffer.set(ownHeaders, at)
  return at + ownHeaders.length
}
