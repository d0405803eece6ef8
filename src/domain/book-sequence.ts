/** What an update of a book says of its place among the updates of its market. */
export interface BookPlace {
  /** The number of the first change in it, where it folds several. */
  readonly first?: number | undefined
  /** Its number: of the last change in it. */
  readonly last: number
  /** The number of the update before it, where the exchange says it. */
  readonly previous?: number | undefined
}

/** What to do with an update: `drop` is known already, `gap` shows that something is missing before it. */
type Verdict = 'apply' | 'drop' | 'gap'

/** `last`: the number that the book has. `isFirst`: nothing was applied since the snapshot, which another way may have brought. */
type SequenceRule = (place: BookPlace, last: number, isFirst: boolean) => Verdict

/**
 * How exchanges number the updates of a book.
 * - `ranges`: Binance. Each follows the last one by one, and folds `first` to `last`.
 * - `links`: OKX. Each names the one before. Numbers may begin anew, and an update that repeats its own number is empty.
 * - `overlaps`: Gemini. Each begins with the number that the book has.
 * - `steps`: Bybit. Each is one higher than the one before.
 */
export const SEQUENCE_RULES = {
  ranges: ({ first, last: number }, last) => {
    if (number <= last) return 'drop'
    return (first ?? number) > last + 1 ? 'gap' : 'apply'
  },
  links: ({ previous = Number.NaN, last: number }, last, isFirst) => {
    if (previous === last) return 'apply'
    if (!isFirst || !(previous <= last)) return 'gap'
    return number > last ? 'apply' : 'drop'
  },
  overlaps: ({ first, last: number }, last) => {
    if (number <= last) return 'drop'
    return (first ?? number) > last ? 'gap' : 'apply'
  },
  steps: ({ last: number }, last) => {
    if (number <= last) return 'drop'
    return number > last + 1 ? 'gap' : 'apply'
  },
} as const satisfies Record<string, SequenceRule>

export type SequenceName = keyof typeof SEQUENCE_RULES
