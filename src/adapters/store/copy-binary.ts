import type { RowBuffer } from '../../ports/store.ts'

/**
 * PostgreSQL's binary COPY format, as both store adapters send it.
 * Source: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
 */
const SIGNATURE = [0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00]
/** Signature, flags, and the length of an extension, of which there is none. */
const HEADER = new Uint8Array([...SIGNATURE, 0, 0, 0, 0, 0, 0, 0, 0])
const TRAILER = new Uint8Array([0xff, 0xff])

/** Microseconds from the Unix epoch to PostgreSQL's (2000-01-01). */
const POSTGRES_EPOCH = 946_684_800_000_000

/** The type of the elements of an array, in `pg_type`. */
const FLOAT8 = 701

/** Up to this length a loop over the characters is quicker than the native encoder. */
const SHORT = 32

/**
 * Writes tuples into one growing buffer. A segment holds tuples only: `copyStream` puts the header and the trailer round any
 * number of segments, so that rows of several partitions travel in one COPY.
 */
export class TupleWriter implements RowBuffer {
  #bytes: Buffer
  #view: DataView
  #length = 0
  #rows = 0
  #rowStart = 0
  #eventTime = 0

  /** `initial` is memory to begin with, or how many bytes of it. */
  constructor(initial: Buffer | number = 64 * 1024) {
    this.#bytes = typeof initial === 'number' ? Buffer.allocUnsafeSlow(initial) : initial
    this.#view = viewOf(this.#bytes)
  }

  get rows(): number {
    return this.#rows
  }

  get length(): number {
    return this.#length
  }

  get rowStart(): number {
    return this.#rowStart
  }

  get time(): number {
    return this.#eventTime
  }

  startRow(fields: number): void {
    this.#rowStart = this.#length
    this.#reserve(2)
    this.#view.setInt16(this.#length, fields)
    this.#length += 2
    this.#rows++
  }

  text(value: string | undefined): void {
    if (value === undefined) {
      this.#null()
      return
    }
    this.#reserve(4 + value.length * 3)
    const start = this.#length + 4
    const written = this.#ascii(value, start) ?? this.#bytes.write(value, start, 'utf8')
    this.#view.setInt32(this.#length, written)
    this.#length = start + written
  }

  asciiBytes(source: Uint8Array, start: number, end: number): void {
    this.#reserve(4 + end - start)
    this.#view.setInt32(this.#length, end - start)
    const bytes = this.#bytes
    let at = this.#length + 4
    for (let from = start; from < end; from++) bytes[at++] = source[from] as number
    this.#length = at
  }

  /** float8. */
  double(value: number | undefined): void {
    if (value === undefined) {
      this.#null()
      return
    }
    this.#reserve(12)
    this.#view.setInt32(this.#length, 8)
    this.#view.setFloat64(this.#length + 4, value)
    this.#length += 12
  }

  /** timestamptz. */
  timestamp(micros: number | undefined): void {
    if (micros === undefined) {
      this.#null()
      return
    }
    this.#bigint(micros - POSTGRES_EPOCH)
  }

  eventTime(micros: number): void {
    this.#eventTime = micros
    this.#bigint(micros - POSTGRES_EPOCH)
  }

  /** int4. */
  integer(value: number | undefined): void {
    if (value === undefined) {
      this.#null()
      return
    }
    this.#reserve(8)
    this.#view.setInt32(this.#length, 4)
    this.#view.setInt32(this.#length + 4, value)
    this.#length += 8
  }

  boolean(value: boolean): void {
    this.#reserve(5)
    this.#view.setInt32(this.#length, 1)
    this.#view.setUint8(this.#length + 4, value ? 1 : 0)
    this.#length += 5
  }

  /** float8[][2]; an empty array has no dimensions. */
  pairs(values: readonly (readonly [number, number])[]): void {
    const dimensions = values.length === 0 ? [] : [values.length, 1, 2, 1]
    const bytes = 12 + dimensions.length * 4 + values.length * 24
    this.#reserve(4 + bytes)
    for (const word of [bytes, dimensions.length / 2, 0, FLOAT8, ...dimensions]) {
      this.#view.setInt32(this.#length, word)
      this.#length += 4
    }
    for (const pair of values)
      for (const value of pair) {
        this.#view.setInt32(this.#length, 8)
        this.#view.setFloat64(this.#length + 4, value)
        this.#length += 12
      }
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #null(): void {
    this.#reserve(4)
    this.#view.setInt32(this.#length, -1)
    this.#length += 4
  }

  /** An int8 from a safe integer, without the cost of a BigInt a row. */
  #bigint(value: number): void {
    this.#reserve(12)
    const high = Math.floor(value / 0x1_0000_0000)
    this.#view.setInt32(this.#length, 8)
    this.#view.setInt32(this.#length + 4, high)
    this.#view.setUint32(this.#length + 8, value - high * 0x1_0000_0000)
    this.#length += 12
  }

  /** The length of a short text without other letters than those of ASCII, once it is written; undefined for any other. */
  #ascii(value: string, start: number): number | undefined {
    const { length } = value
    if (length > SHORT) return undefined
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) return undefined
      this.#bytes[start + i] = code
    }
    return length
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#length + bytes))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
    this.#view = viewOf(larger)
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** One complete COPY stream, in pieces, from segments of tuples of the same table. The segments are not copied. */
export function copyStream(segments: readonly Uint8Array[]): readonly Uint8Array[] {
  return [HEADER, ...segments, TRAILER]
}

/** The pieces in memory of their own, which may be transferred to another thread. */
export function joinPieces(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}
