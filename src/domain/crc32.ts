const POLYNOMIAL = 0xed_b8_83_20

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? POLYNOMIAL ^ (value >>> 1) : value >>> 1
  return value
})

/** The CRC32 of a text of ASCII characters, as gzip and the exchanges have it: unsigned. It runs in browsers too. */
export function crc32(text: string): number {
  return crc32OfAll([[text]])
}

/** That of all texts of some lists, one after another, without joining them. */
export function crc32OfAll(lists: readonly (readonly string[])[]): number {
  let value = -1
  for (const texts of lists)
    for (const text of texts)
      for (let i = 0; i < text.length; i++)
        value = (TABLE[(value ^ text.charCodeAt(i)) & 0xff] as number) ^ (value >>> 8)
  return (value ^ -1) >>> 0
}
