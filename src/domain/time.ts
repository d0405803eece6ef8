/** Microseconds since the epoch as ISO 8601 text in UTC with all six digits. */
export function isoMicros(micros: number): string {
  const millis = Math.floor(micros / 1000)
  const rest = String(micros - millis * 1000).padStart(3, '0')
  return `${new Date(millis).toISOString().slice(0, -1)}${rest}Z`
}

const ISO = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?$/

/** Where the digits of the seconds' fraction begin. */
const FRACTION = 20

/** After so many years the calendar repeats itself. */
const CYCLE_YEARS = 400
const CYCLE_MS = 146_097 * 86_400_000

/**
 * Microseconds of an ISO 8601 time: UTC without a zone, digits past the sixth cut. Undefined for other text, and for a time that no calendar has:
 * 30 February, 24:00, a leap second. It reads digits by their place, since every trade has such a time.
 */
export function parseIsoMicros(text: string): number | undefined {
  if (!ISO.test(text)) return undefined
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2)
  const [month, day] = [twoDigits(text, 5), twoDigits(text, 8)]
  const [hour, minute, second] = [twoDigits(text, 11), twoDigits(text, 14), twoDigits(text, 17)]
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  let [micros, at] = [0, FRACTION - 1]
  if (text[at] === '.') {
    for (at = FRACTION; isDigit(text, at); at++)
      if (at < FRACTION + 6) micros = micros * 10 + text.charCodeAt(at) - ZERO
    for (let digits = at - FRACTION; digits < 6; digits++) micros *= 10
  }
  const zone = zoneMinutes(text, at)
  if (zone === undefined) return undefined
  // Date.UTC takes years below 100 for those of the 20th century.
  const millis = Date.UTC(year + CYCLE_YEARS, month - 1, day, hour, minute - zone, second) - CYCLE_MS
  return millis * 1000 + micros
}

const ZERO = 48

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= ZERO && code <= ZERO + 9
}

function twoDigits(text: string, at: number): number {
  return (text.charCodeAt(at) - ZERO) * 10 + text.charCodeAt(at + 1) - ZERO
}

/** The minutes by which a zone (`Z`, `+01:00`, `-0530` or nothing) is ahead of UTC. */
function zoneMinutes(text: string, at: number): number | undefined {
  if (at >= text.length - 1) return 0
  const [hours, minutes] = [twoDigits(text, at + 1), twoDigits(text, text.length - 2)]
  if (hours > 23 || minutes > 59) return undefined
  return (text[at] === '-' ? -1 : 1) * (hours * 60 + minutes)
}

function daysOf(year: number, month: number): number {
  if (month !== 2) return [4, 6, 9, 11].includes(month) ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * Milliseconds of a duration: `250ms`, `30s`, `5m`, `1h`, `7d`; a bare number counts seconds.
 * Undefined where it is none, negative, or longer than 10 years.
 */
export function parseDuration(value: string | number): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(String(value).trim())
  if (!match) return undefined
  const millis = Number(match[1]) * (UNITS[match[2] ?? 's'] as number)
  return millis <= 3650 * 86_400_000 ? Math.round(millis) : undefined
}

/** A duration as text that `parseDuration` reads, in the largest unit that counts it whole: 90000 is `90s`, 60000 is `1m`. */
export function formatDuration(millis: number): string {
  const units = Object.entries(UNITS).toReversed()
  const [unit, width] = units.find(([, each]) => millis >= each && millis % each === 0) ?? ['ms', 1]
  return `${millis / width}${unit}`
}
