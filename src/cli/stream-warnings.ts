import type { StreamWarning } from '../domain/offer.ts'

/** What of a stream nobody gives at present, a line each. */
export function warningLines(warnings: readonly StreamWarning[] = []): string[] {
  return warnings.map(({ field, value, message, near }) => {
    const like = near.length === 0 ? '' : `; near to it: ${near.join(', ')}`
    return `${field} ${value}: ${message}${like}`
  })
}
