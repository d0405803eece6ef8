/** What each of the requests wants that a stream has moved through, in their order. */
export type Legs<T> = readonly ((each: T) => boolean)[]

/**
 * Why what came is not, from its first event to its last, exactly what the requests want of all that there was: each in its turn, from one place to
 * the next. Undefined where it is. It tries all places where the stream may have moved.
 */
export function whyNotTheLegs<T>(
  got: readonly string[],
  all: readonly T[],
  keyOf: (each: T) => string,
  legs: Legs<T>,
): string | undefined {
  const starts = all.flatMap((each, at) => (keyOf(each) === got[0] ? [at] : []))
  if (starts.length === 0) return `${got[0]} was never there`
  const furthest = starts.map((start) => explained(got, all.slice(start), keyOf, legs))
  const most = Math.max(...furthest)
  if (most === got.length) return undefined
  return `nothing explains what came behind ${most} of ${got.length}: ${got.slice(Math.max(0, most - 2), most + 3).join(', ')}`
}

/** How much of what came the requests explain, from the first of `all` on. */
function explained<T>(
  got: readonly string[],
  all: readonly T[],
  keyOf: (each: T) => string,
  legs: Legs<T>,
): number {
  /** How much is explained, by the request that holds. */
  let states = new Set(legs.map((_, leg) => `${leg} 0`))
  let furthest = 0
  for (const each of all) {
    const next = new Set<string>()
    for (const state of states) {
      const [from = 0, count = 0] = state.split(' ').map(Number)
      if (count === got.length) return count
      for (let leg = from; leg < legs.length; leg++) {
        if (legs[leg]?.(each) !== true) next.add(`${leg} ${count}`)
        else if (keyOf(each) === got[count]) next.add(`${leg} ${count + 1}`)
      }
    }
    states = next
    for (const state of states) furthest = Math.max(furthest, Number(state.split(' ')[1]))
    if (states.size === 0) break
  }
  // What was explained by a request that could not go on explains nothing in the end.
  const isWhole = [...states].some((state) => Number(state.split(' ')[1]) === got.length)
  return isWhole ? got.length : Math.min(furthest, got.length - 1)
}
