/** The lowest of some numbers, offsets or times, of which none need be known; undefined where none is. */
export function lowest(...numbers: readonly (number | undefined)[]): number | undefined {
  const known = numbers.filter((number) => number !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
