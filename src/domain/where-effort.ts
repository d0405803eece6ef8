/** As many characters as one evaluation looks at: macros multiply what the bounds of an expression let through. It takes two milliseconds at most. */
const MOST_CHARACTERS = 100_000

let left = MOST_CHARACTERS

/** Begins an evaluation. None waits within another: they share the count. */
export function beginEvaluation(): void {
  left = MOST_CHARACTERS
}

/** Whether the evaluation may look at so many characters more. Where not, what they are for is missing. */
export function mayRead(characters: number): boolean {
  left -= characters
  return left >= 0
}
