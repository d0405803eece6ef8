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
  const [first] = got
  const start = all.findIndex((each) => keyOf(each) === first)
  if (start < 0) return `${first} was never there`
  /** How much of what came is explained, by the request that holds. */
  let states = new Set(legs.map((_, leg) => `${leg} 0`))
  let furthest = 0
  for (const each of all.slice(start)) {
    const next = new Set<string>()
    for (const state of states) {
      const [from = 0, explained = 0] = state.split(' ').map(Number)
      if (explained === got.length) return undefined
      for (let leg = from; leg < legs.length; leg++) {
        if (legs[leg]?.(each) !== true) next.add(`${leg} ${explained}`)
        else if (keyOf(each) === got[explained]) next.add(`${leg} ${explained + 1}`)
      }
    }
    states = next
    for (const state of states) furthest = Math.max(furthest, Number(state.split(' ')[1]))
    if (states.size === 0) break
  }
  for (const state of states) if (Number(state.split(' ')[1]) === got.length) return undefined
  return `nothing explains what came behind ${furthest} of ${got.length}: ${got.slice(Math.max(0, furthest - 2), furthest + 3).join(', ')}`
}
