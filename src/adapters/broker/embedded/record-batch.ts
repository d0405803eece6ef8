import { crc32 } from 'node:zlib'
import { areAlike, type RecordHeaders } from '../../../domain/record.ts'
import { TapelineError } from '../../../errors.ts'
import type { OutgoingRecord, StoredRecord } from '../../../ports/broker.ts'
import { ByteReader, ByteWriter } from './bytes.ts'

/**
 * A record batch: what one blob of the log holds, and what travels between the threads.
 *
 * Format 3, numbers as LEB128 varints, text as length and UTF-8:
 * - byte: format version
 * - number of distinct keys, then the keys
 * - number of distinct headers, then for each: flags, `v`, and where the flags say so shard, epoch, the context of a trace,
 *   the offset that the writer expected, the position's topic and partition
 * - number of records, then for each: key (0: null, else index + 1), index of the headers, where these have a position
 *   its offset and `n` (0: none, else n + 1), then the value (0: null, else length + 1, and the bytes)
 * - CRC-32 of all bytes before it, 4 bytes, the lowest first
 *
 * Format 2 was the same without expected offsets, format 1 without the checksum too.
 *
 * Offsets and the publication time are not part of it: they belong to the batch as a whole and stand beside the blob.
 */
const FORMAT_VERSION = 3
const WITHOUT_EXPECTED = 2
const WITHOUT_CHECKSUM = 1
const CHECKSUM_BYTES = 4

/** A batch holds at most so many records ... */
const MAX_BATCH_RECORDS = 500
/** ... and so many bytes of values, unless a single record is larger. */
const MAX_BATCH_BYTES = 256 * 1024

const KINDS = ['event', 'marker', 'control'] as const
const KIND_MASK = 0b11
const HAS_SHARD = 1 << 2
const HAS_EPOCH = 1 << 3
const HAS_POSITION = 1 << 4
const REENTERING = 1 << 5
const HAS_TRACE = 1 << 6
const HAS_EXPECTED = 1 << 7

/** A batch within a buffer: how many records it has, where it starts and ends. */
export interface EncodedBatch {
  readonly records: number
  readonly start: number
  readonly end: number
}

/** Writes records as one or more batches. */
export function encodeBatches(writer: ByteWriter, records: readonly OutgoingRecord[]): EncodedBatch[] {
  const batches: EncodedBatch[] = []
  let from = 0
  while (from < records.length) {
    const to = batchEnd(records, from)
    const start = writer.length
    encodeBatch(writer, records.slice(from, to))
    batches.push({ records: to - from, start, end: writer.length })
    from = to
  }
  return batches
}

/** Writes one batch of a single record, for topics that are compacted. */
export function encodeSingle(record: OutgoingRecord): Uint8Array {
  const writer = new ByteWriter((record.value?.length ?? 0) + 128)
  encodeBatch(writer, [record])
  return new Uint8Array(writer.buffer, 0, writer.length)
}

function batchEnd(records: readonly OutgoingRecord[], from: number): number {
  const limit = Math.min(records.length, from + MAX_BATCH_RECORDS)
  let bytes = records[from]?.value?.length ?? 0
  let to = from + 1
  while (to < limit) {
    bytes += records[to]?.value?.length ?? 0
    if (bytes > MAX_BATCH_BYTES) break
    to++
  }
  return to
}

function encodeBatch(writer: ByteWriter, records: readonly OutgoingRecord[]): void {
  const start = writer.length
  const keys = new Map<string, number>()
  const headers: RecordHeaders[] = []
  const keyOf: number[] = []
  const headersOf: number[] = []
  for (const record of records) {
    keyOf.push(record.key === null ? 0 : indexOfKey(keys, record.key) + 1)
    headersOf.push(indexOfHeaders(headers, record.headers))
  }
  writer.byte(FORMAT_VERSION)
  writer.varint(keys.size)
  for (const key of keys.keys()) writer.text(key)
  writer.varint(headers.length)
  for (const shared of headers) encodeHeaders(writer, shared)
  writer.varint(records.length)
  for (const [index, record] of records.entries()) {
    writer.varint(keyOf[index] as number)
    writer.varint(headersOf[index] as number)
    const position = record.headers.position
    if (position !== undefined) {
      writer.varint(position.offset)
      writer.varint(position.n === undefined ? 0 : position.n + 1)
    }
    if (record.value === null) {
      writer.byte(0)
    } else {
      writer.varint(record.value.length + 1)
      writer.bytes(record.value)
    }
  }
  const sum = crc32(writer.since(start))
  for (let shift = 0; shift < 32; shift += 8) writer.byte((sum >>> shift) & 0xff)
}

function indexOfKey(keys: Map<string, number>, key: string): number {
  const known = keys.get(key)
  if (known !== undefined) return known
  keys.set(key, keys.size)
  return keys.size - 1
}

/** Looks back over the last few only: records that share headers stand together, and a repeated entry does no harm. */
const HEADERS_LOOKED_AT = 16

function indexOfHeaders(known: RecordHeaders[], headers: RecordHeaders): number {
  const last = Math.max(0, known.length - HEADERS_LOOKED_AT)
  for (let index = known.length - 1; index >= last; index--) {
    if (sharesHeaders(known[index] as RecordHeaders, headers)) return index
  }
  return known.push(headers) - 1
}

