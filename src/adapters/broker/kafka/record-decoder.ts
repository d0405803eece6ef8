import { compressionsAlgorithmsByBitmask } from '@platformatic/kafka'
import { TapelineError } from '../../../errors.ts'
import type { StoredRecord } from '../../../ports/broker.ts'
import { HeaderDecoder } from './header-decoder.ts'

/** Source of the format: https://kafka.apache.org/documentation/#recordbatch */
const AT = {
  length: 8,
  leaderEpoch: 12,
  attributes: 21,
  lastDelta: 23,
  firstTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  count: 57,
  records: 61,
} as const
const COMPRESSION = 0b111
const LOG_APPEND_TIME = 1 << 3
const TRANSACTIONAL = 1 << 4
const CONTROL = 1 << 5

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

/**
 * The batches that one fetch gave of one partition, decoded one after the other. Control batches, records of aborted
 * transactions, and what lies in front of the wanted offset are passed over.
 */
export class FetchedBatches {
  readonly #bytes: Buffer
  readonly #headers = new HeaderDecoder()
  readonly #starting: AbortedTransaction[]
  readonly #aborted = new Set<number>()
  #at = 0
  /** The offset behind all that was decoded. */
  nextOffset: number

  /** `bytes` may end in the middle of a batch, which then is not there yet. */
  constructor(bytes: Buffer, from: number, aborted: readonly AbortedTransaction[]) {
    this.#bytes = bytes
    this.nextOffset = from
    this.#starting = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
  }

  get isDone(): boolean {
    return this.#end(this.#at) === undefined
  }

  /** The offset behind all that is there, decoded or not. */
  get behind(): number {
    let behind = this.nextOffset
    for (let at = this.#at, end = this.#end(at); end !== undefined; at = end, end = this.#end(at)) {
      const lastOffset = readInt64(this.#bytes, at) + this.#bytes.readInt32BE(at + AT.lastDelta)
      behind = Math.max(behind, lastOffset + 1)
    }
    return behind
  }

  /** Decodes batches until so many records are in `into` or nothing is left. Views of the fetched bytes. */
  read(into: StoredRecord[], maxRecords: number): void {
    for (
      let end = this.#end(this.#at);
      end !== undefined && into.length < maxRecords;
      end = this.#end(this.#at)
    ) {
      this.#readBatch(end, into)
      this.#at = end
    }
  }

  /** Where the batch ends that begins there; undefined where none does that is whole. */
  #end(start: number): number | undefined {
    if (this.#bytes.length - start < AT.records) return undefined
    const end = start + AT.leaderEpoch + this.#bytes.readInt32BE(start + AT.length)
    return end <= this.#bytes.length ? end : undefined
  }

  #readBatch(end: number, into: StoredRecord[]): void {
    const [bytes, start] = [this.#bytes, this.#at]
    const baseOffset = readInt64(bytes, start)
    const lastOffset = baseOffset + bytes.readInt32BE(start + AT.lastDelta)
    const attributes = bytes.readInt16BE(start + AT.attributes)
    const counts = this.#counts(attributes, readInt64(bytes, start + AT.producerId), lastOffset)
    if (counts && lastOffset >= this.nextOffset) {
      const isAppendTime = (attributes & LOG_APPEND_TIME) !== 0
      const batch: Batch = {
        baseOffset,
        from: this.nextOffset,
        isAppendTime,
        timestamp: readInt64(bytes, start + (isAppendTime ? AT.maxTimestamp : AT.firstTimestamp)),
        count: bytes.readInt32BE(start + AT.count),
      }
      const compression = attributes & COMPRESSION
      if (compression === 0) readRecords(bytes, start + AT.records, batch, this.#headers, into)
      else
        readRecords(
          unpack(bytes.subarray(start + AT.records, end), compression),
          0,
          batch,
          this.#headers,
          into,
        )
    }
    this.nextOffset = Math.max(this.nextOffset, lastOffset + 1)
  }

  /** Follows which producers are in an aborted transaction; false for what no reader sees. */
  #counts(attributes: number, producerId: number, lastOffset: number): boolean {
    for (
      let next = this.#starting[0];
      next !== undefined && next.firstOffset <= lastOffset;
      next = this.#starting[0]
    ) {
      this.#aborted.add(next.producerId)
      this.#starting.shift()
    }
    if ((attributes & CONTROL) !== 0) {
      this.#aborted.delete(producerId)
      return false
    }
    return (attributes & TRANSACTIONAL) === 0 || !this.#aborted.has(producerId)
  }
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
    throw new TapelineError(
      'BROKER_UNSUPPORTED',
      `a batch is compressed in a way that is not known (${compression})`,
    )
  return algorithm.decompressSync(bytes)
}

/** Reads the records of a batch. No closure, no array and no big number a record: this is where the time of a reader goes. */
function readRecords(
  bytes: Buffer,
  start: number,
  { baseOffset, from, isAppendTime, timestamp, count }: Batch,
  headers: HeaderDecoder,
  into: StoredRecord[],
): void {
  const cursor = new Cursor(bytes, start)
  for (let i = 0; i < count; i++) {
    const length = cursor.varint()
    const end = cursor.at + length
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

function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4_294_967_296 + bytes.readUInt32BE(at + 4)
}
