const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })

/** `12,345`. */
export function count(value: number): string {
  return whole.format(value)
}

/** `12.3K`, for where room is scarce. */
export function short(value: number): string {
  return Math.abs(value) < 10_000 ? whole.format(value) : compact.format(value)
}

/** A number a second: one digit after the point below 10. */
export function rate(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '–'
  if (value === 0) return '0'
  return value < 10 ? value.toFixed(1) : short(value)
}

/** Seconds as `3.2 ms`, `450 ms`, `2.1 s`. */
export function seconds(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '–'
  const ms = value * 1000
  if (ms < 10) return `${ms.toFixed(1)} ms`
  return ms < 1000 ? `${Math.round(ms)} ms` : `${value.toFixed(1)} s`
}

/** How long ago or for how long, in one unit: `12 s`, `5 min`, `3 h`, `2 d`. */
export function span(ms: number): string {
  const s = Math.max(0, ms / 1000)
  if (s < 60) return `${Math.floor(s)} s`
  if (s < 3600) return `${Math.floor(s / 60)} min`
  return s < 172_800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86_400)} d`
}

/** The time of day with milliseconds, in the reader's zone: of microseconds since 1970. */
export function timeOfMicros(micros: number): string {
  const ms = Math.floor(micros / 1000)
  return `${clock.format(ms)}.${String(((ms % 1000) + 1000) % 1000).padStart(3, '0')}`
}

/** Date and time of an ISO text in the reader's zone. */
export function moment(iso: string): string {
  const date = new Date(iso)
  const day = date.toLocaleDateString('en-CA')
  return `${day} ${clock.format(date)}`
}

/** More digits after the point than this are none of a price. */
const MOST_DIGITS = 10

/** A price or a size with as many digits as it has, grouped; with `digits` after the point at least. */
export function decimal(value: number | null | undefined, digits = 0): string {
  return value === null || value === undefined
    ? ''
    : value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: MOST_DIGITS })
}

/** How many digits after the point these numbers need, so that their points stand below each other. */
export function digitsOf(values: readonly number[]): number {
  return Math.max(0, ...values.map((value) => decimal(value).split('.')[1]?.length ?? 0))
}

/** The time of day in hours and minutes, in the reader's zone: of seconds since 1970. */
export function timeOfSeconds(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
}

/** A name such as `publishingFixed` in words: `publishing fixed`. */
export function words(name: string): string {
  return name.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`)
}