function sharesHeaders(a: RecordHeaders, b: RecordHeaders): boolean {
  if (a === b) return true
  const isOfPartition =
    a.position?.topic === b.position?.topic && a.position?.partition === b.position?.partition
  return isOfPartition && a.expected === b.expected && areAlike(a, b)
}

function encodeHeaders(writer: ByteWriter, headers: RecordHeaders): void {
  const { v, kind, shard, epoch, expected, position, reentering, trace } = headers
  writer.byte(
    KINDS.indexOf(kind) |
      (shard === undefined ? 0 : HAS_SHARD) |
      (epoch === undefined ? 0 : HAS_EPOCH) |
      (position === undefined ? 0 : HAS_POSITION) |
      (reentering ? REENTERING : 0) |
      (trace === undefined ? 0 : HAS_TRACE) |
      (expected === undefined ? 0 : HAS_EXPECTED),
  )
  writer.varint(v)
  if (shard !== undefined) writer.varint(shard)
  if (epoch !== undefined) writer.varint(epoch)
  if (trace !== undefined) writer.text(trace)
  if (expected !== undefined) writer.varint(expected)
  if (position !== undefined) {
    writer.text(position.topic)
    writer.varint(position.partition)
  }
}

/** What the records of a batch share; the position lacks its offset and `n`. */
interface SharedHeaders {
  readonly headers: RecordHeaders
  readonly position: { readonly topic: string; readonly partition: number } | undefined
}

function decodeHeaders(reader: ByteReader): SharedHeaders {
  const flags = reader.byte()
  const kind = KINDS[flags & KIND_MASK]
  if (kind === undefined) throw new RangeError(`unknown kind of record ${flags & KIND_MASK}`)
  const v = reader.varint()
  const headers: RecordHeaders = {
    v,
    kind,
    ...(flags & HAS_SHARD ? { shard: reader.varint() } : undefined),
    ...(flags & HAS_EPOCH ? { epoch: reader.varint() } : undefined),
    ...(flags & REENTERING ? { reentering: true } : undefined),
    ...(flags & HAS_TRACE ? { trace: reader.text() } : undefined),
    ...(flags & HAS_EXPECTED ? { expected: reader.varint() } : undefined),
  }
  const position = flags & HAS_POSITION ? { topic: reader.text(), partition: reader.varint() } : undefined
  return { headers, position }
}

/** Where a batch stands in its partition. */
export interface BatchPlace {
  readonly baseOffset: number
  /** Publication time of all its records, in milliseconds. */
  readonly timestamp: number
  /** Records below this offset are left out. */
  readonly fromOffset: number
}

/**
 * Decodes a batch, adding its records to `into`. Values are views into `bytes`, not copies.
 * Raises DATA_FOLDER_UNUSABLE where the bytes are not a batch of a known format.
 */
export function decodeBatch(bytes: Uint8Array, place: BatchPlace, into: StoredRecord[]): void {
  try {
    const reader = new ByteReader(checked(bytes))
    reader.byte()
    decodeRecords(reader, place, into)
    if (!reader.finished) throw new RangeError('there are bytes after the last record')
  } catch (error) {
    throw new TapelineError(
      'DATA_FOLDER_UNUSABLE',
      `The batch at offset ${place.baseOffset} cannot be decoded: ${(error as Error).message}.`,
      { cause: error },
    )
  }
}

/** The bytes without their checksum, which is right. */
function checked(bytes: Uint8Array): Uint8Array {
  const [version] = bytes
  if (version === WITHOUT_CHECKSUM) return bytes
  if (version !== FORMAT_VERSION && version !== WITHOUT_EXPECTED)
    throw new RangeError(`unknown format ${version}`)
  if (bytes.length <= CHECKSUM_BYTES) throw new RangeError('the bytes end too early')
  const body = bytes.subarray(0, -CHECKSUM_BYTES)
  const sum = new DataView(bytes.buffer, bytes.byteOffset + body.length).getUint32(0, true)
  if (crc32(body) !== sum) throw new RangeError('the checksum is wrong')
  return body
}

function decodeRecords(reader: ByteReader, place: BatchPlace, into: StoredRecord[]): void {
  const { baseOffset, timestamp, fromOffset } = place
  const keys = Array.from({ length: reader.varint() }, () => reader.text())
  const shared = Array.from({ length: reader.varint() }, () => decodeHeaders(reader))
  const count = reader.varint()
  for (let index = 0; index < count; index++) {
    const keyIndex = reader.varint()
    const { headers, position } = shared[reader.varint()] as SharedHeaders
    const positionOffset = position && reader.varint()
    const ordinal = position && reader.varint()
    const length = reader.varint() - 1
    const offset = baseOffset + index
    if (offset < fromOffset) {
      if (length > 0) reader.skip(length)
      continue
    }
    into.push({
      key: keyIndex === 0 ? null : (keys[keyIndex - 1] as string),
      value: length < 0 ? null : reader.bytes(length),
      headers: position
        ? withPosition(headers, position, positionOffset as number, ordinal as number)
        : headers,
      offset,
      timestamp,
    })
  }
}

function withPosition(
  headers: RecordHeaders,
  { topic, partition }: { readonly topic: string; readonly partition: number },
  offset: number,
  ordinal: number,
): RecordHeaders {
  const position = ordinal === 0 ? { topic, partition, offset } : { topic, partition, offset, n: ordinal - 1 }
  return { ...headers, position }
}
