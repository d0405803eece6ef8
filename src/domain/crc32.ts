const POLYNOMIAL = 0xed_b8_83_20

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? POLYNOMIAL ^ (value >>> 1) : value >>> 1
  return value
})

/** A text of ASCII characters as far as a CRC32 of more than it needs to know it. */
export interface TextHash {
  readonly crc: number
  readonly length: number
}

/** The CRC32 of a text of ASCII characters, as gzip and the exchanges have it: unsigned. It runs in browsers too. */
export function crc32(text: string): number {
  return hashOf(text).crc
}

/** That of some texts, one after another, without joining them. */
export function hashOf(...texts: readonly string[]): TextHash {
  let value = -1
  let length = 0
  for (const text of texts) {
    for (let i = 0; i < text.length; i++)
      value = (TABLE[(value ^ text.charCodeAt(i)) & 0xff] as number) ^ (value >>> 8)
    length += text.length
  }
  return { crc: (value ^ -1) >>> 0, length }
}

/** By length: what becomes of each byte of a CRC where so many characters follow, as `crc32_combine` of zlib has it. */
const FOLLOWED: Int32Array[] = []

/**
 * The CRC32 of one text after another, of which only the CRCs are known: four looks for each text, however long it is. `crc`: of what stands before,
 * 0 where nothing does.
 */
export function crc32After(crc: number, { crc: next, length }: TextHash): number {
  const moved = FOLLOWED[length] ?? followedBy(length)
  const high = (moved[0x200 | ((crc >>> 16) & 0xff)] as number) ^ (moved[0x300 | (crc >>> 24)] as number)
  const low = (moved[crc & 0xff] as number) ^ (moved[0x100 | ((crc >>> 8) & 0xff)] as number)
  return (high ^ low ^ next) >>> 0
}

function followedBy(length: number): Int32Array {
  const moved = Int32Array.from({ length: 0x400 }, (_, at) => {
    let value = (at & 0xff) << (8 * (at >>> 8))
    for (let i = 0; i < length; i++) value = (TABLE[value & 0xff] as number) ^ (value >>> 8)
    return value
  })
  // Longer ones are no levels of a book.
  if (length < MOST_FOLLOWED) FOLLOWED[length] = moved
  return moved
}

const MOST_FOLLOWED = 256
