/**
 * PostgreSQL's binary COPY format, as both store adapters send it.
 * Source: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
 */
const SIGNATURE = [0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00]
const HEADER_BYTES = 19

/** Microseconds from the Unix epoch to PostgreSQL's (2000-01-01). */
const POSTGRES_EPOCH = 946_684_800_000_000

/**
 * Writes tuples into one growing buffer. A segment holds tuples only: `assembleCopy` puts the header and the trailer
 * round any number of segments, so that rows of several partitions travel in one COPY.
 */
export class TupleWriter {
  #bytes: Buffer
  #length = 0
  #rows = 0

  constructor(initialBytes = 64 * 1024) {
    this.#bytes = Buffer.allocUnsafe(initialBytes)
  }

  get rows(): number {
    return this.#rows
  }

  startRow(fields: number): void {
    this.#reserve(2)
    this.#length = this.#bytes.writeInt16BE(fields, this.#length)
    this.#rows++
  }

  text(value: string | undefined): void {
    if (value === undefined) {
      this.#null()
      return
    }
    this.#reserve(4 + value.length * 3)
    const written = this.#bytes.write(value, this.#length + 4, 'utf8')
    this.#bytes.writeInt32BE(written, this.#length)
    this.#length += 4 + written
  }

  /** float8. */
  double(value: number | undefined): void {
    if (value === undefined) {
      this.#null()
      return
    }
    this.#reserve(12)
    this.#bytes.writeInt32BE(8, this.#length)
    this.#length = this.#bytes.writeDoubleBE(value, this.#length + 4)
  }

  /** timestamptz from microseconds since the Unix epoch. */
  timestamp(micros: number | undefined): void {
    if (micros === undefined) {
      this.#null()
      return
    }
    this.#bigint(micros - POSTGRES_EPOCH)
  }

  /** int4. */
  integer(value: number | undefined): void {
    if (value === undefined) {
      this.#null()
      return
    }
    this.#reserve(8)
    this.#bytes.writeInt32BE(4, this.#length)
    this.#length = this.#bytes.writeInt32BE(value, this.#length + 4)
  }

  boolean(value: boolean): void {
    this.#reserve(5)
    this.#bytes.writeInt32BE(1, this.#length)
    this.#length = this.#bytes.writeUInt8(value ? 1 : 0, this.#length + 4)
  }

  /** The tuples written so far; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #null(): void {
    this.#reserve(4)
    this.#length = this.#bytes.writeInt32BE(-1, this.#length)
  }

  /** An int8 from a safe integer, without the cost of a BigInt a row. */
  #bigint(value: number): void {
    this.#reserve(12)
    const high = Math.floor(value / 0x1_0000_0000)
    this.#bytes.writeInt32BE(8, this.#length)
    this.#bytes.writeInt32BE(high, this.#length + 4)
    this.#length = this.#bytes.writeUInt32BE(value - high * 0x1_0000_0000, this.#length + 8)
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

/** One complete COPY stream from segments of tuples of the same table. */
export function assembleCopy(segments: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = segments.reduce((sum, segment) => sum + segment.length, HEADER_BYTES + 2)
  const all = new Uint8Array(bytes)
  all.set(SIGNATURE, 0)
  let at = HEADER_BYTES
  for (const segment of segments) {
    all.set(segment, at)
    at += segment.length
  }
  all.set([0xff, 0xff], at)
  return all
}
