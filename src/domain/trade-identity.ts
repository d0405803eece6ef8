import type { Trade } from './events.ts'

/** What belongs to a trade's identity besides exchange, symbol and id (R28). Times are microseconds. */
export type TradeContent = Pick<Trade, 'price' | 'size' | 'ts'>

const SECOND = 1_000_000
const MILLISECOND = 1_000

/**
 * The times that a trade of this time may have from a source of finer precision, ends included: those that cut or rounded to a whole
 * millisecond or second give this one.
 */
export function finerTimes(ts: number): readonly [low: number, high: number] {
  if (ts % SECOND === 0) return [ts - SECOND / 2, ts + SECOND - 1]
  if (ts % MILLISECOND === 0) return [ts - MILLISECOND / 2, ts + MILLISECOND - 1]
  return [ts, ts]
}

/**
 * Whether two times may be those of one trade: sources give the trades of one exchange with times of different precision.
 * `tapeline_is_same_time` of the database says the same.
 */
export function isSameTime(a: number, b: number): boolean {
  return a === b || isWithin(a, finerTimes(b)) || isWithin(b, finerTimes(a))
}

function isWithin(ts: number, [low, high]: readonly [number, number]): boolean {
  return ts >= low && ts <= high
}

/** Whether two trades with the same id are one. */
export function isSameContent(a: TradeContent, b: TradeContent): boolean {
  return a.price === b.price && a.size === b.size && isSameTime(a.ts, b.ts)
}

const ZERO = 0x30
const NINE = 0x39
/** So many digits are exact in a double. */
const EXACT_DIGITS = 15

/** Whether an id is a number, so that ids are compared by value. By hand: it is asked for each trade. */
export function isNumericId(id: string): boolean {
  for (let i = 0; i < id.length; i++) {
    const code = id.charCodeAt(i)
    if (code < ZERO || code > NINE) return false
  }
  return id.length > 0
}

/** Whether the numeric id `a` is greater than `b`, by value; all digits count. */
export function isBeyond(a: string, b: string): boolean {
  if (a.charCodeAt(0) === ZERO || b.charCodeAt(0) === ZERO) return BigInt(a) > BigInt(b)
  return a.length === b.length ? a > b : a.length > b.length
}

/** The numeric id that lies `by` before `id`; undefined where there is none. */
export function idBefore(id: string, by = 1): string | undefined {
  if (id.length <= EXACT_DIGITS) return Number(id) >= by ? String(Number(id) - by) : undefined
  return String(BigInt(id) - BigInt(by))
}

/** Whether the numeric id `id` is the one that follows `former`. */
export function followsId(id: string, former: string): boolean {
  const before = isNumericId(id) ? idBefore(id) : undefined
  return before !== undefined && isNumericId(former) && !isBeyond(before, former) && !isBeyond(former, before)
}
