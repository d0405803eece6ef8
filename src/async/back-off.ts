/** More doublings than this are none: the longest wait is reached long before. */
const MOST_DOUBLINGS = 30

/** A wait that doubles with each failure in a row, from the first one on up to the longest. Milliseconds; `failures` counts from 0. */
export function doubled(firstMs: number, longestMs: number, failures: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(MOST_DOUBLINGS, Math.max(0, failures)))
}
