import { isUtf8 } from 'node:buffer'

/** As long as the ids of events may be. */
const LONGEST_ID = 128

/** The text of a frame; undefined where its bytes are no UTF-8: replaced characters could make two ids one. */
export function readFrameText(data: Buffer): string | undefined {
  return isUtf8(data) ? data.toString() : undefined
}

/** The JSON object in a text; undefined where it holds something else. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined
}

/** A whole number of a JSON text that a double may not hold, which is one beyond 2^53: times in microseconds are not. */
const LONG_NUMBER = /[:,[]\s*(?:9\d{15}|\d{17})/
/** JSON numbers that are written with more digits than a double keeps may stand in a text. */
const LONG_DECIMAL = /[:,[]\s*-?[\d.]{17}/
/** So many digits and dots in a row hold one that is looked at, if every so many characters are. */
const LONG = 16
const [ZERO, NINE, DOT] = [48, 57, 46]

function isOfNumber(code: number): boolean {
  return (code >= ZERO && code <= NINE) || code === DOT
}

/** Whether a text has so many digits and dots in a row as a number has that a double may not keep: most frames have not, and a few looks tell it. */
function hasLongRun(text: string): boolean {
  for (let at = LONG - 1; at < text.length; at += LONG) {
    if (!isOfNumber(text.charCodeAt(at))) continue
    let [from, to] = [at, at]
    while (from > 0 && isOfNumber(text.charCodeAt(from - 1))) from--
    while (to + 1 < text.length && isOfNumber(text.charCodeAt(to + 1))) to++
    if (to - from + 1 >= LONG) return true
  }
  return false
}

/**
 * The value of a JSON text; undefined where it is none. Whole numbers that a double cannot hold stand in it as their digits: rounded, two ids
 * would become one.
 */
export function parseJson(text: string): unknown {
  try {
    return hasLongRun(text) && LONG_NUMBER.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The parser itself says how a number was written, so that neither an inner object nor a text misleads. */
function keepDigits(
  _key: string,
  value: unknown,
  { source = '' }: { readonly source?: string } = {},
): unknown {
  return typeof value === 'number' && !Number.isSafeInteger(value) && /^\d+$/.test(source) ? source : value
}

/**
 * Whether a text is one that every part of the platform keeps as it is, so that two ids never become one: PostgreSQL takes no NUL,
 * half a surrogate pair becomes U+FFFD on its way, and decoders drop a byte order mark at the beginning.
 */
function isKept(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed() && !text.startsWith('\uFEFF')
}

/** The same, but a number of which a double does not keep every digit is the text that was written: where prices and sizes are JSON numbers. */
export function parseExact(text: string): unknown {
  try {
    const isLong = hasLongRun(text) && (LONG_DECIMAL.test(text) || LONG_NUMBER.test(text))
    return isLong ? JSON.parse(text, keepDecimals) : JSON.parse(text)
  } catch {
    return undefined
  }
}

function keepDecimals(
  _key: string,
  value: unknown,
  { source = '' }: { readonly source?: string } = {},
): unknown {
  return typeof value === 'number' && source.length > MOST_KEPT ? source : keepDigits('', value, { source })
}

/** A double keeps so many characters of a decimal number, with its dot. */
const MOST_KEPT = 16

/** An id that came as text; undefined where it is none. */
export function readId(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length === 0 || value.length > LONGEST_ID) return undefined
  return isKept(value) ? value : undefined
}

/** An id that came as text or as a whole number; undefined where it is none. */
export function readWireId(value: unknown): string | undefined {
  if (typeof value !== 'number') return readId(value)
  return Number.isSafeInteger(value) && value >= 0 ? String(value) : undefined
}

/**
 * The digits of a whole number in a field of a JSON object that a double cannot hold: rounded, two ids would become one. Undefined where it is
 * written otherwise.
 */
export function exactDigits(json: string, field: string): string | undefined {
  const digits = (parseJson(json) as Readonly<Record<string, unknown>>)[field]
  return typeof digits === 'string' && /^\d+$/.test(digits) ? readId(digits) : undefined
}
