/** Decimal text as services send numbers, with or without an exponent. */
const DECIMAL = /^-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?$/

/** So many digits are a number in any case. */
const MOST_PLAIN = 20
const [ZERO, NINE, DOT] = [48, 57, 46]

/** Whether a text is digits, with one dot between them at most: nearly all numbers are, and a loop tells it in a fraction of the time. */
function isPlain(text: string): boolean {
  const last = text.length - 1
  if (last < 0 || last >= MOST_PLAIN) return false
  let dots = 0
  for (let at = 0; at <= last; at++) {
    const code = text.charCodeAt(at)
    if (code === DOT && at > 0 && at < last) dots++
    else if (code < ZERO || code > NINE) return false
  }
  return dots < 2
}

/** A number that came as a JSON number or as decimal text; undefined where it is none, or none that a double holds. */
export function readNumber(value: unknown): number | undefined {
  if (typeof value === 'string' && isPlain(value)) return Number(value)
  const number = typeof value === 'string' && DECIMAL.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined
}

/** A price: a number above 0. */
export function readPrice(value: unknown): number | undefined {
  const price = readNumber(value)
  return price !== undefined && price > 0 ? price : undefined
}

/** A size or a volume: a number that is not below 0. */
export function readAmount(value: unknown): number | undefined {
  const amount = readNumber(value)
  return amount !== undefined && amount >= 0 ? amount : undefined
}

/** What int4 holds: the database has no room for more. */
const MOST_COUNT = 2 ** 31 - 1

/** How many there are: a whole number from 0. */
export function readCount(value: unknown): number | undefined {
  const count = readNumber(value)
  return count !== undefined && Number.isInteger(count) && count >= 0 && count <= MOST_COUNT
    ? count
    : undefined
}
