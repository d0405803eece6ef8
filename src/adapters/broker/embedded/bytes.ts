const encoder = new TextEncoder()

/** A buffer that grows as numbers, text and bytes are written to its end. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>
  #length = 0

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(new ArrayBuffer(Math.max(64, capacity)))
  }

  /** How many bytes have been written. */
  get length(): number {
    return this.#length
  }

  /** The buffer after what was written; it may be longer than `length`. Nothing may be written afterwards. */
  get buffer(): ArrayBuffer {
    return this.#bytes.buffer
  }

  /** What was written from a place on; good until more is written. */
  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.#length)
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  /** Writes a whole number from 0 to 2^53 - 1 in groups of seven bits, the lowest first (LEB128). */
  varint(value: number): void {
    this.#reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80
      rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 0x80)
    }
    this.#bytes[this.#length++] = rest
  }

  /** Writes the length in bytes, then UTF-8. */
  text(value: string): void {
    const length = Buffer.byteLength(value)
    this.varint(length)
    this.#reserve(length)
    encoder.encodeInto(value, this.#bytes.subarray(this.#length))
    this.#length += length
  }

  /** Writes bytes without their length. */
  bytes(value: Uint8Array): void {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
  }

  #reserve(more: number): void {
    const needed = this.#length + more
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(new ArrayBuffer(Math.max(needed, this.#bytes.length * 2)))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }
}

/** Reads what ByteWriter wrote. Reading beyond the end raises a RangeError. */
export class ByteReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Whether everything has been read. */
  get finished(): boolean {
    return this.#at === this.#bytes.length
  }

  byte(): number {
    const value = this.#bytes[this.#at++]
    if (value === undefined) throw new RangeError('the bytes end too early')
    return value
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const group = this.byte()
      if (group < 0x80) return value + group * scale
      value += (group & 0x7f) * scale
      scale *= 0x80
    }
  }

  text(): string {
    const from = this.#skip(this.varint())
    return this.#bytes.toString('utf8', from, this.#at)
  }

  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    const from = this.#skip(length)
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + from, length)
  }

  skip(length: number): void {
    this.#skip(length)
  }

  /** Moves on and returns where it stood. */
  #skip(length: number): number {
    const from = this.#at
    if (from + length > this.#bytes.length) throw new RangeError('the bytes end too early')
    this.#at = from + length
    return from
  }
}
