/** So many bytes of a checkpoint go into one record, which has at most 1 MiB. */
const MOST_BYTES = 256 * 1024

/** Items in their order, divided so that the JSON of each portion fits into a record; at least one portion. */
export function portionsOf<T>(items: Iterable<T>): T[][] {
  let portion: T[] = []
  let bytes = 0
  const portions = [portion]
  for (const item of items) {
    const size = Buffer.byteLength(JSON.stringify(item))
    if (bytes > 0 && bytes + size > MOST_BYTES) {
      portion = []
      portions.push(portion)
      bytes = 0
    }
    portion.push(item)
    bytes += size
  }
  return portions
}
