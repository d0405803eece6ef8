const EMPTY = Buffer.alloc(0)

/** Reads the parts of an answer, in the plain or the compact format. Source: https://kafka.apache.org/protocol#protocol_types */
export class WireReader {
  readonly #bytes: Buffer
  readonly #isCompact: boolean
  #at = 0

  constructor(bytes: Buffer, isCompact: boolean) {
    this.#bytes = bytes
    this.#isCompact = isCompact
  }

  /** How many bytes are read. */
  get at(): number {
    return this.#at
  }

  int8(): number {
    this.#at += 1
    return this.#bytes.readInt8(this.#at - 1)
  }

  int16(): number {
    this.#at += 2
    return this.#bytes.readInt16BE(this.#at - 2)
  }

  int32(): number {
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }

  /** Exact up to 2^53, which no offset comes near. */
  int64(): number {
    this.#at += 8
    return this.#bytes.readInt32BE(this.#at - 8) * 4_294_967_296 + this.#bytes.readUInt32BE(this.#at - 4)
  }

  /** Hyphenated, as the library writes it. */
  uuid(): string {
    const hex = this.#bytes.toString('hex', this.#at, this.#at + 16)
    this.#at += 16
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }

  string(): string {
    const length = this.#isCompact ? this.#unsigned() - 1 : this.int16()
    this.#at += Math.max(0, length)
    return this.#bytes.toString('utf8', this.#at - Math.max(0, length), this.#at)
  }

  /** A view; empty where there is none. */
  bytes(): Buffer {
    const length = this.#length()
    if (length <= 0) return EMPTY
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  /** Empty where there is none. */
  array<T>(read: () => T): T[] {
    const length = this.#length()
    const items: T[] = []
    for (let i = 0; i < length; i++) items.push(read())
    return items
  }

  /** The compact format has room for what later versions add, or what is there at times only: by number. */
  skipTags(read: Readonly<Record<number, () => void>> = {}): void {
    if (!this.#isCompact) return
    for (let count = this.#unsigned(); count > 0; count--) {
      const tag = this.#unsigned()
      const end = this.#unsigned() + this.#at
      read[tag]?.()
      this.#at = end
    }
  }

  #length(): number {
    return this.#isCompact ? this.#unsigned() - 1 : this.int32()
  }

  #unsigned(): number {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#bytes[this.#at++] ?? 0
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
}
