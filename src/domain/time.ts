/** Microseconds since the epoch as ISO 8601 text in UTC with all six digits. */
export function isoMicros(micros: number): string {
  const millis = Math.floor(micros / 1000)
  const rest = String(micros - millis * 1000).padStart(3, '0')
  return `${new Date(millis).toISOString().slice(0, -1)}${rest}Z`
}

const ISO = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:?\d{2})?$/

/** Microseconds of an ISO 8601 time (UTC where no zone stands; digits past the sixth are cut); undefined where it is none. */
export function parseIsoMicros(text: string): number | undefined {
  const match = ISO.exec(text)
  if (!match) return undefined
  const seconds = Date.parse(`${match[1]}T${match[2]}${match[4] ?? 'Z'}`)
  if (Number.isNaN(seconds)) return undefined
  return seconds * 1000 + Number((match[3] ?? '').slice(0, 6).padEnd(6, '0'))
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
