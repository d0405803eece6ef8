/** The text codec of both sides: strict, so that no two texts have the same bytes. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Seven bits a byte, the lowest first, the eighth says that more follow. */
const MORE = 128

/** Writes whole numbers and texts, small numbers in few bytes. */
export class CursorWriter {
  #bytes = Buffer.allocUnsafe(256)
  #length = 0

  /** A whole number from 0 up to 2^53 - 1. */
  number(value: number): void {
    this.#reserve(8)
    let rest = value
    while (rest >= MORE) {
      this.#bytes[this.#length++] = (rest % MORE) + MORE
      rest = Math.floor(rest / MORE)
    }
    this.#bytes[this.#length++] = rest
  }

  text(value: string): void {
    const size = Buffer.byteLength(value)
    this.number(size)
    this.#reserve(size)
    this.#length += this.#bytes.write(value, this.#length)
  }

  /** What was written, as base64url. */
  toString(): string {
    return this.#bytes.toString('base64url', 0, this.#length)
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(2 * (this.#length + bytes))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

/** Reads what `CursorWriter` wrote. Throws where that was something else. */
export class CursorReader {
  readonly #bytes: Uint8Array
  #next = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  number(): number {
    let value = 0
    for (let factor = 1; ; factor *= MORE) {
      const byte = this.#bytes[this.#next++]
      if (byte === undefined) throw new Error('it ends too early')
      value += (byte % MORE) * factor
      if (!Number.isSafeInteger(value)) throw new Error('a number in it is too large')
      if (byte < MORE) return value
    }
  }

  text(): string {
    const size = this.number()
    const end = this.#next + size
    if (end > this.#bytes.length) throw new Error('it ends too early')
    const text = decoder.decode(this.#bytes.subarray(this.#next, end))
    this.#next = end
    return text
  }

  /** Reads a list whose length stands in front of it. */
  times<T>(most: number, read: () => T): T[] {
    const count = this.number()
    if (count > most) throw new Error('a list in it is too long')
    return Array.from({ length: count }, read)
  }
}
