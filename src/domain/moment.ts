import { parseDuration, parseIsoMicros } from './time.ts'

/** Which end of a range a time is: a plain date is its first microsecond there, or its last. */
export type RangeEnd = 'first' | 'last'

/** How people and programs may write a time, for the texts of parameters and flags. */
export const MOMENT_FORMS =
  'a time such as 2026-01-31T12:00:00Z, a date such as 2026-01-31 (in UTC, all of it), a number since 1970 by its digits (10: seconds, 13: milliseconds, 16: microseconds, 19: nanoseconds), or how long ago (15m, 24h, 7d)'

/** A number since 1970: ten digits of seconds, which are times of 2001 to 2286, and a fraction of them with a point or without. */
const NUMBER = /^(\d{10})(?:\.(\d{1,9})|(\d{3}|\d{6}|\d{9}))?$/
const DATE = /^\d{4}-\d{2}-\d{2}$/
const AGO = /^\d+(?:\.\d+)?(?:ms|s|m|h|d)$/
const DAY_MICROS = 86_400_000_000

/**
 * Microseconds of a time as `MOMENT_FORMS` describes it; digits past the sixth of a second are cut. Undefined where it is none. What a
 * number counts follows from its digits alone, so that seconds and milliseconds are never taken for microseconds of 1970.
 */
export function parseMoment(text: string, end: RangeEnd, nowMillis: number): number | undefined {
  const number = NUMBER.exec(text)
  if (number !== null) {
    const [, seconds = '', fraction = '', digits = ''] = number
    return Number(seconds + (fraction || digits).padEnd(6, '0').slice(0, 6))
  }
  if (DATE.test(text)) {
    const midnight = inFourDigits(parseIsoMicros(`${text}T00:00:00Z`))
    return midnight === undefined || end === 'first' ? midnight : midnight + DAY_MICROS - 1
  }
  if (!AGO.test(text)) return inFourDigits(parseIsoMicros(text))
  const millis = parseDuration(text)
  return millis === undefined ? undefined : (nowMillis - millis) * 1000
}

const [YEAR_1, YEAR_10000] = [-62_135_596_800_000_000, 253_402_300_800_000_000]

/** A time whose year in UTC is from 1 to 9999, which is what databases read. */
function inFourDigits(micros: number | undefined): number | undefined {
  return micros !== undefined && micros >= YEAR_1 && micros < YEAR_10000 ? micros : undefined
}
