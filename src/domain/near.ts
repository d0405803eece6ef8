/** As many names are offered in the place of one that is not known. */
export const MOST_NEAR = 3

/** The names that differ in about a third of their letters at most, the nearest first. */
export function nearest(name: string, names: readonly string[]): string[] {
  const most = Math.max(1, Math.floor(name.length / 3))
  return names
    .map((other) => ({ other, distance: editDistance(name, other) }))
    .filter(({ distance }) => distance <= most)
    .sort((a, b) => a.distance - b.distance || (a.other < b.other ? -1 : 1))
    .slice(0, MOST_NEAR)
    .map(({ other }) => other)
}

/** How many letters have to be changed, added, left out, or exchanged with the next one. */
function editDistance(from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, i) => i)]
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Number.POSITIVE_INFINITY
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    rows.push(row)
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1]
      const isSwapped = from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      row[j] = Math.min(
        at(i - 1, j) + 1,
        at(i, j - 1) + 1,
        at(i - 1, j - 1) + (isSame ? 0 : 1),
        isSwapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY,
      )
    }
  }
  return at(from.length, to.length)
}

/** A question after a word that is not known; empty where none of the known ones is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const near = nearest(word, known)
  return near.length === 0 ? '' : `; did you mean ${near.join(' or ')}?`
}
