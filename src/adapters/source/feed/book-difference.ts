import type { BookLevel, BookLevels } from '../../../domain/book-levels.ts'

/** What changed between two books; a size of 0 where a price is there no more. */
export function bookDifference(before: BookLevels, after: BookLevels): BookLevels {
  return { bids: difference(before.bids, after.bids, 1), asks: difference(before.asks, after.asks, -1) }
}

/** `sign`: 1 where the highest price is the best one. Both lists have the best first. */
function difference(before: readonly BookLevel[], after: readonly BookLevel[], sign: 1 | -1): BookLevel[] {
  const changed: BookLevel[] = []
  let [a, b] = [0, 0]
  while (a < before.length || b < after.length) {
    const [former, level] = [before[a], after[b]]
    const isGone = former !== undefined && (level === undefined || former[0] * sign > level[0] * sign)
    if (isGone) {
      changed.push([former[0], 0])
      a++
      continue
    }
    if (former?.[0] === level?.[0]) a++
    if (former?.[0] !== level?.[0] || former?.[1] !== level?.[1]) changed.push(level as BookLevel)
    b++
  }
  return changed
}
