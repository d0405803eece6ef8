/** Signed numbers of variable length, zigzag. Source: https://protobuf.dev/programming-guides/encoding/#signed-ints */

const SEVEN_BITS = 0x7f
const MORE = 0x80

/** How many bytes a number takes; below 2^30. */
export function varintSize(value: number): number {
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  let size = 1
  while (rest > SEVEN_BITS) {
    rest >>>= 7
    size++
  }
  return size
}

/** Writes a number below 2^30 in amount; gives the place after it. */
export function writeVarint(buffer: Buffer, start: number, value: number): number {
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  let at = start
  while (rest > SEVEN_BITS) {
    buffer[at++] = (rest & SEVEN_BITS) | MORE
    rest >>>= 7
  }
  buffer[at++] = rest
  return at
}
